"""Exercise: linear."""

from __future__ import annotations

from ..by_referee import op_pair
from ..exercise import Exercise, Point
from .points import in_float32, normal, shown


def _points() -> list[Point]:
    return [
        shown("linear"),
        Point("one row", {"x": normal(1, 1, 4), "w": normal(2, 4, 3), "b": normal(3, 3)}),
        Point("a square weight", {"x": normal(4, 7, 3), "w": normal(5, 3, 3), "b": normal(6, 3)}),
        in_float32(shown("linear")),
    ]


_grade, _items = op_pair("linear", "linear", {"value": 1, "dx": 1, "dw": 1, "db": 1}, _points)

EXERCISE = Exercise(
    name="linear",
    title="the weighted sum, its backward, and why a bias gets a sum",
    functions=("linear_forward", "linear_backward"),
    items=_items,
    hints=(
        "Write the shapes beside the letters. There is one product of dout and w that has the shape of x.",
        "dw has the shape of w, (d_in, d_out): sum over the rows of x and dout. A product does that.",
        "b was added to every row, so every row of dout is a gradient of b: add them up.",
    ),
    grade=_grade,
)
