"""Low-rank adapters put on a model, and merged into it.

    add_lora      A is random, B is zero: the model computes at first what it did. Its own weights are frozen.
    merge_lora    W + s A B in the place of W: a plain model that computes the same, at no cost.

The formula and its backward are in nn/lora.py.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..nn._blocks import normal
from ..nn.lora import SCALE, A, B, weight_of
from .freezing import any_below, below
from .lora_config import HEAD, LoraConfig
from .parameters import Array, Parameters

LAYERS = ("encoder.", "decoder.")  # whose maps can be adapted
ADAPTERS = (A, B, SCALE)  # the endings of their names


def add_lora(
    model: Any,
    r: int = 8,
    alpha: float = 16.0,
    targets: Sequence[str] = ("query", "value"),
    *,
    trained: Sequence[str] = (HEAD,),
    rng: np.random.Generator | None = None,
) -> Any:
    """Return a model with adapters, which alone are trained, with the head of a task and what else is named.

    Parameters
    ----------
    model : Encoder, Decoder or EncoderDecoder
        Not changed, and nothing of it is shared.
    r, alpha, targets, trained
        As in `LoraConfig`.
    rng : numpy.random.Generator, optional
        Draws A; default: seed 0.

    Returns
    -------
    Encoder, Decoder or EncoderDecoder
        The values of `model`, and adapters that change nothing yet.

    Raises
    ------
    ValueError, TypeError
        If `model` has adapters, if nothing in it has one of the names, or as `LoraConfig` says.

    References
    ----------
    Hu et al.: LoRA: Low-Rank Adaptation of Large Language Models, arXiv:2106.09685, section 4.

    Examples
    --------
    >>> from npformer.models import Encoder, EncoderConfig
    >>> config = EncoderConfig(vocab_size=30, d_model=8, n_heads=2, d_ff=16, n_layers=2, max_positions=10)
    >>> model = add_lora(Encoder(config), r=2, alpha=4)
    >>> [name for name in model.params.layout if name.endswith("lora_a")][:2]
    ['encoder.0.attention.query.weight.lora_a', 'encoder.0.attention.value.weight.lora_a']
    >>> model.params.flat.size, model.params.frozen_flat.size
    (128, 1674)
    """
    if model.config.lora is not None:
        raise ValueError("add_lora: model: expected one without adapters (merge_lora), got one with them")
    lora = LoraConfig(r, alpha, targets, trained)
    config = replace(model.config, lora=lora)
    rng = np.random.default_rng(0) if rng is None else rng
    params = initial_parameters(model.params, lora, rng, model.params.flat.dtype)
    return _with(model, config, params)


def merge_lora(model: Any) -> Any:
    """Return the model with its adapters merged into the weights: it computes the same.

    Parameters
    ----------
    model : Encoder, Decoder or EncoderDecoder
        Not changed, and nothing of it is shared.

    Returns
    -------
    Encoder, Decoder or EncoderDecoder
        Nothing of it is frozen.

    Raises
    ------
    ValueError
        If `model` has no adapters.
    """
    if model.config.lora is None:
        raise ValueError("merge_lora: model: expected one with adapters (add_lora), got one without")
    params = model.params
    values = {name: weight_of(params, name) for name in params if not name.endswith(ADAPTERS)}
    return _with(model, replace(model.config, lora=None), Parameters(values, params.flat.dtype))


def initial_parameters(
    values: Mapping[str, Array], lora: LoraConfig | None, rng: np.random.Generator, dtype: npt.DTypeLike
) -> Parameters:
    """Return a model's parameters out of its initial `values`, with adapters where `lora` asks for them.

    A is drawn with the standard deviation 1 / sqrt(d_in), so that x A is as large as x; B is zero.

    Raises
    ------
    ValueError
        If nothing has one of the names in `lora`.
    """
    if lora is None:
        return Parameters(values, dtype)
    adapters: dict[str, npt.ArrayLike] = {}
    for name in _adapted(values, lora):
        d_in, d_out = values[name].shape
        adapters[name + A] = normal(rng, d_in**-0.5, d_in, lora.r)
        adapters[name + B] = np.zeros((lora.r, d_out))
        adapters[name + SCALE] = lora.alpha / lora.r
    for name in lora.trained:
        if name != HEAD and not any_below(name, values):
            raise ValueError(
                f"LoraConfig: trained: expected beginnings of parameters' names, e.g. "
                f"{next(iter(values))!r}, got {name!r}"
            )
    frozen = [n for n in values if not any(below(name, n) for name in lora.trained)]
    frozen += [n for n in adapters if n.endswith(SCALE)]
    return Parameters({**values, **adapters}, dtype, frozen)


def _adapted(values: Mapping[str, Array], lora: LoraConfig) -> list[str]:
    """Return the names of the weights that have one of the targets in them."""
    weights = [name for name in values if name.startswith(LAYERS) and name.endswith(".weight")]
    for target in lora.targets:
        if not any(target in _parts(name) for name in weights):
            parts = sorted({part for name in weights for part in _parts(name)})
            raise ValueError(
                f"LoraConfig: targets: expected names among {', '.join(parts)}, got {target!r}"
            )
    return [name for name in weights if not set(_parts(name)).isdisjoint(lora.targets)]


def _parts(name: str) -> list[str]:
    return name.split(".")[2:-1]  # encoder.0.attention.query.weight: attention, query


def _with(model: Any, config: Any, params: Parameters) -> Any:
    """Return `model` with another configuration and parameters; its blocks hold neither."""
    other = copy.copy(model)
    other.config, other.params = config, params
    return other
