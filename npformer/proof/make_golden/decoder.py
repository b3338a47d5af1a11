"""GPT and Llama in PyTorch: the whole decoder with its causal-LM loss, differentiated by autograd.

Written from the papers, not from npformer: every position is computed, who sees whom is spelled out, and the
targets are picked at the end.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from ...models import DecoderConfig
from ..decoder import MODELS, draw_point
from ..golden import Array
from . import ops
from .models import ACTIVATIONS, Batch, Dropped, Params, Parts, causal, logits_of, stored_point
from .ops import Tensor


def outputs(params: Params, batch: Batch, drop: Dropped, config: DecoderConfig) -> Tensor:
    """Return the outputs of every token, (B, T, d_model); the batch has ids and mask, maybe prefix."""
    c, ids, real = config, batch["ids"], batch["mask"]
    T = ids.shape[1]
    parts = Parts(
        params, drop, norm=c.norm, n_heads=c.n_heads, activation=ACTIVATIONS[c.activation], eps=c.eps
    )
    positions = (real.cumsum(dim=1) - 1).clamp(min=0)  # (B, T): of the real tokens among themselves
    seen = causal(T).expand(len(ids), T, T)
    if "prefix" in batch:
        seen = seen | (positions[:, None] < batch["prefix"][:, None, None])  # counts real tokens
    allowed = (seen & real[:, None, :])[:, None]  # (B, 1, T, T)
    options: dict[str, Any] = {"window": c.window, "softcap": c.softcap}
    if c.positions == "rotary":
        # a padded token, on either side, is nobody's key, and its own output nobody's: its position is free
        options |= {"positions_q": positions, "positions_kv": positions, "rotary_base": c.rotary_base}
    elif c.positions == "alibi":
        options["bias"] = ops.alibi(c.n_heads, T, T)

    x = F.embedding(ids, params["embeddings.token"])
    if c.positions == "learned":
        x = x + F.embedding(positions, params["embeddings.position"])
    x = drop(x)
    for i in range(c.n_layers):
        name = f"decoder.{i}.attention"
        x = parts.residual(x, name, partial(parts.attention, name=name, allowed=allowed, **options))
        name = f"decoder.{i}.feed_forward"
        x = parts.residual(x, name, partial(parts.feed_forward, name=name))
    return parts.normalised(x, "decoder.norm") if c.norm == "pre" else x


def causal_lm_loss(params: Params, batch: Batch, drop: Dropped, config: DecoderConfig) -> Tensor:
    """Return the mean cross entropy at the targets; the batch has at and targets, too."""
    c, x = config, outputs(params, batch, drop, config)
    logits = logits_of(params, x.flatten(0, 1)[batch["at"]])
    if c.logit_softcap is not None:
        logits = c.logit_softcap * torch.tanh(logits / c.logit_softcap)
    return F.cross_entropy(logits, batch["targets"])


def make() -> dict[str, Array]:
    """Return everything to be stored about the decoder, at the points of seed 0."""
    return {
        f"{label}/{key}": value
        for label in MODELS
        for key, value in stored_point(draw_point(label, 0), causal_lm_loss).items()
    }
