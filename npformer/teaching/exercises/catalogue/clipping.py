"""Exercise: clipping by the global norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..by_value import by_value
from ..exercise import Exercise, Point
from .points import SHOWN, normal

_S = "clip_by_global_norm"


def _points() -> list[Point]:
    grads = {"w": normal(1, 3, 4), "b": 2 * normal(2, 4)}
    return [
        Point(SHOWN, {**grads, "max_norm": 1.5}),
        Point("short enough already", {**grads, "max_norm": 100.0}),
        Point("all zero", {"w": np.zeros((2, 2)), "max_norm": 1.0}),
        Point("float32, a norm just above", {"w": normal(3, 5).astype(np.float32), "max_norm": 1.2}),
    ]


def _run(module: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    grads = {name: x for name, x in inputs.items() if name != "max_norm"}
    found = module.clip_by_global_norm(grads, inputs["max_norm"])
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], dict)):
        raise TypeError("clip_by_global_norm: expected (a dictionary of gradients, the norm)")
    return {"norm": np.float64(found[1]), **{f"grads.{name}": x for name, x in found[0].items()}}


_grade, _items = by_value(
    _S,
    _run,
    {"norm": (1, ("norm",)), "gradients": (2, ("grads.",))},
    _points,
    (
        (_S, "min(1.0, max_norm / (norm + 1e-6))", "max_norm / (norm + 1e-6)", "Short ones are made longer."),
        (
            _S,
            "g * factor",
            "np.clip(g, -max_norm, max_norm)",
            "This clips each entry: the direction changes.",
        ),
        (
            _S,
            "g * factor",
            "g * min(1.0, max_norm / (float(np.sqrt((g**2).sum())) + 1e-6))",
            "Each array is clipped by its own norm; one norm is for all together.",
        ),
        (
            _S,
            "np.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in grads.values()))",
            "sum(float((g.astype(float) ** 2).sum()) for g in grads.values())",
            "The root is missing.",
        ),
        (_S, "g * factor", "g", "Nothing is clipped."),
    ),
)

EXERCISE = Exercise(
    name="clipping",
    title="gradient clipping by the global norm",
    functions=(_S,),
    items=_items,
    hints=(
        "Sum the squares over all arrays first, then take one root.",
        "A gradient that is short enough stays as it is: the factor is at most 1.",
    ),
    grade=_grade,
)
