"""Exercise: embedding."""

from __future__ import annotations

import numpy as np

from ..by_referee import op_pair
from ..exercise import Exercise, Point
from .points import in_float32, normal, shown


def _points() -> list[Point]:
    return [
        shown("embedding"),
        Point("ids in one axis, all the same", {"ids": np.full(5, 2), "table": normal(1, 4, 3)}),
        Point("a table larger than the text", {"ids": np.array([[7], [0], [7]]), "table": normal(2, 9, 2)}),
        in_float32(shown("embedding")),
    ]


_grade, _items = op_pair("embedding", "embedding", {"value": 1, "dtable": 3}, _points)

EXERCISE = Exercise(
    name="embedding",
    title="embedding: an id that stands there twice gets two gradients",
    functions=("embedding_forward", "embedding_backward"),
    items=_items,
    hints=(
        "Start with zeros of the shape of the table and bring each row of dout to the row its id names.",
        "dtable[ids] += dout writes each row once, however often its id stands there. Try it.",
        "np.add.at(dtable, ids, dout) adds every time.",
    ),
    grade=_grade,
)
