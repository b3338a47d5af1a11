"""Exercise: an encoder layer, pre-norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..by_value import by_value, cotangent
from ..exercise import Exercise, Point
from .points import SHOWN, gains, in_float32, normal

ATTENTION = ("w_q", "w_k", "w_v", "w_o", "b_q", "b_k", "b_v", "b_o")


def layer_params(seed: int, d: int, d_ff: int, first: str, then: str, prefix: str = "") -> dict[str, Any]:
    """Generic parameters of a layer whose norms are called `first` and `then`."""
    params: dict[str, Any] = {}
    for i, name in enumerate(ATTENTION):
        shape = (d, d) if name[0] == "w" else (d,)
        params[f"{prefix}attention.{name}"] = normal(seed + i, *shape) / (np.sqrt(d) if name[0] == "w" else 2)
    for i, norm in enumerate((first, then)):
        params |= {f"{prefix}{norm}.gamma": gains(seed + i, d), f"{prefix}{norm}.beta": normal(seed + i, d)}
    params |= {f"{prefix}up.w": normal(seed + 8, d, d_ff) / np.sqrt(d), f"{prefix}up.b": normal(seed, d_ff)}
    params |= {
        f"{prefix}down.w": normal(seed + 9, d_ff, d) / np.sqrt(d_ff),
        f"{prefix}down.b": normal(seed, d),
    }
    return params


def _point(kind: str, B: int, T: int, d: int, d_ff: int, h: int, real: Any) -> Point:
    mask = np.broadcast_to(real, (B, T)).copy()[:, None, None, :]
    params = layer_params(T, d, d_ff, "norm1", "norm2")
    return Point(kind, {"x": normal(T, B, T, d), "mask": mask, "h": h, **params})


def _points() -> list[Point]:
    first = _point(SHOWN, 2, 3, 4, 6, 2, np.array([[True, True, True], [True, False, True]]))
    return [
        first,
        _point("one position, three heads", 2, 1, 6, 5, 3, True),
        _point("a sequence of padding alone", 2, 4, 4, 4, 2, np.array([[True], [False]])),
        in_float32(first),
    ]


def _run(module: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    settings = {name: inputs.pop(name) for name in ("x", "mask", "h")}
    out, cache = module.encoder_layer_forward(settings["x"], inputs, settings["mask"], settings["h"])
    found = module.encoder_layer_backward(cotangent(out), cache)
    inputs |= settings
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict)):
        raise TypeError("encoder_layer_backward: expected (dx, a dictionary of gradients)")
    return {"dx": found[0], **found[1]}


_S = "encoder_layer_backward"
_grade, _items = by_value(
    _S,
    _run,
    {
        "feed-forward": (2, ("down.", "up.")),
        "norm 2": (1, ("norm2.",)),
        "attention": (3, ("attention.",)),
        "norm 1": (1, ("norm1.",)),
        "dx": (2, ("dx",)),
    },
    _points,
    slips=(
        (_S, "dmiddle = dout + dmiddle", "dmiddle = dmiddle", "The path past feed-forward is missing."),
        (_S, "dmiddle + dx, grads", "dx, grads", "The path past the attention branch is missing."),
        (_S, "dmiddle + dx, grads", "dout + dx, grads", "The path past attention carries dout, not dh."),
        (_S, "(dmiddle, c_attention)", "(dout, c_attention)", "Attention gets dout; it should get dh."),
        (_S, "df = gelu_backward(dg, c_gelu)", "df = dg", "GELU's backward is missing."),
    ),
)

EXERCISE = Exercise(
    name="encoder_layer",
    title="an encoder layer (pre-norm): residual sums hand their gradient on twice",
    functions=("encoder_layer_backward",),
    items=_items,
    hints=(
        "y = h + f(h) gives dh = dout + what comes back through f. The same for h = x + a(x).",
        "Through f: linear, GELU, linear, norm, each with its own cache, the last one first.",
        "Start the second half from dh, not from dout: attention, norm 1, and add dh itself to get dx.",
    ),
    grade=_grade,
)
