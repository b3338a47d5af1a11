"""Exercise: multi-head attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..by_referee import op_pair
from ..exercise import Exercise, Point
from .points import in_float32, normal, shown


def _point(kind: str, B: int, T: int, d: int, width: int, out: int, h: int, mask: Any) -> Point:
    inputs: dict[str, Any] = {"x": normal(T, B, T, d)}
    inputs |= {f"w_{name}": normal(i, d, width) / 2 for i, name in enumerate("qkv")}
    inputs |= {"w_o": normal(3, width, out) / 2}
    inputs |= {f"b_{name}": normal(4 + i, width) for i, name in enumerate("qkv")}
    inputs |= {"b_o": normal(8, out), "mask": np.broadcast_to(mask, (B, 1, T, T)).copy(), "h": h}
    return Point(kind, inputs)


def _points() -> list[Point]:
    nothing = np.ones((4, 4), dtype=bool)
    nothing[2] = False
    first = shown("multi_head_attention")
    return [
        first,
        _point("a query that may attend to nothing, three heads", 1, 4, 5, 6, 4, 3, nothing),
        _point("one position", 2, 1, 4, 4, 3, 2, True),
        _point("a causal mask, all sizes equal", 4, 4, 4, 4, 4, 2, np.tri(4, dtype=bool)),
        in_float32(first),
    ]


_weights = {f"d{kind}_{name}": 0.5 for kind in "wb" for name in "qkvo"}
_grade, _items = op_pair(
    "multi_head_attention",
    "multi_head_attention",
    {"value": 2, "dx": 4, **_weights},
    _points,
    slips=(
        (
            "multi_head_attention_forward",
            " / math.sqrt(q.shape[-1])",
            " / math.sqrt(q.shape[-1] * h)",
            "This is divided by the root of the whole width; each head divides by the root of its own d.",
        ),
        (
            "multi_head_attention_forward",
            "join(P @ v)",
            "(P @ v).reshape(x.shape[0], x.shape[1], -1)",
            "This is what joining heads without the transpose gives.",
        ),
        (
            "multi_head_attention_forward",
            ", mask)",
            ", np.ones_like(mask))",
            "This is what comes out when nothing is masked.",
        ),
    ),
)

EXERCISE = Exercise(
    name="multi_head_attention",
    title="multi-head attention with masks: nine gradients",
    functions=("multi_head_attention_forward", "multi_head_attention_backward"),
    items=_items,
    hints=(
        "Every step is one you have: linear, split, attention, join, linear. Go back through them in turn.",
        "The backward of split is join, and of join split. All B·T rows share the weights: flatten first.",
        "x feeds q, k and v: dx = dQ W_qᵀ + dK W_kᵀ + dV W_vᵀ. db_k comes out as 0: why must it?",
    ),
    grade=_grade,
)
