"""Exercise: scaled dot-product attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....diagnosis import sample_inputs
from ..by_referee import op_pair
from ..exercise import Exercise, Point
from .points import SHOWN, in_float32, normal


def _point(kind: str, B: int, T: int, S: int, d_k: int, d_v: int, mask: Any) -> Point:
    q, k, v = normal(T, B, T, d_k), normal(S, B, S, d_k), normal(S + 1, B, S, d_v)
    return Point(kind, {"q": q, "k": k, "v": v, "mask": np.broadcast_to(mask, (B, T, S)).copy()})


def _points() -> list[Point]:
    first = sample_inputs("scaled_dot_product_attention", 0)
    first = {name: first[name] for name in ("q", "k", "v", "mask")}
    first["mask"][1, -1] = True  # no fully masked row yet
    nothing = np.ones((3, 4), dtype=bool)
    nothing[1] = False
    return [
        Point(SHOWN, first),
        _point("a query that may attend to nothing", 2, 3, 4, 2, 3, nothing),
        _point("one query, one key", 2, 1, 1, 3, 2, True),
        _point("a causal mask, all sizes equal", 3, 3, 3, 3, 3, np.tri(3, dtype=bool)),
        in_float32(Point("", first)),
    ]


_grade, _items = op_pair(
    "attention",
    "scaled_dot_product_attention",
    {"value": 2, "dq": 2, "dk": 2, "dv": 2},
    _points,
    slips=(
        (
            "attention_forward",
            " / math.sqrt(q.shape[-1])",
            "",
            "This is what the scores give without the division by √d_k.",
        ),
        (
            "attention_forward",
            ", mask)",
            ", np.ones_like(mask))",
            "This is what comes out when nothing is masked.",
        ),
    ),
)

EXERCISE = Exercise(
    name="attention",
    title="scaled dot-product attention with a mask",
    functions=("attention_forward", "attention_backward"),
    items=_items,
    hints=(
        "Go back step by step: out = P v is a product, P = softmax(S) you have written, S is a product.",
        "dv = Pᵀ dout and dP = dout vᵀ; then softmax's backward, row by row, turns dP into dS.",
        "dq = dS k / √d_k and dk = dSᵀ q / √d_k. Masked entries have P = 0, so dS = 0 there by itself.",
    ),
    grade=_grade,
)
