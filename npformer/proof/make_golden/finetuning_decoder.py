"""Heads for fine-tuning on GPT and Llama in PyTorch, differentiated by autograd."""

from __future__ import annotations

from ...models import DecoderConfig
from ..finetuning_decoder import MODELS, draw_point
from ..golden import Array
from .decoder import outputs
from .finetuning import loss_of_head
from .models import Batch, Dropped, Params, stored_point
from .ops import Tensor


def loss_of(params: Params, batch: Batch, drop: Dropped, config: DecoderConfig) -> Tensor:
    """Return the mean loss of a decoder with a head."""
    return loss_of_head(outputs(params, batch, drop, config), params, batch, drop, config)


def make() -> dict[str, Array]:
    """Return everything to be stored about fine-tuning decoders, at the points of seed 0."""
    made: dict[str, Array] = {}
    for label in MODELS:
        point = draw_point(label, 0)
        stored = stored_point(point, loss_of, point.model.config.task_dropout)
        made |= {f"{label}/{key}": value for key, value in stored.items()}
    return made
