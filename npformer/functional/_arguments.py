"""What every op does before it works: accept array-likes, refuse anything else by name.

Every message reads ``op: argument: expected ..., got ...``, so that a person finds the mistake
without reading npformer.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Random(Protocol):
    """The one method of `numpy.random.Generator` that ops need."""

    def random(self, size: Any = ..., dtype: Any = ...) -> Any:
        """Return uniform numbers in [0, 1)."""


FLOATS = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.complex128))


def bad_value(op: str, argument: str, expected: str, got: object) -> NoReturn:
    """Raise the ValueError of a bad shape or value."""
    raise ValueError(f"{op}: {argument}: expected {expected}, got {got}")


def bad_type(op: str, argument: str, expected: str, got: object) -> NoReturn:
    """Raise the TypeError of a bad dtype or kind of object."""
    raise TypeError(f"{op}: {argument}: expected {expected}, got {got}")


def _as_array(op: str, argument: str, x: npt.ArrayLike) -> Array:
    try:
        return np.asarray(x)
    except ValueError:  # a ragged list
        bad_value(op, argument, "an array", "a ragged sequence")


def as_float(op: str, argument: str, x: npt.ArrayLike) -> Array:
    """Return `x` as a float32, float64 or complex128 array; integers and booleans become float64."""
    array = _as_array(op, argument, x)
    if array.dtype in FLOATS:
        return array
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    bad_type(op, argument, "float32, float64, complex128 or integers", f"dtype {array.dtype}")


def promote(*arrays: Array, also: Array | None = None) -> tuple[Array, ...]:
    """Return the arrays in the common dtype of them and `also`, so that what follows may work in place."""
    dtype = np.result_type(*arrays, *(() if also is None else (also,)))
    return tuple(a.astype(dtype, copy=False) for a in arrays)


def as_ids(op: str, argument: str, ids: npt.ArrayLike, upper: int, also: int | None = None) -> Array:
    """Return `ids` as an integer array with every entry in [0, upper), or equal to `also`."""
    array = _as_array(op, argument, ids)
    if array.dtype.kind not in "iu":
        if array.size:
            bad_type(op, argument, "integers", f"dtype {array.dtype}")
        array = array.astype(np.int64)  # np.asarray([]) is float64
    wrong = (array < 0) | (array >= upper)
    if also is not None:
        wrong &= array != also
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        allowed = f"ids in [0, {upper})" + ("" if also is None else f" or {also}")
        bad_value(op, argument, allowed, f"{array[where]} at {where}")
    return array


def as_mask(op: str, argument: str, mask: npt.ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return `mask` as a boolean array that broadcasts to `shape` (True = may be attended to)."""
    array = _as_array(op, argument, mask)
    if array.dtype != np.bool_:
        bad_type(op, argument, "booleans (True = may be attended to)", f"dtype {array.dtype}")
    require_broadcastable(op, argument, array, shape)
    return array


def require_broadcastable(op: str, argument: str, x: Array, shape: tuple[int, ...]) -> None:
    """Raise unless `x` broadcasts to exactly `shape`."""
    fits = x.ndim <= len(shape) and all(
        n in (1, m) for n, m in zip(x.shape[::-1], shape[::-1], strict=False)
    )
    if not fits:
        bad_value(op, argument, f"a shape that broadcasts to {shape}", f"shape {x.shape}")


def require_shape(op: str, argument: str, x: Array, shape: tuple[int, ...], letters: str = "") -> None:
    """Raise unless `x` has exactly `shape`; `letters` names its axes, e.g. "(d_in, d_out)"."""
    if x.shape != shape:
        bad_value(op, argument, f"shape {shape}" + (f" = {letters}" if letters else ""), f"shape {x.shape}")


def require_axis(op: str, argument: str, axis: int, ndim: int) -> int:
    """Return `axis` counted from the front; raise unless an array of `ndim` axes has it."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        bad_type(op, argument, "an integer", repr(axis))
    if not -ndim <= axis < ndim:
        bad_value(op, argument, f"an axis in [{-ndim}, {ndim})", axis)
    return int(axis) % ndim


def require_number(op: str, argument: str, x: float, low: float, high: float = math.inf) -> float:
    """Return `x` as a Python float (so that it never widens float32); raise unless low <= x <= high."""
    try:
        value = float(x)
    except (TypeError, ValueError):
        bad_type(op, argument, "a real number", repr(x))
    if not low <= value <= high or math.isinf(value):
        bounds = [f">= {low}"] * (low > -math.inf) + [f"<= {high}"] * (high < math.inf)
        bad_value(op, argument, f"a finite number {' and '.join(bounds)}".rstrip(), value)
    return value


def require_positive(op: str, argument: str, x: float) -> float:
    """Return `x` as a Python float; raise unless it is a finite number > 0."""
    value = require_number(op, argument, x, low=0.0)
    if value == 0:
        bad_value(op, argument, "a number > 0", value)
    return value


def require_size(op: str, argument: str, n: int, low: int = 0) -> int:
    """Return `n` as an int; raise unless it is an integer >= low."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        bad_type(op, argument, "an integer", repr(n))
    if n < low:
        bad_value(op, argument, f"an integer >= {low}", n)
    return int(n)


def require_random(op: str, rng: Random | None) -> Random:
    """Return `rng`; raise unless it has the method `random`."""
    if rng is None or not callable(getattr(rng, "random", None)):
        bad_type(op, "rng", "a numpy.random.Generator", type(rng).__name__)
    return rng


def as_dout(op: str, dout: npt.ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return the cotangent `dout` as a float array of exactly the output's `shape`."""
    array = as_float(f"{op}_backward", "dout", dout)
    require_shape(f"{op}_backward", "dout", array, shape, "the output's shape")
    return array
