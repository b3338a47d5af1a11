"""Exercise: layer norm."""

from __future__ import annotations

from ..by_referee import op_pair
from ..exercise import Exercise, Point
from .points import gains, in_float32, normal, shown


def _points() -> list[Point]:
    first = shown("layer_norm")
    first.inputs["eps"] = 0.1  # large enough that a misplaced one shows
    return [
        first,
        Point("two axes", {"x": normal(1, 4, 3), "gamma": gains(1, 3), "beta": normal(2, 3), "eps": 1e-5}),
        Point("one row", {"x": normal(3, 1, 6), "gamma": gains(2, 6), "beta": normal(4, 6), "eps": 0.01}),
        Point(
            "a large mean",
            {"x": normal(5, 3, 4) + 1e3, "gamma": gains(3, 4), "beta": normal(6, 4), "eps": 0.1},
        ),
        in_float32(first),
    ]


_grade, _items = op_pair(
    "layer_norm",
    "layer_norm",
    {"value": 2, "dx": 4, "dgamma": 1, "dbeta": 1},
    _points,
    slips=(
        (
            "layer_norm_forward",
            "np.sqrt((xc**2).mean(axis=-1, keepdims=True) + eps)",
            "np.sqrt((xc**2).mean(axis=-1, keepdims=True)) + eps",
            "This is what eps outside the root gives; it belongs inside.",
        ),
        (
            "layer_norm_forward",
            "(xc**2).mean(axis=-1, keepdims=True)",
            "(xc**2).sum(axis=-1, keepdims=True) / (x.shape[-1] - 1)",
            "This is what a variance over d - 1 gives; divide by d.",
        ),
    ),
)

EXERCISE = Exercise(
    name="layer_norm",
    title="layer norm: a gradient with three terms in its bracket",
    functions=("layer_norm_forward", "layer_norm_backward"),
    items=_items,
    hints=(
        "gamma and beta are shared by all rows: sum over every axis but the last. gamma meets x_hat, not x.",
        "First dx_hat = dout γ. Then dx = (dx_hat - what goes through mean - what goes through std) / std.",
        "Through the mean goes mean(dx_hat); through std goes x_hat · mean(dx_hat · x_hat), both over a row.",
    ),
    grade=_grade,
)
