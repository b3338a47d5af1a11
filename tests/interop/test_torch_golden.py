"""The modules of torch.nn give PyTorch's stored outputs and gradients: every parameter, every input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from npformer.gradcheck import error_of
from npformer.interop import from_torch_state_dict
from npformer.proof import golden
from npformer.proof.cases import KeepRandom

STORED = golden.load("golden_torch_nn")
LABELS = sorted(key.removesuffix("/out") for key in STORED if key.endswith("/out"))
TOLERANCE = 1e-12
N_HEADS, DROPOUT = 2, 0.3


def state_of(kind: str, bias: bool, norm_first: bool) -> dict[str, np.ndarray]:
    """The module's state dict: without biases and an encoder's final norm where it has none."""
    state = golden.part(STORED, f"{kind}/state")
    without_final_norm = kind == "TransformerEncoder" and not norm_first
    return {
        key: x
        for key, x in state.items()
        if (bias or not key.endswith("bias")) and not (without_final_norm and key.startswith("norm."))
    }


@pytest.mark.parametrize("batch_first", [True, False], ids=["batch first", "time first"])
@pytest.mark.parametrize("label", LABELS)
def test_outputs_and_every_gradient_are_pytorchs(label, batch_first):
    kind, first, *middle, last = label.split("/")
    attends = kind.startswith("MultiheadAttention")
    norm_first, activation = first == "pre", "relu" if attends else middle[0]
    state = state_of(kind, "bias" in middle, norm_first)
    inputs = golden.part(STORED, f"{kind}/in")
    if attends:
        inputs = {name: inputs[name] for name in first.split(",")}
    masks = golden.part(STORED, f"{kind}/{first}/{last}" if attends else f"{kind}/{last}")
    masks = {name: x for name, x in masks.items() if name.endswith("mask")}
    assert bool(masks) == (last in ("masks 1", "masks 2", "masks 3"))
    kept = [STORED[f"{label}/kept/{i}"] for i in range(len(golden.part(STORED, f"{label}/kept")))]
    assert bool(kept) == (last == "dropout")

    module = from_torch_state_dict(
        state,
        n_heads=N_HEADS,
        norm_first=norm_first,
        activation=activation,
        dropout=DROPOUT,
        batch_first=batch_first,
    )

    def layout(x: Any) -> Any:
        return x if batch_first or x is None else x.swapaxes(0, 1)

    options: dict[str, Any] = dict(masks)
    if attends:
        options |= {"need_weights": True, "average_attn_weights": False}
    y, cache = module.forward(
        *map(layout, inputs.values()), rng=KeepRandom(kept) if kept else None, **options
    )
    grads = module.params.zeros_like()
    dx = module.backward(layout(STORED[f"{kind}/dout"]), cache, grads)
    dx = dx if isinstance(dx, tuple) else (dx,)
    assert all(d is None for d in dx[len(inputs) :])
    given = dict(zip(inputs, map(layout, dx), strict=False)) | module.gradients_as_state_dict(grads)

    assert error_of(layout(y), STORED[f"{label}/out"]) <= TOLERANCE
    flat = STORED[f"{label}/gradients"]
    shapes = {name: x.shape for name, x in (inputs | state).items()}
    assert list(given) == list(shapes)
    assert flat.size == sum(x.size for x in given.values())
    start = 0
    for name, shape in shapes.items():
        stop = start + int(np.prod(shape))
        expected, start = flat[start:stop].reshape(shape), stop
        assert error_of(given[name], expected, np.abs(flat).max()) <= TOLERANCE, name
    if attends and not kept:
        maps = STORED[f"{label}/weights"]
        assert error_of(cache.attention_weights["attention.weights"], maps) <= TOLERANCE


def test_everything_that_was_asked_for_is_stored():
    kinds = {label.split("/")[0] for label in LABELS}
    assert len(kinds) == 7
    for kind in kinds:
        labels = [label.removeprefix(f"{kind}/") for label in LABELS if label.split("/")[0] == kind]
        assert sum(label.endswith("dropout") for label in labels) == 1
        for masks in range(4):
            assert any(label.endswith(f"masks {masks}") for label in labels)
        if not kind.startswith("Multihead"):
            combinations = {tuple(label.split("/")[:3]) for label in labels}
            assert len(combinations) == 8
    assert any(np.isneginf(x).any() for key, x in STORED.items() if key.endswith("mask") and x.dtype == float)


def test_a_wrong_value_is_found():
    label = "TransformerDecoderLayer/pre/gelu/bias/masks 2"
    state = state_of("TransformerDecoderLayer", True, True)
    inputs = golden.part(STORED, "TransformerDecoderLayer/in")
    masks = {
        name: x
        for name, x in golden.part(STORED, "TransformerDecoderLayer/masks 2").items()
        if name.endswith("mask")
    }
    right = {"n_heads": N_HEADS, "norm_first": True, "activation": "gelu", "batch_first": True}
    out = STORED[f"{label}/out"]

    def error(masks=masks, **changes):
        module = from_torch_state_dict(state, **{**right, **changes})
        return error_of(module.forward(*inputs.values(), **masks)[0], out)

    assert error() <= TOLERANCE
    for changes in ({"n_heads": 1}, {"norm_first": False}, {"activation": "gelu_tanh"}, {"eps": 1.1e-5}):
        assert error(**changes) > 1e-9, changes
    for name in masks:
        assert error({key: x for key, x in masks.items() if key != name}) > 1e-3, name
