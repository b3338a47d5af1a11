"""Exercise: AdamW."""

from __future__ import annotations

from ..by_value import by_value
from ..exercise import Exercise, Point
from .adam import run_step, step_points, step_slips

_S = "adamw_step"
_DECAY = "    theta = theta - lr * weight_decay * theta\n"


def _points() -> list[Point]:
    return step_points(weight_decay=0.2)


_grade, _items = by_value(
    _S,
    run_step(_S),
    {"m": (1, ("m",)), "v": (1, ("v",)), "theta": (2, ("theta",))},
    _points,
    (
        (
            _S,
            _DECAY,
            "    g = g + weight_decay * theta\n",
            "This is Adam with an L2 penalty: it went into g.",
        ),
        (_S, _DECAY, "", "The weight decay is missing."),
        (_S, "lr * weight_decay", "weight_decay", "The decay is not multiplied by lr."),
        (_S, "theta - lr * weight_decay", "theta + lr * weight_decay", "The decay has the wrong sign."),
        *step_slips(_S),
    ),
)

EXERCISE = Exercise(
    name="adamw",
    title="AdamW: weight decay that stays out of the averages",
    functions=(_S,),
    items=_items,
    hints=(
        "The gradient stays as it is: m and v are the same with and without weight decay.",
        "θ shrinks by the factor 1 - lr λ. Then Adam's step.",
    ),
    grade=_grade,
)
