"""What the models' forwards are given, checked: token ids, masks, positions, names to collect."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from .parameters import Array


def integers(model: str, argument: str, values: Any, ndim: int, upper: int) -> Array:
    """Return `values` as an array of integers in [0, upper)."""
    try:
        array = np.asarray(values)
    except ValueError:  # NumPy's speaks of inhomogeneous shapes
        raise ValueError(
            f"{model}: {argument}: expected rows of one length (padded, with a mask), got several"
        ) from None
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{model}: {argument}: expected integers, got dtype {array.dtype}")
    array = array.astype(np.intp, copy=False)
    if array.ndim != ndim:
        raise ValueError(f"{model}: {argument}: expected {ndim} axes, got shape {array.shape}")
    if array.size and not (array.min() >= 0 and array.max() < upper):
        got = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"{model}: {argument}: expected integers in [0, {upper}), got {got}")
    return array


def token_ids(model: str, argument: str, ids: Any, vocab_size: int, max_positions: int) -> Array:
    """Return token ids (B, T), T at most `max_positions`."""
    ids = integers(model, argument, ids, 2, vocab_size)
    if max_positions < ids.shape[1]:
        raise ValueError(
            f"{model}: {argument}: expected at most max_positions = {max_positions} tokens, "
            f"got {ids.shape[1]}"
        )
    return ids


def sequences(op: str, argument: str, values: Sequence[Any], upper: int, longest: int) -> list[Array]:
    """Return `sequence` of each of `values`."""
    return [sequence(op, f"{argument}[{i}]", each, upper, longest) for i, each in enumerate(values)]


def sequence(op: str, argument: str, values: Any, upper: int, longest: int) -> Array:
    """Return `values` as an array (T,) of integers in [0, upper), T from 1 to `longest`."""
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{op}: {argument}: expected token ids, got text; tokenizer.encode(text).ids")
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{op}: {argument}: expected one axis of integers, got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{op}: {argument}: expected at least one token, got none")
    if array.size > longest:
        raise ValueError(
            f"{op}: {argument}: expected at most max_positions = {longest} tokens, got {array.size}"
        )
    return integers(op, argument, array, 1, upper)


def token_mask(model: str, argument: str, mask: Any, shape: tuple[int, ...]) -> Array | None:
    """Return a mask of real tokens (B, T), None where there is none or everything is real."""
    if mask is None:
        return None
    mask = np.asarray(mask)
    if mask.dtype != np.bool_:
        raise TypeError(
            f"{model}: {argument}: expected booleans (True = a real token), got dtype {mask.dtype}"
        )
    if mask.shape != shape:
        raise ValueError(f"{model}: {argument}: expected shape {shape}, got {mask.shape}")
    return None if mask.all() else mask


def positions(mask: Array | None) -> Array | None:
    """Return the positions (B, T) of real tokens among themselves; None where they are 0, 1, 2, ..."""
    if mask is None or not (mask[:, 1:] & ~mask[:, :-1]).any():  # padding on the right
        return None
    return np.maximum(np.cumsum(mask, axis=1) - 1, 0)


def unbroken(model: str, real: Array) -> None:
    """Raise if padding stands between the real tokens (B, T) of a sequence."""
    begun = np.logical_or.accumulate(real, axis=1)[:, :-1]
    broken = (begun & ~real[:, :-1] & real[:, 1:]).any(axis=1)
    if broken.any():
        raise ValueError(
            f"{model}: mask: expected no padding between real tokens, as distances of ALiBi and of a window "
            f"would count it, got some in sequence {int(broken.argmax())}"
        )


def names(model: str, collect: Collection[str], collectable: Collection[str]) -> None:
    """Raise unless everything to collect is collectable."""
    if isinstance(collect, str):
        raise TypeError(f"{model}: collect: expected a list of names, got the string {collect!r}")
    unknown = sorted(set(collect) - set(collectable))
    if unknown:
        raise ValueError(
            f"{model}: collect: expected names among {', '.join(collectable)}, got {unknown[0]!r}"
        )


def decoding_sizes(model: str, batch: int, capacity: int) -> None:
    """Raise unless there can be a state for decoding of these sizes."""
    for argument, value in (("batch", batch), ("capacity", capacity)):
        if value < 1:
            raise ValueError(f"{model}.start: {argument}: expected at least 1, got {value}")


def kept(model: str, cache: Any) -> None:
    """Raise ValueError if a backward is given the empty `cache` of a forward that kept nothing."""
    if cache is None:
        raise ValueError(
            f"{model}.backward: cache: expected one of a forward with keep=True, got keep=False"
        )
