"""Exercise: GELU."""

from __future__ import annotations

from ..by_referee import op_pair
from ..exercise import Exercise, Point
from .points import in_float32, normal, shown


def _points() -> list[Point]:
    return [
        shown("gelu"),
        Point("three axes", {"x": normal(1, 2, 3, 5)}),
        Point("large numbers", {"x": 30 * normal(2, 4, 3)}),
        in_float32(shown("gelu")),
    ]


_grade, _items = op_pair(
    "gelu",
    "gelu",
    {"value": 1, "dx": 3},
    _points,
    slips=(
        (
            "gelu_forward",
            "x * 0.5 * (1 + erf(x / math.sqrt(2)))",
            "x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))",
            "This is the tanh approximation; the erf form is wanted.",
        ),
        (
            "gelu_forward",
            "erf(x / math.sqrt(2))",
            "erf(x)",
            "This is erf(x): the argument is x / √2.",
        ),
    ),
)

EXERCISE = Exercise(
    name="gelu",
    title="GELU: the product rule, and an inner derivative",
    functions=("gelu_forward", "gelu_backward"),
    items=_items,
    hints=(
        "x Φ(x) is a product of two functions of x: its derivative has two terms.",
        "The derivative of Φ is the normal density φ; the formula is at the top of the file.",
        "dx = dout (Φ(x) + x φ(x)).",
    ),
    grade=_grade,
)
