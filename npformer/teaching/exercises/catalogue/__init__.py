"""The exercises, one file each; the order is that of the course."""

from __future__ import annotations

from ..exercise import Exercise
from . import (
    activations,
    adam,
    adamw,
    attention,
    clipping,
    cross_entropy,
    dropout,
    embedding,
    encoder,
    encoder_layer,
    gelu,
    layer_norm,
    linear,
    masked_lm,
    multi_head_attention,
    softmax,
    tied_weights,
)

EXERCISES: tuple[Exercise, ...] = tuple(
    module.EXERCISE
    for module in (
        linear,
        activations,
        softmax,
        cross_entropy,
        gelu,
        layer_norm,
        embedding,
        dropout,
        attention,
        multi_head_attention,
        tied_weights,
        encoder_layer,
        masked_lm,
        adam,
        adamw,
        clipping,
        encoder,
    )
)
