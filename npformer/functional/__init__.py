"""The formulas: each op and its hand-written backward, one topic a file."""

from .activations import (
    ReluCache,
    SigmoidCache,
    SiluCache,
    TanhCache,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    tanh,
    tanh_backward,
)
from .alibi import alibi
from .attention import (
    ScaledDotProductAttentionCache,
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward,
)
from .binary_cross_entropy import (
    BinaryCrossEntropyWithLogitsCache,
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
)
from .cross_entropy import CrossEntropyCache, cross_entropy, cross_entropy_backward
from .dropout import DropoutCache, dropout, dropout_backward
from .embedding import EmbeddingCache, embedding, embedding_backward, embedding_backward_rows
from .flash_attention import FlashAttentionCache, flash_attention, flash_attention_backward
from .gelu import GeluCache, gelu, gelu_backward
from .info_nce import InfoNceCache, info_nce, info_nce_backward
from .layer_norm import LayerNormCache, layer_norm, layer_norm_backward
from .linear import LinearCache, linear, linear_backward
from .mse_loss import MseLossCache, mse_loss, mse_loss_backward
from .multi_head_attention import MultiHeadAttentionCache, multi_head_attention, multi_head_attention_backward
from .positions import sinusoidal_positions
from .rms_norm import RmsNormCache, rms_norm, rms_norm_backward
from .rotary import RotaryCache, rotary, rotary_backward
from .softmax import (
    LogSoftmaxCache,
    SoftmaxCache,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)
from .swiglu import SwigluCache, swiglu, swiglu_backward

__all__ = [
    "BinaryCrossEntropyWithLogitsCache",
    "CrossEntropyCache",
    "DropoutCache",
    "EmbeddingCache",
    "FlashAttentionCache",
    "GeluCache",
    "InfoNceCache",
    "LayerNormCache",
    "LinearCache",
    "LogSoftmaxCache",
    "MseLossCache",
    "MultiHeadAttentionCache",
    "ReluCache",
    "RmsNormCache",
    "RotaryCache",
    "ScaledDotProductAttentionCache",
    "SigmoidCache",
    "SiluCache",
    "SoftmaxCache",
    "SwigluCache",
    "TanhCache",
    "alibi",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "dropout_backward",
    "embedding",
    "embedding_backward",
    "embedding_backward_rows",
    "flash_attention",
    "flash_attention_backward",
    "gelu",
    "gelu_backward",
    "info_nce",
    "info_nce_backward",
    "layer_norm",
    "layer_norm_backward",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "mse_loss",
    "mse_loss_backward",
    "multi_head_attention",
    "multi_head_attention_backward",
    "relu",
    "relu_backward",
    "rms_norm",
    "rms_norm_backward",
    "rotary",
    "rotary_backward",
    "scaled_dot_product_attention",
    "scaled_dot_product_attention_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "sinusoidal_positions",
    "softmax",
    "softmax_backward",
    "swiglu",
    "swiglu_backward",
    "tanh",
    "tanh_backward",
]
