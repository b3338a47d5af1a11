"""The weights of an attention that does not show them: its output is linear in the values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def kept_weights(output_at: Callable[[Mapping[str, Any]], Array], name: str, v: Array) -> list[Array]:
    """Return which weights dropout kept (or a mask), as one array of 0 and 1; none if that cannot be told.

    Parameters
    ----------
    output_at : callable
        Returns the output with some inputs changed.
    name : str
        Of the values among the inputs.
    v : ndarray, shape (..., S, d_v)
    """
    if v.ndim < 2 or not v.size:
        return []
    S, d_v = v.shape[-2:]
    columns = []
    for s in range(0, S, d_v):  # so many keys at once, each with a value of its own
        unit = np.zeros(v.shape)
        keys = np.arange(s, min(s + d_v, S))
        unit[..., keys, keys - s] = 1
        columns.append(np.asarray(output_at({name: unit}))[..., : keys.size])
    weights = np.concatenate(columns, axis=-1)
    told = bool(np.isfinite(weights).all() and (weights == 0).any() and weights.any())
    return [(weights != 0).astype(np.float64)] if told else []
