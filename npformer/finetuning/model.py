"""The model that is fine-tuned: a pre-trained stack with a head, and what of it is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..models import Decoder, Encoder, add_lora, freeze, merge_lora, with_task
from ..models.task_heads import CAUSAL_POOLINGS
from ..models.with_task import without_heads
from ..training import draws
from .kinds import KINDS
from .recipe import Recipe


def prepare_model(pretrained: Any, recipe: Recipe, n_labels: int) -> Any:
    """Return the model for a task, with the weights of `pretrained` and a fresh head.

    Parameters
    ----------
    pretrained : Encoder or Decoder
        Which stays as it is.
    recipe : Recipe
    n_labels : int
        Of the head.

    Returns
    -------
    Encoder or Decoder
        Its trainable parameters are those that the recipe trains.

    Raises
    ------
    ValueError
        If `pretrained` is neither, cannot be pooled as the recipe says, or has fewer layers than are to be
        frozen.
    """
    if not isinstance(pretrained, (Encoder, Decoder)):
        raise ValueError(f"expected an encoder or a decoder to fine-tune, got {type(pretrained).__name__}")
    if isinstance(pretrained, Decoder) and recipe.pooling not in CAUSAL_POOLINGS:
        expected = " or ".join(CAUSAL_POOLINGS)
        raise ValueError(f"pooling: expected {expected} for a decoder, got {recipe.pooling}")
    rng = draws.generator(recipe.seed, draws.WEIGHTS)
    start: Any = pretrained if pretrained.config.lora is None else merge_lora(pretrained)
    if recipe.from_scratch:
        start = type(start)(start.config, rng, start.params.flat.dtype)
    head = KINDS[recipe.task].HEAD
    if head is None:
        model = without_heads(start)
    else:
        outputs = 1 if head == "regress" else n_labels
        model = with_task(start, head, outputs, pooling=recipe.pooling, dropout=recipe.dropout, rng=rng)
    model = _with_dropout(model, recipe.dropout)
    if recipe.lora:
        if recipe.lora >= model.config.d_model:
            width = model.config.d_model
            raise ValueError(f"lora: expected a rank below the width {width} of the model, got {recipe.lora}")
        return add_lora(model, recipe.lora, recipe.lora_alpha, rng=rng)
    if recipe.freeze is not None:
        layers = model.config.n_layers
        if recipe.freeze > layers:
            raise ValueError(
                f"freeze: expected at most the {layers} layers of the model, got {recipe.freeze}"
            )
        stack = "encoder" if isinstance(model, Encoder) else "decoder"
        return freeze(model, ["embeddings", *(f"{stack}.{i}" for i in range(recipe.freeze))])
    return model


def _with_dropout(model: Any, dropout: float) -> Any:
    made = type(model)(replace(model.config, dropout=dropout), dtype=model.params.flat.dtype)
    for name, value in model.params.items():
        made.params[name] = value
    return made
