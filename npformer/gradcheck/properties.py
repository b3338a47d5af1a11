"""Properties of a forward that no gradient check can see: a backward can be right for a wrong forward.

Heads split by a reshape without a transpose, a mask that is off by one, a norm over the batch: the gradient
agrees with the numeric one, and the function is not the one that was meant. Each check here calls the forward
at two inputs whose outputs must be related, and returns a `Property`.

A forward is called as ``f(**inputs)`` and returns an array, or a tuple whose first entry is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .derivative import fresh
from .report import GradientError
from .streams import own_stream

Array = npt.NDArray[Any]
Forward = Callable[..., Any]

ROUNDING, ROUNDING_FLOAT32 = 1e-12, 1e-5  # of the largest output, where the order of a sum may change


@dataclass(frozen=True)
class Property:
    """Does a property hold at a point?

    Parameters
    ----------
    name : str
    passed : bool
    sentence : str
        The fact, with the first place where the property is broken.
    error : float
        Largest difference over the largest output.
    """

    name: str
    passed: bool
    sentence: str
    error: float

    def __str__(self) -> str:
        return f"{self.name}: {'holds' if self.passed else 'BROKEN'}. {self.sentence}"

    def raise_if_failed(self) -> None:
        """Raise GradientError, an AssertionError, unless it holds."""
        if not self.passed:
            raise GradientError(str(self))


def permutation_equivariant(
    f: Forward, inputs: Mapping[str, Any], over: Mapping[str, int], out_axis: int
) -> Property:
    """Permuting an axis of the inputs permutes the output alike: attention without positions.

    Two permutations are tried at the point: a turn by one place, and an exchange of the first two. All others
    are made of these, so that a function that moves with both wherever it is called moves with every one.
    Only this point is tried.

    Parameters
    ----------
    f : callable
    inputs : mapping of str to anything
    over : mapping of str to int
        The axis of each input that is permuted.
    out_axis : int

    Returns
    -------
    Property

    Examples
    --------
    >>> x = np.arange(6.0).reshape(3, 2)
    >>> permutation_equivariant(lambda x: x - x.mean(axis=0), {"x": x}, over={"x": 0}, out_axis=0).passed
    True
    >>> permutation_equivariant(lambda x: np.cumsum(x, axis=0), {"x": x}, over={"x": 0}, out_axis=0).passed
    False
    """
    size = _size(inputs, over, "permutation_equivariant")
    here = _out(f, inputs)

    def at(order: Array) -> Property:
        moved = {**inputs, **{name: np.take(inputs[name], order, axis) for name, axis in over.items()}}
        return _compared(
            "permutation equivariance",
            _out(f, moved),
            np.take(here, order, out_axis),
            "the output does not move with the permuted inputs",
        )

    # a convolution survives the turn alone
    turned, exchanged = at(np.roll(np.arange(size), 1)), at(np.r_[1, 0, np.arange(2, size)])
    return exchanged if turned.passed else turned


def causal(f: Forward, inputs: Mapping[str, Any], over: Mapping[str, int], out_axis: int) -> Property:
    """A change at a later position leaves the output at earlier ones as it is, bit for bit.

    Parameters
    ----------
    f, inputs, over, out_axis
        As for `permutation_equivariant`; `over` names the axis of positions.

    Returns
    -------
    Property

    Raises
    ------
    ValueError
        If the axes do not fit, or an input cannot be changed: ids that are all one have no other to take.

    Examples
    --------
    >>> x = np.arange(6.0).reshape(3, 2)
    >>> causal(lambda x: np.cumsum(x, axis=0), {"x": x}, over={"x": 0}, out_axis=0).passed
    True
    >>> causal(lambda x: np.roll(x, -1, axis=0), {"x": x}, over={"x": 0}, out_axis=0).sentence[:65]
    'The output at position 0 changes with the input at position 1; mo'
    """
    size = _size(inputs, over, "causal")
    before, rng = _out(f, inputs), own_stream("changes")
    for t in range(1, size):
        moved = dict(inputs)
        for name, axis in over.items():
            changed = np.array(inputs[name])
            index = [slice(None)] * changed.ndim
            index[axis] = slice(t, None)
            part = changed[tuple(index)]
            changed[tuple(index)] = _other(part, np.unique(changed), rng)
            if np.array_equal(changed, inputs[name], equal_nan=changed.dtype.kind in "fc"):
                raise ValueError(
                    f"causal: inputs: expected {name} with values that can be changed (two different ids or "
                    f"more, no floats beyond 1e15), got {changed.flat[:1]} and none that takes its place"
                )
            moved[name] = changed
        early = np.arange(t)
        one, other = np.take(before, early, out_axis), np.take(_out(f, moved), early, out_axis)
        if not np.array_equal(one, other, equal_nan=True):
            where = int(np.argwhere(np.moveaxis(one != other, out_axis, 0))[0][0])
            sentence = f"The output at position {where} changes with the input at position {t}"
            return _compared("causality", other, one, sentence[0].lower() + sentence[1:], exact=True)
    return Property("causality", True, f"All {size} positions see no later one, bit for bit.", 0.0)


def _other(x: Array, values: Array, rng: np.random.Generator) -> Array:
    """Other numbers in each place: a constant added to all is one that a norm does not see."""
    if x.dtype.kind == "f":
        return np.asarray(x + rng.standard_normal(x.shape), x.dtype)
    if x.dtype.kind == "b":
        return np.asarray(~x)
    return np.asarray(values[(np.searchsorted(values, x) + 1) % len(values)])  # the next one there is


def batch_independent(
    f: Forward, inputs: Mapping[str, Any], over: Mapping[str, int], out_axis: int = 0
) -> Property:
    """Each row of a batch alone gives the row that it gives among the others.

    Parameters
    ----------
    f, inputs, over, out_axis
        As for `permutation_equivariant`; `over` names the axis of the batch.

    Returns
    -------
    Property

    Examples
    --------
    >>> x = np.arange(6.0).reshape(3, 2)
    >>> batch_independent(lambda x: x - x.mean(axis=-1, keepdims=True), {"x": x}, over={"x": 0}).passed
    True
    >>> batch_independent(lambda x: x - x.mean(axis=0), {"x": x}, over={"x": 0}).passed
    False
    """
    size = _size(inputs, over, "batch_independent")
    together = _out(f, inputs)
    alone = [
        _out(f, {**inputs, **{name: np.take(inputs[name], [b], axis) for name, axis in over.items()}})
        for b in range(size)
    ]
    words = "a row among others is not what it is alone"
    return _compared("batch independence", together, np.concatenate(alone, axis=out_axis), words)


def shift_invariant(
    f: Forward, inputs: Mapping[str, Any], name: str, axis: int = -1, by: float = 0.7
) -> Property:
    """A constant added along an axis of one input leaves the output as it is: softmax, layer norm.

    Parameters
    ----------
    f, inputs
    name : str
        The input that is shifted, by a constant of its own for each row.
    axis : int
        The axis along which the constant is the same.
    by : float

    Returns
    -------
    Property

    Examples
    --------
    >>> x = np.arange(6.0).reshape(3, 2)
    >>> shift_invariant(lambda x: x - x.mean(axis=-1, keepdims=True), {"x": x}, "x").passed
    True
    """
    x = np.asarray(inputs[name])
    rows = x.shape[:axis] + (1,) + x.shape[axis:][1:]
    constants = by * (1 + np.arange(int(np.prod(rows)), dtype=x.dtype).reshape(rows))
    words = f"the output changes when a constant is added to {name}"
    return _compared("shift invariance", _out(f, {**inputs, name: x + constants}), _out(f, inputs), words)


def masked_key_equals_deleted_key(
    f: Forward, inputs: Mapping[str, Any], mask: str, keys: Mapping[str, int], mask_axis: int = -1
) -> Property:
    """A key that no query may see can be deleted, and nothing changes.

    Parameters
    ----------
    f, inputs
    mask : str
        The boolean input, True = may be attended to.
    keys : mapping of str to int
        The axis of keys of every input that has one (k and v), without the mask.
    mask_axis : int

    Returns
    -------
    Property

    Examples
    --------
    >>> def average(x, mask):
    ...     return np.where(mask, x, 0).sum() / mask.sum()
    >>> point = {"x": np.arange(4.0), "mask": np.ones(4, bool)}
    >>> masked_key_equals_deleted_key(average, point, "mask", {"x": 0}).passed
    True
    """
    size = _size(inputs, keys, "masked_key_equals_deleted_key")
    last = size - 1
    seen = np.array(inputs[mask])
    if seen.dtype != np.bool_:
        raise TypeError(f"masked_key_equals_deleted_key: {mask}: expected booleans, got dtype {seen.dtype}")
    np.moveaxis(seen, mask_axis, 0)[last] = False
    kept = np.arange(last)
    without = {name: np.take(inputs[name], kept, axis) for name, axis in keys.items()}
    without[mask] = np.take(seen, kept, mask_axis)
    words = "a masked key does not count as a deleted one"
    masked = _out(f, {**inputs, mask: seen})
    return _compared("masked key = deleted key", masked, _out(f, {**inputs, **without}), words)


def _out(f: Forward, inputs: Mapping[str, Any]) -> Array:
    result = f(**fresh(dict(inputs)))
    return np.array(result[0] if isinstance(result, tuple) else result)


def _size(inputs: Mapping[str, Any], over: Mapping[str, int], what: str) -> int:
    sizes = {name: np.shape(inputs[name])[axis] for name, axis in over.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"{what}: over: expected axes of one length, got {sizes or 'none'}")
    size = next(iter(sizes.values()))
    if size < 2:
        raise ValueError(f"{what}: over: expected axes of length 2 or more, got {size}")
    return size


def _compared(name: str, given: Array, expected: Array, words: str, exact: bool = False) -> Property:
    words = words[0].upper() + words[1:]
    if given.shape != expected.shape:
        sentence = f"{words}: shapes {given.shape} and {expected.shape}."
        return Property(name, False, sentence, float("inf"))
    scale = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))) or 1.0
    with np.errstate(invalid="ignore"):
        difference = np.where(_both_same(given, expected), 0.0, np.abs(given - expected))
    difference = np.where(np.isnan(difference), np.inf, difference)
    error = float(np.max(difference, initial=0.0)) / scale
    if error <= (0.0 if exact else ROUNDING if given.dtype.itemsize >= 8 else ROUNDING_FLOAT32):
        return Property(name, True, f"{given.size} outputs agree to {error:.1e} of the largest.", error)
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(difference)), given.shape))
    sentence = f"{words}; most at {where}: {given[where]:.6g} for {expected[where]:.6g}."
    return Property(name, False, sentence, error)


def _both_same(a: Array, b: Array) -> Array:
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)))
