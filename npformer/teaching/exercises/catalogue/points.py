"""Where the exercises are graded: the shown point of each op, and its hidden ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....diagnosis import sample_inputs
from ..exercise import Point

SHOWN = "the shown point"


def shown(op: str) -> Point:
    """The point whose numbers a student gets to see."""
    return Point(SHOWN, sample_inputs(op, 0))


def in_float32(point: Point) -> Point:
    """The same point in float32."""
    inputs = {
        name: x.astype(np.float32) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x
        for name, x in point.inputs.items()
    }
    return Point("float32 inputs", inputs)


def normal(seed: int, *shape: int) -> Any:
    """Standard normal numbers."""
    return np.random.default_rng([seed, 23]).standard_normal(shape)


def gains(seed: int, d: int) -> Any:
    """Numbers between 0.5 and 1.5."""
    return np.random.default_rng([seed, 29]).uniform(0.5, 1.5, d)
