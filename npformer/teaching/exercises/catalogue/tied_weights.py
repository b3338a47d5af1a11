"""Exercise: tied weights."""

from __future__ import annotations

import numpy as np

from ..by_referee import op_pair
from ..exercise import Exercise, Point
from .points import in_float32, normal, shown


def _points() -> list[Point]:
    first = shown("tied_embeddings")
    return [
        first,
        Point("one token", {"ids": np.array([[1]]), "table": normal(1, 3, 2)}),
        Point("ids all the same, a square table", {"ids": np.full((2, 3), 1), "table": normal(2, 4, 4)}),
        in_float32(first),
    ]


_grade, _items = op_pair("tied_weights", "tied_embeddings", {"dtable": 4}, _points)

EXERCISE = Exercise(
    name="tied_weights",
    title="tied weights: one table, two gradients",
    functions=("tied_weights_backward",),
    items=_items,
    hints=(
        "Give the two uses two names, table₁ and table₂. Find both gradients; the table's is their sum.",
        "logits = h tableᵀ is linear in both: dtable₂ sums doutᵀ h over all positions, dh = dout table.",
        "dh passes through tanh and then lands on the rows of ids: np.add.at.",
    ),
    grade=_grade,
)
