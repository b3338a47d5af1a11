"""Models of which a part is not trained: gradients and an optimizer's moments exist for the rest alone.

A backward ends at the lowest layer that is trained: freezing from the embeddings up saves its time below.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable
from typing import Any

from .parameters import Parameters


def freeze(model: Any, names: Collection[str] | Callable[[str], bool]) -> Any:
    """Return a model with the same values of which some parameters are frozen.

    That is a matter of training: `save_pretrained` does not keep it.

    Parameters
    ----------
    model : Encoder, Decoder or EncoderDecoder
        Not changed, and no values are shared. What is frozen in it stays so.
    names : collection of str, or callable
        Beginnings of names, whole parts between dots: "embeddings", "encoder.0". Or: of a name, whether it is
        to be frozen. (The output matrix of a model with tied weights is the token embedding.)

    Returns
    -------
    Encoder, Decoder or EncoderDecoder

    Raises
    ------
    ValueError
        If no parameter begins so, or nothing is left to train.
    TypeError
        If `names` is a string.

    Examples
    --------
    The embeddings and the first layer:

    >>> from npformer.models import Encoder, EncoderConfig
    >>> config = EncoderConfig(vocab_size=30, d_model=8, n_heads=2, d_ff=16, n_layers=2, max_positions=10)
    >>> model = freeze(Encoder(config), ["embeddings", "encoder.0"])
    >>> list(model.params.layout)[0], model.params.flat.size, model.params.frozen_flat.size
    ('encoder.1.attention.query.weight', 718, 952)
    """
    params = model.params
    if isinstance(names, str):
        raise TypeError(f"freeze: names: expected a list of names, got the string {names!r}")
    if callable(names):
        frozen = {name for name in params if names(name)}
    else:
        for prefix in names:
            if not any_below(prefix, params):
                expected = f"beginnings of parameters' names, e.g. {next(iter(params))!r}"
                raise ValueError(f"freeze: names: expected {expected}, got {prefix!r}")
        frozen = {name for name in params if any(below(prefix, name) for prefix in names)}
    frozen |= params.frozen
    if len(frozen) == len(params):
        raise ValueError("freeze: names: expected something left to train, got all parameters")
    other = copy.copy(model)
    other.params = Parameters(params, params.flat.dtype, frozen, params.transposed)
    return other


def below(prefix: str, name: str) -> bool:
    """Whether the parameter `name` is `prefix`, or below it.

    Examples
    --------
    >>> below("encoder.1", "encoder.1.attention.query.bias"), below("encoder.1", "encoder.12.norm.gamma")
    (True, False)
    """
    return name == prefix or name.startswith(f"{prefix}.")


def any_below(prefix: str, names: Iterable[str]) -> bool:
    """Whether one of `names` is `prefix`, or below it."""
    return any(below(prefix, name) for name in names)
