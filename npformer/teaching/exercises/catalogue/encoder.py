"""Exercise: the gradient of a whole encoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..by_value import by_value
from ..exercise import Exercise, Point
from .encoder_layer import layer_params
from .points import SHOWN, gains, in_float32, normal


def _point(kind: str, seed: int, B: int, T: int, d: int, V: int, n_layers: int, **more: Any) -> Point:
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, V, (B, T))
    mask = np.ones((B, T), dtype=bool)
    mask[-1, T - T // 3 :] = False
    targets = np.where((rng.random((B, T)) < 0.4) & mask, ids, -100)
    targets[0, 0], ids[0, -1] = ids[0, 0], ids[0, 0]
    params = {
        "token": normal(seed, V, d),
        "position": normal(seed + 1, T + 2, d) / 2,
        "bias": normal(seed, V),
    }
    params |= {"norm.gamma": gains(seed, d), "norm.beta": normal(seed + 2, d)}
    for i in range(n_layers):
        params |= layer_params(seed + 20 * i, d, d + 3, "norm1", "norm2", f"layer{i}.")
    inputs = {"ids": ids, "mask": mask, "targets": targets, "n_layers": n_layers, "h": 2}
    return Point(kind, {**inputs, **more, **params})


def _points() -> list[Point]:
    first = _point(SHOWN, 1, 2, 4, 4, 7, 2)
    nowhere = _point("no target at all", 2, 2, 3, 4, 5, 1)
    nowhere.inputs["targets"][:] = -100
    return [first, _point("one token, three layers", 3, 1, 1, 6, 5, 3), nowhere, in_float32(first)]


def _run(module: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    names = ("ids", "mask", "targets", "n_layers", "h")
    params = {name: x for name, x in inputs.items() if name not in names}
    _, cache = module.encoder_forward(params, *(inputs[name] for name in names))
    grads = module.encoder_backward(params, cache)
    if not isinstance(grads, dict):
        raise TypeError("encoder_backward: expected a dictionary of gradients")
    return grads


_S = "encoder_backward"
_parts: dict[str, tuple[float, tuple[str, ...]]] = {"bias": (0.5, ("bias",))}
for _i in (1, 0):
    _parts |= {
        f"layer {_i}, norm 2": (0.5, (f"layer{_i}.norm2.",)),
        f"layer {_i}, feed-forward": (1.0, (f"layer{_i}.down.", f"layer{_i}.up.")),
        f"layer {_i}, norm 1": (0.5, (f"layer{_i}.norm1.",)),
        f"layer {_i}, attention": (1.5, (f"layer{_i}.attention.",)),
    }
_parts |= {"norm": (0.5, ("norm.",)), "position": (0.5, ("position",)), "token": (1.5, ("token",))}

_grade, _items = by_value(
    _S,
    _run,
    _parts,
    _points,
    (
        (_S, 'grads["token"] += embedding_backward(dx, c_token)', "pass", "Its use as embedding is missing."),
        (_S, 'grads["token"] +=', 'grads["token"] =', "The table's use in the logits is overwritten."),
        (_S, "dmiddle = dmiddle + dsum", "pass", "The path past the feed-forward branch is missing."),
        (_S, "dx = dx + dsum", "pass", "The path past the attention branch is missing."),
        (_S, "reversed(range(len(c_layers)))", "range(len(c_layers))", "The layers come in the wrong order."),
        (_S, "df = gelu_backward(dg, c_gelu)", "df = dg", "GELU's backward is missing."),
        (_S, "dx.sum(axis=0)", "dx.mean(axis=0)", "position is shared by all sequences: a sum, not a mean."),
    ),
)

EXERCISE = Exercise(
    name="encoder",
    title="the whole encoder's gradient: two layers and the masked-LM loss, every parameter by name",
    functions=(_S,),
    items=_items,
    hints=(
        "Write the forward's steps in reverse order; each gives its parameters' gradients and a dx.",
        "In post-norm the norm comes after the sum: its dx goes to both, the branch and the stream.",
        "The table is used twice. Keep the gradient of the logits, and at the very end add the embedding's.",
    ),
    grade=_grade,
)
