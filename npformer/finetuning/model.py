"""The model that is fine-tuned: a pre-trained one, with a head for labels, and what of it is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..models import Decoder, Encoder, EncoderDecoder, add_lora, freeze, merge_lora, with_task
from ..models.freezing import any_below
from ..models.task_heads import CAUSAL_POOLINGS
from ..models.with_task import without_heads
from ..training import draws
from .kinds import KINDS
from .recipe import Recipe

# how a model is said, and which objectives pre-train one
SAID: dict[type, tuple[str, str]] = {
    Encoder: ("an encoder", "mlm"),
    Decoder: ("a decoder", "clm"),
    EncoderDecoder: ("an encoder-decoder", "t5, prefix or seq2seq"),
}


def check_model(model: Any, task: str) -> None:
    """Raise ValueError if a task is not one for such a model.

    Examples
    --------
    >>> from npformer.models import EncoderConfig
    >>> model = Encoder(EncoderConfig(30, d_model=8, n_heads=2, d_ff=16, n_layers=1, max_positions=8))
    >>> check_model(model, "clm")
    Traceback (most recent call last):
    ...
    ValueError: expected a decoder for clm (pretrain --objective clm), got Encoder
    """
    kind, got = KINDS[task], type(model).__name__
    if not isinstance(model, kind.MODELS):
        said, objectives = (" or ".join(SAID[one][i] for one in kind.MODELS) for i in (0, 1))
        raise ValueError(f"expected {said} for {task} (pretrain --objective {objectives}), got {got}")
    if kind.LABELS == "texts" and not getattr(model.config, "lm", True):
        raise ValueError(f"expected a {got} that writes for {task}, got one that was fine-tuned for labels")


def prepare_model(pretrained: Any, recipe: Recipe, n_labels: int) -> Any:
    """Return the model for a task, with the weights of `pretrained` and, for labels, a fresh head.

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
        If the task is not one for `pretrained`, which cannot be pooled as the recipe says, or has fewer
        layers than are to be frozen.
    """
    check_model(pretrained, recipe.task)
    if isinstance(pretrained, Decoder) and recipe.pooling not in CAUSAL_POOLINGS:
        expected = " or ".join(CAUSAL_POOLINGS)
        raise ValueError(f"pooling: expected {expected} for a decoder, got {recipe.pooling}")
    rng = draws.generator(recipe.seed, draws.WEIGHTS)
    start: Any = pretrained if pretrained.config.lora is None else merge_lora(pretrained)
    if recipe.from_scratch:
        start = type(start)(start.config, rng, start.params.flat.dtype)
    kind = KINDS[recipe.task]
    if kind.LABELS == "texts":
        model = start  # which keeps the head that writes
    elif kind.HEAD is None:
        model = without_heads(start)
    else:
        outputs = 1 if kind.LABELS == "numbers" else n_labels
        model = with_task(start, kind.HEAD, outputs, pooling=recipe.pooling, dropout=recipe.dropout, rng=rng)
    model = _with_dropout(model, recipe.dropout)
    if recipe.lora:
        if recipe.lora >= model.config.d_model:
            width = model.config.d_model
            raise ValueError(f"lora: expected a rank below the width {width} of the model, got {recipe.lora}")
        return add_lora(model, recipe.lora, recipe.lora_alpha, rng=rng)
    if recipe.freeze is not None:
        layers = max(n_layers(model).values())
        if recipe.freeze > layers:
            raise ValueError(
                f"freeze: expected at most the {layers} layers of the model, got {recipe.freeze}"
            )
        lowest = [f"{part}.{i}" for part in ("encoder", "decoder") for i in range(recipe.freeze)]
        return freeze(model, ["embeddings", *(name for name in lowest if any_below(name, model.params))])
    return model


def n_layers(model: Any) -> dict[str, int]:
    """Return how many layers a model's encoder, or decoder, or each of the two has."""
    config = model.config
    if isinstance(model, EncoderDecoder):
        return {"encoder": config.n_encoder_layers, "decoder": config.n_decoder_layers}
    return {"decoder" if isinstance(model, Decoder) else "encoder": config.n_layers}


def _with_dropout(model: Any, dropout: float) -> Any:
    made = type(model)(replace(model.config, dropout=dropout), dtype=model.params.flat.dtype)
    for name, value in model.params.items():
        made.params[name] = value
    return made
