"""Exercise: dropout."""

from __future__ import annotations

import numpy as np

from ..by_referee import op_pair
from ..exercise import Exercise, Point
from .points import in_float32, normal, shown


def _points() -> list[Point]:
    first = shown("dropout")
    return [
        first,
        Point("another rate", {"x": normal(1, 3, 5), "rng": np.random.default_rng(1), "p": 0.6}),
        Point("nothing dropped", {"x": normal(2, 3, 2), "rng": np.random.default_rng(2), "p": 0.0}),
        in_float32(first),
    ]


_grade, _items = op_pair(
    "dropout",
    "dropout",
    {"value": 1, "dx": 2},
    _points,
    slips=(
        (
            "dropout_forward",
            "x * keep / (1 - p)",
            "x * keep",
            "This is what is kept, unscaled; divide by 1 - p.",
        ),
        (
            "dropout_forward",
            "x * keep / (1 - p)",
            "x * keep / p",
            "This is divided by p, the rate that is dropped; divide by 1 - p.",
        ),
    ),
)

EXERCISE = Exercise(
    name="dropout",
    title="dropout: the backward uses what the forward drew",
    functions=("dropout_forward", "dropout_backward"),
    items=_items,
    hints=(
        "Given what was drawn, dropout multiplies each entry by a constant. Its gradient is that constant.",
        "Draw nothing in the backward: the cache holds what was kept.",
        "The constant is keep / (1 - p), in both directions.",
    ),
    grade=_grade,
)
