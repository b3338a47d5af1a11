"""BERT in PyTorch: the whole encoder with its masked-LM loss, differentiated by autograd.

Written from the papers, not from npformer: every position is computed and the targets are picked at the end,
post-norm or pre-norm, learned or rotary positions, dropout by given masks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F

from ..encoder import MODELS, Point, draw_point
from ..golden import Array
from .ops import Tensor, attend, dropout, linear, rotary, tensor

Params = Mapping[str, Tensor]


class Dropped:
    """Dropout by masks that were drawn before, in order."""

    def __init__(self, p: float, kept: list[Tensor]) -> None:
        self.p, self.kept = p, kept

    def __call__(self, x: Tensor) -> Tensor:
        """Drop as the next mask says; nothing where there is no dropout."""
        return dropout(x, self.p, self.kept) if self.p else x


def masked_lm_loss(
    params: Params,
    batch: Mapping[str, Tensor],
    *,
    n_heads: int,
    n_layers: int,
    norm: str = "post",
    rotary_base: float | None = None,
    eps: float = 1e-12,
    p: float = 0.0,
    kept: list[Tensor] | None = None,
) -> Tensor:
    """Return the mean cross entropy at the targets.

    Parameters
    ----------
    params : mapping of str to Tensor
        By npformer's names, weights as (d_in, d_out).
    batch : mapping
        ids, mask, segment_ids (B, T), at, targets (n,).
    """
    drop = Dropped(p, list(kept or []))

    def dense(x: Tensor, name: str) -> Tensor:
        return linear(x, params[f"{name}.weight"], params[f"{name}.bias"])

    def normalised(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], params[f"{name}.gamma"], params[f"{name}.beta"], eps)

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
        out = attend(q, k, v, mask=mask[:, None, None, :], dropout_p=p, kept=drop.kept)
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
    hidden = x.flatten(0, 1)[batch["at"]]
    t = normalised(F.gelu(dense(hidden, "mlm.transform")), "mlm.norm")
    logits = t @ params["embeddings.token"].T + params["mlm.bias"]
    return F.cross_entropy(logits, batch["targets"])


def stored_point(point: Point) -> dict[str, Array]:
    """Return parameters, batch, dropout masks, loss and gradients at one point, by PyTorch."""
    source = point.random()
    Point(point.model, point.params, point.batch, lambda: source).loss(point.params)  # draws the masks
    config = point.model.config
    kept = [u >= config.dropout for u in source.drawn]
    batch = {name: np.asarray(x) for name, x in point.batch._asdict().items()}
    leaves = {name: tensor(x.copy()).requires_grad_() for name, x in point.params.items()}
    loss = masked_lm_loss(
        leaves,
        {name: tensor(x) for name, x in batch.items()},
        n_heads=config.n_heads,
        n_layers=config.n_layers,
        norm=config.norm,
        rotary_base=config.rotary_base if config.positions == "rotary" else None,
        eps=config.eps,
        p=config.dropout,
        kept=[tensor(keep.astype(np.float64)) for keep in kept],
    )
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return {
        **{f"param/{name}": x.copy() for name, x in point.params.items()},
        **{f"batch/{name}": x for name, x in batch.items()},
        **{f"kept/{i}": keep for i, keep in enumerate(kept)},
        "loss": loss.detach().numpy(),
        **{f"grad/{name}": g.numpy() for name, g in zip(leaves, gradients, strict=True)},
    }


def make() -> dict[str, Array]:
    """Return everything to be stored about the encoder, at the points of seed 0."""
    return {
        f"{label}/{key}": value
        for label in MODELS
        for key, value in stored_point(draw_point(label, 0)).items()
    }
