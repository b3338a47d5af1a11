"""Contrastive learning in PyTorch: every view through the whole encoder, pooled, InfoNCE, autograd."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from ...models import EncoderConfig
from ..contrastive import MODELS, draw_point
from ..golden import Array
from .models import Batch, Dropped, Params, Parts, stored_point
from .ops import Tensor, info_nce


def encoded(params: Params, ids: Tensor, mask: Tensor, drop: Dropped, config: EncoderConfig) -> Tensor:
    """Return the output of every token, (N, T, d_model)."""
    parts = Parts(
        params, drop, norm=config.norm, n_heads=config.n_heads, activation=F.gelu, eps=config.eps
    )
    T = ids.shape[1]
    x = F.embedding(ids, params["embeddings.token"])
    rotated: dict[str, Any] = {}
    if config.positions == "rotary":
        positions = torch.arange(T)
        rotated = {"positions_q": positions, "positions_kv": positions, "rotary_base": config.rotary_base}
    else:
        x = x + params["embeddings.position"][:T]
    x = drop(parts.normalised(x, "embeddings.norm") if config.norm == "post" else x)
    allowed = mask[:, None, None, :]
    for i in range(config.n_layers):
        name = f"encoder.{i}.attention"
        x = parts.residual(x, name, partial(parts.attention, name=name, allowed=allowed, **rotated))
        name = f"encoder.{i}.feed_forward"
        x = parts.residual(x, name, partial(parts.feed_forward, name=name))
    return parts.normalised(x, "encoder.norm") if config.norm == "pre" else x


def loss_under(
    temperature: float, symmetric: bool = False, pooling: str = "mean"
) -> Callable[[Params, Batch, Dropped, EncoderConfig], Tensor]:
    """Return the function of parameters, batch, dropout and configuration that gives the loss."""

    def loss(params: Params, batch: Batch, drop: Dropped, config: EncoderConfig) -> Tensor:
        ids, mask = batch["ids"], batch["mask"]
        B, texts, T = ids.shape
        if texts == 1:
            ids, mask = ids.expand(B, 2, T), mask.expand(B, 2, T)
        hidden = encoded(params, ids.reshape(-1, T), mask.reshape(-1, T), drop, config)
        if pooling == "cls":
            pooled = hidden[:, 0]
        else:
            real = mask.reshape(-1, T, 1).to(hidden.dtype)
            pooled = (hidden * real).sum(dim=1) / real.sum(dim=1).clamp(min=1.0)
        a, b, *rest = pooled.unflatten(0, (B, -1)).unbind(dim=1)
        forth = info_nce(a, b, rest[0] if rest else None, temperature=temperature)
        return (forth + info_nce(b, a, temperature=temperature)) / 2 if symmetric else forth

    return loss


def make() -> dict[str, Array]:
    """Return everything to be stored about contrastive learning, at the points of seed 0."""
    return {
        f"{label}/{key}": value
        for label, (_, objective, _) in MODELS.items()
        for key, value in stored_point(draw_point(label, 0), loss_under(**objective)).items()
    }
