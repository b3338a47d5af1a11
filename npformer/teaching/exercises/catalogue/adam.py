"""Exercise: Adam."""

from __future__ import annotations

from typing import Any

from ..by_value import by_value
from ..exercise import Exercise, Point
from ..slips import Slip
from .points import SHOWN, in_float32, normal


def step_points(**settings: Any) -> list[Point]:
    """Points of an optimizer's step."""

    def point(kind: str, n: int, t: int, scale: float = 1.0, **more: Any) -> Point:
        arrays = {"theta": normal(n, n), "g": scale * normal(n + 1, n), "m": scale * normal(n + 2, n)}
        rest = {"v": (scale * normal(n + 3, n)) ** 2, "t": t, "lr": 0.1, "eps": 1e-3, **settings, **more}
        return Point(kind, {**arrays, **rest})

    first_step = point("the first step", 4, 1)
    first_step.inputs["m"][:] = first_step.inputs["v"][:] = 0
    return [
        point(SHOWN, 5, 3),
        first_step,
        point("tiny gradients", 3, 2, scale=1e-4),
        point("other betas", 6, 7, beta1=0.8, beta2=0.95),
        in_float32(point("", 5, 3)),
    ]


def run_step(function: str) -> Any:
    """A runner of an optimizer's step."""

    def run(module: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        found = getattr(module, function)(**inputs)
        if not (isinstance(found, tuple) and len(found) == 3):
            raise TypeError(f"{function}: expected (theta, m, v)")
        return dict(zip(("theta", "m", "v"), found, strict=True))

    return run


def step_slips(function: str) -> tuple[Slip, ...]:
    """What people get wrong in Adam's step."""
    m_hat, v_hat, root = "m / (1 - beta1**t)", "v / (1 - beta2**t)", "(np.sqrt(v_hat) + eps)"
    return (
        (function, m_hat, "m", "This is what comes without the bias correction of m."),
        (function, v_hat, "v", "This is what comes without the bias correction of v."),
        (function, root, "np.sqrt(v_hat + eps)", "ε is inside the root; it belongs outside."),
        (function, root, "np.sqrt(v_hat)", "ε is missing."),
        (function, root, "(v_hat + eps)", "The root of v̂ is missing."),
        (function, "beta1**t", "beta1", "The bias correction of m uses β₁ in place of β₁ᵗ."),
        (function, "beta2**t", "beta2", "The bias correction of v uses β₂ in place of β₂ᵗ."),
        (function, "(1 - beta1) * g", "g", "The factor 1 - β₁ is missing in m."),
        (function, "(1 - beta2) * g**2", "g**2", "The factor 1 - β₂ is missing in v."),
        (function, "(1 - beta2) * g**2", "(1 - beta2) * g", "v averages g; it should average g²."),
        (function, "theta - lr * m_hat", "theta + lr * m_hat", "The step goes uphill."),
    )


_grade, _items = by_value(
    "adam_step",
    run_step("adam_step"),
    {"m": (1, ("m",)), "v": (1, ("v",)), "theta": (2, ("theta",))},
    step_points,
    step_slips("adam_step")
    + (
        (
            "adam_step",
            "    theta = theta - lr * m_hat / (np.sqrt(v_hat) + eps)\n    return theta, m, v",
            "    theta = theta - lr * m / (np.sqrt(v) + eps)\n    return theta, m, v",
            "This is what comes without either bias correction.",
        ),
    ),
)

EXERCISE = Exercise(
    name="adam",
    title="Adam's update",
    functions=("adam_step",),
    items=_items,
    hints=(
        "Make new arrays: m = β₁ m + (1 - β₁) g does, m *= β₁ changes what you were given.",
        "The corrected m̂ and v̂ are for this step alone: what you return are m and v.",
        "The exponent in 1 - β₁ᵗ is the number of the step; ε is added after the root.",
    ),
    grade=_grade,
)
