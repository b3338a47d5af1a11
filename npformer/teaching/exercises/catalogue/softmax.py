"""Exercise: softmax."""

from __future__ import annotations

from ..by_referee import op_pair
from ..exercise import Exercise, Point
from .points import in_float32, normal, shown


def _points() -> list[Point]:
    return [
        shown("softmax"),
        Point("four axes", {"x": normal(1, 2, 1, 3, 5)}),
        Point("large numbers", {"x": 1000 * normal(2, 3, 4)}),
        Point("one entry in a row", {"x": normal(3, 3, 1)}),
        in_float32(shown("softmax")),
    ]


_grade, _items = op_pair(
    "softmax",
    "softmax",
    {"value": 1, "dx": 3},
    _points,
    slips=(
        (
            "softmax_forward",
            "e / e.sum(axis=-1, keepdims=True)",
            "e / e.sum()",
            "This is what a sum over everything gives; each row has its own.",
        ),
        (
            "softmax_forward",
            "e / e.sum(axis=-1, keepdims=True)",
            "e / e.sum(axis=0, keepdims=True)",
            "This is what the first axis gives; the last one is wanted.",
        ),
    ),
)

EXERCISE = Exercise(
    name="softmax",
    title="softmax: a Jacobian that is not diagonal, and never formed",
    functions=("softmax_forward", "softmax_backward"),
    items=_items,
    hints=(
        "The derivative of p_i by x_j is p_i (1 - p_i) for i = j and -p_i p_j otherwise.",
        "Write dx_j = Σ_i dout_i · dp_i/dx_j as two terms: one with i = j, one with the sum over all i.",
        "Take p_j out: dx_j = p_j (dout_j - a number of the row). Which number?",
    ),
    grade=_grade,
)
