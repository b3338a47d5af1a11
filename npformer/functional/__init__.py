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
from .binary_cross_entropy import (
    BinaryCrossEntropyWithLogitsCache,
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
)
from .cross_entropy import CrossEntropyCache, cross_entropy, cross_entropy_backward
from .gelu import GeluCache, gelu, gelu_backward
from .info_nce import InfoNceCache, info_nce, info_nce_backward
from .layer_norm import LayerNormCache, layer_norm, layer_norm_backward
from .mse_loss import MseLossCache, mse_loss, mse_loss_backward
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
    "GeluCache",
    "InfoNceCache",
    "LayerNormCache",
    "LogSoftmaxCache",
    "MseLossCache",
    "ReluCache",
    "SigmoidCache",
    "SiluCache",
    "SoftmaxCache",
    "SwigluCache",
    "TanhCache",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "gelu",
    "gelu_backward",
    "info_nce",
    "info_nce_backward",
    "layer_norm",
    "layer_norm_backward",
    "log_softmax",
    "log_softmax_backward",
    "mse_loss",
    "mse_loss_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "swiglu",
    "swiglu_backward",
    "tanh",
    "tanh_backward",
]
