"""The model that is fine-tuned: a pre-trained one, an encoder with a head, and what of it is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..models import Decoder, Encoder, EncoderDecoder, add_lora, freeze, merge_lora, with_task
from ..models.freezing import any_below
from ..training import draws
from .kinds import KINDS
from .recipe import Recipe

# what a kind asks for: the class, how it is said, and which objectives pre-train one
MODELS: dict[str, tuple[Any, str, str]] = {
    "encoder": (Encoder, "an encoder", "mlm"),
    "decoder": (Decoder, "a decoder", "clm"),
    "encoder_decoder": (EncoderDecoder, "an encoder-decoder", "t5, prefix or seq2seq"),
}


def prepare_model(pretrained: Any, recipe: Recipe, n_labels: int) -> Any:
    """Return the model for a task, with the weights of `pretrained` and, of an encoder, a fresh head.

    Parameters
    ----------
    pretrained : Encoder, Decoder or EncoderDecoder
        Which stays as it is.
    recipe : Recipe
    n_labels : int
        Of the head.

    Returns
    -------
    Encoder, Decoder or EncoderDecoder
        Its trainable parameters are those that the recipe trains.

    Raises
    ------
    ValueError
        If `pretrained` is of another kind than the task needs, or has fewer layers than are to be frozen.
    """
    wanted, said, objectives = MODELS[KINDS[recipe.task].MODEL]
    if not isinstance(pretrained, wanted):
        raise ValueError(
            f"expected {said} to fine-tune, got {type(pretrained).__name__} "
            f"({recipe.task} needs one of npformer pretrain --objective {objectives})"
        )
    rng = draws.generator(recipe.seed, draws.WEIGHTS)
    start: Any = pretrained if pretrained.config.lora is None else merge_lora(pretrained)
    if recipe.from_scratch:
        start = type(start)(start.config, rng, start.params.flat.dtype)
    head = KINDS[recipe.task].HEAD
    model = without_heads(start) if isinstance(start, Encoder) else start
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
        layers = n_layers(model)
        if recipe.freeze > layers:
            raise ValueError(
                f"freeze: expected at most the {layers} layers of the model, got {recipe.freeze}"
            )
        lowest = [f"{part}.{i}" for part in ("encoder", "decoder") for i in range(recipe.freeze)]
        return freeze(model, ["embeddings", *(name for name in lowest if any_below(name, model.params))])
    return model


def n_layers(model: Any) -> int:
    """Return how many layers a model has; of an encoder-decoder's two halves, the higher one."""
    config = model.config
    if isinstance(model, EncoderDecoder):
        return max(config.n_encoder_layers, config.n_decoder_layers)
    layers: int = config.n_layers
    return layers


def without_heads(model: Encoder) -> Encoder:
    """Return a copy of the encoder alone."""
    heads: dict[str, Any] = {"mlm": False, "rtd": False, "pair_head": False, "pooler": False}
    config = replace(model.config, **heads, task=None, n_labels=0)
    made = Encoder(config, np.random.default_rng(0), model.params.flat.dtype)
    for name in made.params:
        made.params[name] = model.params[name]
    return made


def _with_dropout(model: Any, dropout: float) -> Any:
    made = type(model)(replace(model.config, dropout=dropout), dtype=model.params.flat.dtype)
    for name, value in model.params.items():
        made.params[name] = value
    return made
