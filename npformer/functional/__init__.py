"""The formulas: each op and its hand-written backward, one topic a file."""

from .layer_norm import LayerNormCache, layer_norm, layer_norm_backward

__all__ = ["LayerNormCache", "layer_norm", "layer_norm_backward"]
