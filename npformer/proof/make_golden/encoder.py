"""BERT in PyTorch: the whole encoder with its masked-LM loss, differentiated by autograd.

Written from the papers, not from npformer: every position is computed and the targets are picked at the end,
post-norm or pre-norm, learned or rotary positions, dropout by given masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

from ...models import EncoderConfig
from ..encoder import MODELS, draw_point
from ..golden import Array
from .models import Dropped, Params, stored_point
from .ops import Tensor, attend, linear, rotary


def encode(
    params: Params,
    batch: Mapping[str, Tensor],
    *,
    n_heads: int,
    n_layers: int,
    norm: str = "post",
    rotary_base: float | None = None,
    eps: float = 1e-12,
    drop: Dropped | None = None,
) -> Tensor:
    """Return the outputs of every token, (B, T, d_model).

    Parameters
    ----------
    params : mapping of str to Tensor
        By npformer's names, weights as (d_in, d_out).
    batch : mapping
        ids, mask, segment_ids (B, T).
    """
    drop = Dropped(0.0, []) if drop is None else drop

    def dense(x: Tensor, name: str) -> Tensor:
        return linear(x, params[f"{name}.weight"], params[f"{name}.bias"])

    def normalised(x: Tensor, name: str) -> Tensor:
        return layer_norm(params, x, name, eps)

    ids, mask = batch["ids"], batch["mask"]
    T = ids.shape[1]
    x = F.embedding(ids, params["embeddings.token"]) + F.embedding(
        batch["segment_ids"], params["embeddings.segment"]
    )
    if rotary_base is None:
        x = x + params["embeddings.position"][:T]
    x = drop(normalised(x, "embeddings.norm") if norm == "post" else x)

    def attention(x: Tensor, name: str) -> Tensor:
        q, k, v = (
            dense(x, f"{name}.{part}").unflatten(-1, (n_heads, -1)).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        if rotary_base is not None:
            q, k = (rotary(y, torch.arange(T), rotary_base) for y in (q, k))
        out = attend(q, k, v, mask=mask[:, None, None, :], dropout_p=drop.p, kept=drop.kept)
        return dense(out.transpose(1, 2).flatten(-2), f"{name}.output")

    def feed_forward(x: Tensor, name: str) -> Tensor:
        return dense(F.gelu(dense(x, f"{name}.up")), f"{name}.down")

    for i in range(n_layers):
        for branch, name in (
            (attention, f"encoder.{i}.attention"),
            (feed_forward, f"encoder.{i}.feed_forward"),
        ):
            if norm == "post":
                x = normalised(x + drop(branch(x, name)), f"{name}_norm")
            else:
                x = x + drop(branch(normalised(x, f"{name}_norm"), name))
    if norm == "pre":
        x = normalised(x, "encoder.norm")
    return x


def layer_norm(params: Params, x: Tensor, name: str, eps: float) -> Tensor:
    """Layer norm by the name of its parameters."""
    return F.layer_norm(x, x.shape[-1:], params[f"{name}.gamma"], params[f"{name}.beta"], eps)


def token_loss(params: Params, hidden: Tensor, targets: Tensor, eps: float) -> Tensor:
    """Return the mean cross entropy of tokens from the outputs (n, d_model) at their places."""
    u = linear(hidden, params["mlm.transform.weight"], params["mlm.transform.bias"])
    t = layer_norm(params, F.gelu(u), "mlm.norm", eps)
    logits = t @ params["embeddings.token"].T + params["mlm.bias"]
    return F.cross_entropy(logits, targets)


def masked_lm_loss(
    params: Params, batch: Mapping[str, Tensor], *, eps: float = 1e-12, **options: Any
) -> Tensor:
    """Return the mean cross entropy at the targets.

    Parameters
    ----------
    params : mapping of str to Tensor
    batch : mapping
        ids, mask, segment_ids (B, T), at, targets (n,).
    **options
        Those of `encode`.
    """
    x = encode(params, batch, eps=eps, **options)
    return token_loss(params, x.flatten(0, 1)[batch["at"]], batch["targets"], eps)


def loss_of(params: Params, batch: Mapping[str, Tensor], drop: Dropped, config: EncoderConfig) -> Tensor:
    """Return the loss of a model of that configuration."""
    return masked_lm_loss(
        params,
        batch,
        n_heads=config.n_heads,
        n_layers=config.n_layers,
        norm=config.norm,
        rotary_base=config.rotary_base if config.positions == "rotary" else None,
        eps=config.eps,
        drop=drop,
    )


def make() -> dict[str, Array]:
    """Return everything to be stored about the encoder, at the points of seed 0."""
    return {
        f"{label}/{key}": value
        for label in MODELS
        for key, value in stored_point(draw_point(label, 0), loss_of).items()
    }
