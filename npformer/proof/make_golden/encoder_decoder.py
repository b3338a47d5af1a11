"""The original Transformer in PyTorch: source, target and their loss, differentiated by autograd.

Written from the paper, not from npformer: every position is computed, who sees whom is spelled out, and the
targets are picked at the end.
"""

from __future__ import annotations

import math
from functools import partial

import torch.nn.functional as F

from ...models import EncoderDecoderConfig
from ..encoder_decoder import LABEL_SMOOTHING, MODELS, draw_point
from ..golden import Array
from . import ops
from .models import ACTIVATIONS, Batch, Dropped, Params, Parts, causal, logits_of, stored_point
from .ops import Tensor


def seq2seq_loss(
    params: Params, batch: Batch, drop: Dropped, config: EncoderDecoderConfig, label_smoothing: float = 0.0
) -> Tensor:
    """Return the mean smoothed cross entropy at the targets; the batch is that of `Seq2Seq`."""
    c = config
    parts = Parts(
        params, drop, norm=c.norm, n_heads=c.n_heads, activation=ACTIVATIONS[c.activation], eps=c.eps
    )

    def embedded(ids: Tensor) -> Tensor:
        T = ids.shape[1]
        x = F.embedding(ids, params["embeddings.token"]) * math.sqrt(c.d_model)
        learned = c.positions == "learned"
        return drop(
            x + (params["embeddings.position"][:T] if learned else ops.sinusoidal_positions(T, c.d_model))
        )

    T = batch["ids"].shape[1]
    of_source = batch["source_mask"][:, None, None, :]  # (B, 1, 1, S)
    of_target = causal(T) & batch["mask"][:, None, None, :]  # (B, 1, T, T)

    memory = embedded(batch["source_ids"])
    for i in range(c.n_encoder_layers):
        name = f"encoder.{i}.attention"
        memory = parts.residual(memory, name, partial(parts.attention, name=name, allowed=of_source))
        name = f"encoder.{i}.feed_forward"
        memory = parts.residual(memory, name, partial(parts.feed_forward, name=name))
    if c.norm == "pre":
        memory = parts.normalised(memory, "encoder.norm")

    x = embedded(batch["ids"])
    for i in range(c.n_decoder_layers):
        name = f"decoder.{i}.attention"
        x = parts.residual(x, name, partial(parts.attention, name=name, allowed=of_target))
        name = f"decoder.{i}.cross_attention"
        cross = partial(parts.attention, name=name, allowed=of_source, memory=memory)
        x = parts.residual(x, name, cross)
        name = f"decoder.{i}.feed_forward"
        x = parts.residual(x, name, partial(parts.feed_forward, name=name))
    if c.norm == "pre":
        x = parts.normalised(x, "decoder.norm")
    logits = logits_of(params, x.flatten(0, 1)[batch["at"]])
    return F.cross_entropy(logits, batch["targets"], label_smoothing=label_smoothing)


def make() -> dict[str, Array]:
    """Return everything to be stored about the encoder-decoder, at the points of seed 0."""
    return {
        f"{label}/{key}": value
        for label in MODELS
        for key, value in stored_point(
            draw_point(label, 0), partial(seq2seq_loss, label_smoothing=LABEL_SMOOTHING[label])
        ).items()
    }
