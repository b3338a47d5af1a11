"""The model that is fine-tuned: a pre-trained encoder with a head, and what of it is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..models import Encoder, add_lora, freeze, merge_lora, with_task
from ..training import draws
from .kinds import KINDS
from .recipe import Recipe


def prepare_model(pretrained: Any, recipe: Recipe, n_labels: int) -> Encoder:
    """Return the encoder for a task, with the weights of `pretrained` and a fresh head.

    Parameters
    ----------
    pretrained : Encoder
        Which stays as it is.
    recipe : Recipe
    n_labels : int
        Of the head.

    Returns
    -------
    Encoder
        Its trainable parameters are those that the recipe trains.

    Raises
    ------
    ValueError
        If `pretrained` is no encoder, or has fewer layers than are to be frozen.
    """
    if not isinstance(pretrained, Encoder):
        raise ValueError(f"expected an encoder to fine-tune, got {type(pretrained).__name__}")
    rng = draws.generator(recipe.seed, draws.WEIGHTS)
    start = pretrained if pretrained.config.lora is None else merge_lora(pretrained)
    if recipe.from_scratch:
        start = Encoder(start.config, rng, start.params.flat.dtype)
    head = KINDS[recipe.task].HEAD
    model = without_heads(start)
    if head is not None:
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
        return freeze(model, ["embeddings", *(f"encoder.{i}" for i in range(recipe.freeze))])
    return model


def without_heads(model: Encoder) -> Encoder:
    """Return a copy of the encoder alone."""
    heads: dict[str, Any] = {"mlm": False, "rtd": False, "pair_head": False, "pooler": False}
    config = replace(model.config, **heads, task=None, n_labels=0)
    made = Encoder(config, np.random.default_rng(0), model.params.flat.dtype)
    for name in made.params:
        made.params[name] = model.params[name]
    return made


def _with_dropout(model: Encoder, dropout: float) -> Encoder:
    made = Encoder(replace(model.config, dropout=dropout), dtype=model.params.flat.dtype)
    for name, value in model.params.items():
        made.params[name] = value
    return made
