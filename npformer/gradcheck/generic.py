"""A point like a given one, at which as little as possible hides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .streams import own_stream

Array = npt.NDArray[Any]


def generic_like(inputs: Mapping[str, Any], rng: np.random.Generator | None = None) -> dict[str, Any]:
    """Return inputs of the same names, shapes and dtypes that have no blind spot which values can remove.

    Parameters
    ----------
    inputs : mapping of str to anything
        A point, e.g. a model at initialisation.
    rng : numpy.random.Generator, optional
        Default: numbers of its own, the same each time.

    Returns
    -------
    dict
        Floating-point arrays are normal with a standard deviation of 1 / √(second-last size); where the given
        ones are constant, uniform around that constant (gamma between 0.5 and 1.5); where they are all
        positive, uniform between the smallest and the largest. Integers are drawn from those given, with a
        repeat; booleans are mixed, with a True in every row. Everything else is passed on, and arrays with
        entries that are not finite (additive masks).

    Raises
    ------
    TypeError
        If `inputs` is no mapping.

    Notes
    -----
    Shapes stay as they are, since what belongs together is not known: equal sizes and axes of size 1 stay in
    the report as blind spots. `npformer.diagnosis.sample_inputs(op)` has a point without those for every op.

    Examples
    --------
    >>> import numpy as np
    >>> from npformer.gradcheck.blind_spots import of_inputs
    >>> point = {"gamma": np.ones(3), "beta": np.zeros(3), "ids": np.array([0, 2, 5])}
    >>> len(of_inputs(point)), len(of_inputs(generic_like(point)))
    (3, 0)
    """
    if not isinstance(inputs, Mapping):
        raise TypeError(
            f"generic_like: inputs: expected a mapping of names to inputs, got {type(inputs).__name__}"
        )
    rng = own_stream("point") if rng is None else rng
    return {name: _like(x, rng) if isinstance(x, np.ndarray) else x for name, x in inputs.items()}


def _like(x: Array, rng: np.random.Generator) -> Array:
    if not x.size or x.dtype.kind not in "fiub":
        return x.copy()
    if x.dtype.kind == "f":
        if not np.isfinite(x).all():  # an additive mask of 0 and -inf is a constant
            return x.copy()
        low, high = float(x.min()), float(x.max())
        if low == high and low != 0:
            low, high = sorted((0.5 * low, min(1.5 * low, float(np.finfo(x.dtype).max))))
        elif not 0 < low < high:
            fan_in = x.shape[-2] if x.ndim > 1 else 1
            return (rng.standard_normal(x.shape) / np.sqrt(fan_in)).astype(x.dtype)
        return rng.uniform(low, high, x.shape).astype(x.dtype)
    if x.dtype.kind == "b":
        mixed = rng.random(x.shape) < 0.7
        mixed[..., -1:] = False
        mixed[..., :1] = True
        return mixed if x.ndim and x.shape[-1] > 1 else x.copy()
    drawn = rng.choice(x.ravel(), x.shape)
    if x.size > 1:
        drawn.flat[-1] = drawn.flat[0]
    return np.asarray(drawn, x.dtype)
