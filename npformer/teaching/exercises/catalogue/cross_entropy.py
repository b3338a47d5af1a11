"""Exercise: cross entropy."""

from __future__ import annotations

import numpy as np

from ..by_referee import op_pair
from ..exercise import Exercise, Point
from .points import in_float32, normal, shown


def _points() -> list[Point]:
    some = np.array([1, -100, 2, 1, -100])
    return [
        shown("cross_entropy"),
        Point("large logits", {"logits": 1000 * normal(1, 5, 3), "targets": some}),
        Point("most rows ignored", {"logits": normal(2, 5, 7), "targets": np.where(some == 2, 2, -100)}),
        Point("every row ignored", {"logits": normal(3, 5, 4), "targets": np.full(5, -100)}),
        in_float32(shown("cross_entropy")),
    ]


_grade, _items = op_pair(
    "cross_entropy",
    "cross_entropy",
    {"value": 2, "dlogits": 3},
    _points,
    slips=(
        (
            "cross_entropy_forward",
            "max(valid.sum(), 1)",
            "len(targets)",
            "This is the mean over all rows; the ignored ones do not count.",
        ),
        (
            "cross_entropy_forward",
            "/ max(valid.sum(), 1)",
            "",
            "This is the sum of the losses; the mean over the rows with a target is wanted.",
        ),
    ),
)

EXERCISE = Exercise(
    name="cross_entropy",
    title="cross entropy: softmax and logarithm together, with rows that do not count",
    functions=("cross_entropy_forward", "cross_entropy_backward"),
    items=_items,
    hints=(
        "log softmax = z - log Σ exp(z) with z = logits - max: nothing overflows, and log 0 is never taken.",
        "For one row the gradient is softmax(logits) minus 1 at the target. Nothing more.",
        "Rows that do not count get 0; the others are divided by how many count, and multiplied by dout.",
    ),
    grade=_grade,
)
