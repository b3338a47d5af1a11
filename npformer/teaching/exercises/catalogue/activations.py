"""Exercise: relu and tanh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..by_referee import op_pair
from ..exercise import Exercise, Mark, Point
from .points import in_float32, normal, shown


def _points() -> list[Point]:
    return [
        shown("relu"),
        Point("three axes", {"x": normal(1, 2, 3, 4) + 0.1}),
        Point("large numbers", {"x": 300 * normal(2, 3, 3)}),
        in_float32(shown("relu")),
    ]


_relu, _relu_items = op_pair("relu", "relu", {"dx": 2}, _points)
_tanh, _tanh_items = op_pair("tanh", "tanh", {"dx": 2}, _points)


def _grade(theirs: Any, ours: Any) -> Iterator[Mark]:
    yield from _relu(theirs, ours)
    yield from _tanh(theirs, ours)


EXERCISE = Exercise(
    name="activations",
    title="relu and tanh: a diagonal Jacobian",
    functions=("relu_backward", "tanh_backward"),
    items=_relu_items + _tanh_items,
    hints=(
        "Entry i of the output depends on entry i of the input alone: dx = dout times the derivative there.",
        "The derivative of relu is 1 where x > 0 and 0 elsewhere. Ask x, not dout.",
        "The derivative of tanh is 1 - tanh(x)², and tanh(x) is what the cache holds already.",
    ),
    grade=_grade,
)
