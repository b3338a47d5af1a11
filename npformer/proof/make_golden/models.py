"""What the models in PyTorch share: dropout by given masks, branches with their norms, what is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..golden import Array
from ..models import Point
from . import ops
from .ops import Tensor, dropout, tensor

Params = Mapping[str, Tensor]
Batch = Mapping[str, Tensor]


class Dropped:
    """Dropout by masks that were drawn before, in order."""

    def __init__(self, p: float, kept: list[Tensor]) -> None:
        self.p, self.kept = p, kept

    def __call__(self, x: Tensor) -> Tensor:
        """Drop as the next mask says; nothing where there is no dropout."""
        return dropout(x, self.p, self.kept) if self.p else x


class Parts:
    """The parts of a layer by their names, with dropout.

    Parameters
    ----------
    params : mapping of str to Tensor
        By npformer's names, weights as (d_in, d_out).
    drop : Dropped
    norm : {"pre", "post"}
    n_heads : int
    activation : callable
        Of a feed-forward block without a gate.
    eps : float
        Of the norms.
    """

    def __init__(
        self,
        params: Params,
        drop: Dropped,
        *,
        norm: str,
        n_heads: int,
        activation: Callable[[Tensor], Tensor],
        eps: float,
    ) -> None:
        self.params, self.drop, self.norm, self.n_heads = params, drop, norm, n_heads
        self.activation, self.eps = activation, eps

    def dense(self, x: Tensor, name: str) -> Tensor:
        """A linear map, with a bias where there is one."""
        return ops.linear(x, self.params[f"{name}.weight"], self.params.get(f"{name}.bias"))

    def normalised(self, x: Tensor, name: str) -> Tensor:
        """Layer norm, or RMSNorm where there is no beta."""
        gamma, beta = self.params[f"{name}.gamma"], self.params.get(f"{name}.beta")
        if beta is None:
            return F.rms_norm(x, gamma.shape, gamma, self.eps)
        return F.layer_norm(x, gamma.shape, gamma, beta, self.eps)

    def residual(self, x: Tensor, name: str, branch: Callable[[Tensor], Tensor]) -> Tensor:
        """The sum of x and a branch of it, normalised before or after."""
        if self.norm == "pre":
            return x + self.drop(branch(self.normalised(x, f"{name}_norm")))
        return self.normalised(x + self.drop(branch(x)), f"{name}_norm")

    def attention(
        self, x: Tensor, name: str, allowed: Tensor, memory: Tensor | None = None, **options: Any
    ) -> Tensor:
        """Multi-head attention; `allowed` (B, 1, T, S)."""
        p = self.params
        w_q, w_k, w_v, w_o = (p[f"{name}.{part}.weight"] for part in ("query", "key", "value", "output"))
        b_q, b_k, b_v, b_o = (p.get(f"{name}.{part}.bias") for part in ("query", "key", "value", "output"))
        return ops.multi_head_attention(
            x,
            memory,
            *(w_q, w_k, w_v, w_o),
            *(b_q, b_k, b_v, b_o),
            gamma_q=p.get(f"{name}.query_norm.gamma"),
            gamma_k=p.get(f"{name}.key_norm.gamma"),
            n_heads=self.n_heads,
            norm_eps=self.eps,
            mask=allowed,
            dropout_p=self.drop.p,
            kept=self.drop.kept,
            **options,
        )

    def feed_forward(self, x: Tensor, name: str) -> Tensor:
        """Linear, activation, linear; or with SwiGLU's gate where there is one."""
        up = self.dense(x, f"{name}.up")
        if f"{name}.gate.weight" in self.params:
            return self.dense(F.silu(self.dense(x, f"{name}.gate")) * up, f"{name}.down")
        return self.dense(self.activation(up), f"{name}.down")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "swiglu": F.silu,
}


def logits_of(params: Params, hidden: Tensor) -> Tensor:
    """Logits by the output matrix, which is the token embedding where there is no other."""
    if "lm_head.weight" in params:
        return hidden @ params["lm_head.weight"]
    return hidden @ params["embeddings.token"].T


def causal(T: int) -> Tensor:
    """(T, T), True where a query may see a key."""
    return torch.ones(T, T, dtype=torch.bool).tril()


def stored_point(
    point: Point,
    loss_of: Callable[[Params, Batch, Dropped, Any], Tensor],
    last_dropout: float | None = None,
) -> dict[str, Array]:
    """Return parameters, batch, dropout masks, loss and gradients at one point, by PyTorch.

    Parameters
    ----------
    point : Point
    loss_of : callable
        Of parameters, batch, dropout and configuration.
    last_dropout : float, optional
        Probability for the last of the masks, where a head has one of its own.
    """
    source = point.random()
    point.loss(point.params, random=source)  # draws the masks
    config = point.model.config
    kept = [u >= config.dropout for u in source.drawn]
    if last_dropout is not None:
        kept[-1] = source.drawn[-1] >= last_dropout
    batch = {name: np.asarray(x) for name, x in point.batch._asdict().items() if x is not None}
    params = {name: tensor(x.copy()) for name, x in point.params.items()}
    leaves = {name: params[name].requires_grad_() for name in point.params.layout}
    drop = Dropped(config.dropout, [tensor(keep.astype(np.float64)) for keep in kept])
    loss = loss_of(params, {name: tensor(x) for name, x in batch.items()}, drop, config)
    if drop.kept:
        raise RuntimeError(f"{len(drop.kept)} dropout masks were not used")
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return {
        **{f"param/{name}": x.copy() for name, x in point.params.items()},
        **{f"batch/{name}": x for name, x in batch.items()},
        **{f"kept/{i}": keep for i, keep in enumerate(kept)},
        "loss": loss.detach().numpy(),
        **{f"grad/{name}": g.numpy() for name, g in zip(leaves, gradients, strict=True)},
    }
