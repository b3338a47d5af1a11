"""What the blocks share: the types, and how a gradient is added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Params = Mapping[str, Array]
Grads = Any  # a mapping of names to arrays that are added to in place (models.Parameters, or a dict)


class Random(Protocol):
    """The one method of `numpy.random.Generator` that dropout needs."""

    def random(self, size: Any = ..., dtype: Any = ...) -> Any:
        """Return uniform numbers in [0, 1)."""


def add_gradient(grads: Grads, name: str, gradient: Array | None) -> None:
    """Add `gradient` to `grads[name]` in place; a frozen parameter has no place there and is passed over."""
    assert gradient is not None  # None is the gradient of a bias that was not given: blocks give theirs
    if name in grads:
        np.add(grads[name], gradient, out=grads[name])


def normal(rng: np.random.Generator, std: float, *shape: int) -> Array:
    """Return N(0, std²), the usual initial weights."""
    return rng.standard_normal(shape) * std
