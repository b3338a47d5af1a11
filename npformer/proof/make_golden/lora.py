"""Low-rank adapters in PyTorch: beside each adapted map x W + b stands (α / r) (x A) B, in two thin products.

The encoder around it is the one of encoder.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...models import EncoderConfig
from ..golden import Array
from ..lora import MODELS, draw_point
from . import encoder
from .models import Dropped, Params, stored_point


def loss_of(params: Params, batch: Mapping[str, Tensor], drop: Dropped, config: EncoderConfig) -> Tensor:
    """Return the loss of an encoder with adapters."""

    def beside(x: Tensor, name: str) -> Tensor | float:
        """What an adapted map of `x` has in addition; 0 for the others."""
        if f"{name}.weight.lora_a" not in params or config.lora is None:
            return 0.0
        A, B = params[f"{name}.weight.lora_a"], params[f"{name}.weight.lora_b"]
        return config.lora.alpha / config.lora.r * (x @ A @ B)

    return encoder.loss_of(params, batch, drop, config, beside)


def make() -> dict[str, Array]:
    """Return everything to be stored about adapters, at the points of seed 0."""
    return {
        f"{label}/{key}": value
        for label in MODELS
        for key, value in stored_point(draw_point(label, 0), loss_of).items()
    }
