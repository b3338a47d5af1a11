"""From pre-training to a task: the stack's weights stay, the head is a fresh one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .decoder import Decoder
from .encoder import Encoder

# Fields of the configuration that ask for a head of pre-training.
_HEADS: dict[type, dict[str, bool]] = {
    Encoder: {"mlm": False, "rtd": False, "pair_head": False, "pooler": False},
    Decoder: {"lm": False},
}


def with_task(
    model: Any,
    task: str,
    n_labels: int,
    *,
    pooling: str = "mean",
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Any:
    """Return a new encoder or decoder with the weights of `model` and a fresh head for a task.

    The heads of pre-training are left behind. So is the pooler, unless the task pools with it; where `model`
    has none, it begins fresh too.

    Parameters
    ----------
    model : Encoder or Decoder
        Which stays as it is.
    task : {"classify", "tag", "regress"}
    n_labels : int
        1 for "regress".
    pooling : {"mean", "cls", "pooler", "last"}
        How a text's outputs become one vector; a decoder's by "mean" or "last".
    dropout : float
        Of the head's input.
    rng : numpy.random.Generator, optional
        Draws the head's initial weights; default: seed 0.

    Returns
    -------
    Encoder or Decoder

    Raises
    ------
    ValueError, TypeError
        Naming the field of the configuration, what was expected and what came.

    Examples
    --------
    >>> from npformer.models import EncoderConfig
    >>> config = EncoderConfig(vocab_size=30, d_model=8, n_heads=2, d_ff=16, n_layers=2, max_positions=10)
    >>> pretrained = Encoder(config)
    >>> model = with_task(pretrained, "classify", n_labels=3)
    >>> model.params["task.weight"].shape, "mlm.bias" in model.params
    ((8, 3), False)
    >>> np.array_equal(model.params["embeddings.token"], pretrained.params["embeddings.token"])
    True
    """
    if type(model) not in _HEADS:
        raise TypeError(f"with_task: model: expected an Encoder or Decoder, got {type(model).__name__}")
    heads: dict[str, Any] = dict(_HEADS[type(model)])
    if "pooler" in heads:
        heads["pooler"] = pooling == "pooler" and task != "tag"
    of_task = {"task": task, "n_labels": n_labels, "task_pooling": pooling, "task_dropout": dropout}
    made = type(model)(replace(model.config, **heads, **of_task), rng, model.params.flat.dtype)
    for name, value in model.params.items():
        if name in made.params and not name.startswith("task."):  # of another task, if there is one
            made.params[name] = value
    return made


def without_heads(model: Any) -> Any:
    """Return a copy of an encoder or decoder that has no head.

    Examples
    --------
    >>> from npformer.models import DecoderConfig
    >>> sizes = {"vocab_size": 30, "d_model": 8, "n_heads": 2, "n_layers": 1, "max_positions": 10}
    >>> model = Decoder(DecoderConfig.gpt2(**sizes, tied=False))
    >>> set(model.params) - set(without_heads(model).params)
    {'lm_head.weight'}
    """
    heads: dict[str, Any] = _HEADS[type(model)]
    config = replace(model.config, **heads, task=None, n_labels=0)
    made = type(model)(config, dtype=model.params.flat.dtype)
    for name in made.params:
        made.params[name] = model.params[name]
    return made
