"""The ops as a textbook states them: a line for every quantity, in the letters of `npformer.functional`.

These functions are read, not only called: `program` takes their lines apart and `switches` changes them one
at a time. So each line computes one thing, and the comments carry the numbers of the backward's steps in
`npformer.functional`. The tests hold every one of them against the op itself.

A function takes the op's inputs, `dout` and its settings, and returns (out, the gradients of the inputs).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import activations, attention, composed, gates, losses, normalisation, objectives, projections, tiles

TEXTBOOK: dict[str, Callable[..., Any]] = {
    "linear": projections.linear,
    "relu": activations.relu,
    "tanh": activations.tanh,
    "sigmoid": activations.sigmoid,
    "silu": activations.silu,
    "gelu": gates.gelu,
    "gelu_tanh": gates.gelu_tanh,
    "swiglu": gates.swiglu,
    "softmax": normalisation.softmax,
    "log_softmax": normalisation.log_softmax,
    "cross_entropy": losses.cross_entropy,
    "binary_cross_entropy_with_logits": losses.binary_cross_entropy_with_logits,
    "mse_loss": losses.mse_loss,
    "info_nce": losses.info_nce,
    "layer_norm": normalisation.layer_norm,
    "rms_norm": normalisation.rms_norm,
    "embedding": projections.embedding,
    "dropout": projections.dropout,
    "rotary": projections.rotary,
    "scaled_dot_product_attention": attention.scaled_dot_product_attention,
    "softcapped_attention": attention.softcapped_attention,
    "flash_attention": tiles.flash_attention,
    "multi_head_attention": attention.multi_head_attention,
    "query_key_norm_attention": attention.query_key_norm_attention,
    "residual": composed.residual,
    "tied_embeddings": composed.tied_embeddings,
    "distillation": losses.distillation,
    "hard_negatives": objectives.hard_negatives,
    "symmetric_info_nce": objectives.symmetric_info_nce,
    "mean_pooling": objectives.mean_pooling,
    "weighted_cross_entropy": objectives.weighted_cross_entropy,
    "lora": objectives.lora,
    "replaced_token_detection": objectives.replaced_token_detection,
    "pooler": objectives.pooler,
    "cosine_similarity": objectives.cosine_similarity,
}

# Other forms of a backward: the same gradient by other quantities. "op, how".
FORMS: dict[str, Callable[..., Any]] = {
    "softmax, from the top": normalisation.softmax_from_the_top,
    "log_softmax, by the others": normalisation.log_softmax_by_the_others,
    "cross_entropy, by the others": losses.cross_entropy_by_the_others,
    "scaled_dot_product_attention, in tiles": tiles.flash_attention,
}
