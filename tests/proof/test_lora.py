"""The adapters pass their proof, and fail it where their backward or what is stored is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import npformer.nn._projections
import npformer.nn.layers
from npformer.nn._blocks import add_gradient
from npformer.nn.lora import SCALE, A, B
from npformer.proof import golden, models
from npformer.proof.lora import MODELS, draw_point, prove_lora
from npformer.proof.models import compare_with_stored
from npformer.proof.rows import Row

(LABEL,) = MODELS

# One direction of the eight, or two: `npformer verify`, which .ci/run runs, takes all, as do twenty seeds.
PASSES = pytest.mark.parametrize(
    ("seed", "directions"),
    [
        (0, 1),
        pytest.param(1, 2, marks=pytest.mark.thorough),
        *(pytest.param(seed, models.DIRECTIONS, marks=pytest.mark.exhaustive) for seed in range(20)),
    ],
)


@PASSES
def test_the_adapters_pass(
    seed: int, directions: int, judged_well: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "DIRECTIONS", directions)
    judged_well(prove_lora(seed), MODELS, lambda label: draw_point(label, seed))


@pytest.mark.parametrize("seed", range(20))
def test_the_point_is_generic(seed: int, generic: Callable[..., None]) -> None:
    point = draw_point(LABEL, seed)
    generic(point)
    of_layers = [name for name in point.params.layout if name.startswith("encoder.")]
    assert len(of_layers) == 2 * 4 * 2  # layers, maps, A and B
    assert all(name.endswith((A, B)) for name in of_layers)
    assert all(point.params[name].all() for name in of_layers)


def wrong(dA: Callable[..., Any], dB: Callable[..., Any]) -> Callable[..., None]:
    def backward(params: Any, grads: Any, name: str, dweight: Any) -> None:
        add_gradient(grads, name, dweight)
        if name + A in params:
            a, b, s = params[name + A], params[name + B], params[name + SCALE]
            add_gradient(grads, name + A, dA(s, a, b, dweight))
            add_gradient(grads, name + B, dB(s, a, b, dweight))

    return backward


def right_a(s: Any, a: Any, b: Any, dw: Any) -> Any:
    return s * (dw @ b.T)


def right_b(s: Any, a: Any, b: Any, dw: Any) -> Any:
    return s * (a.T @ dw)


MISTAKES: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[str, ...]]] = {
    "none": (right_a, right_b, ()),
    "no scale in dA": (lambda s, a, b, dw: dw @ b.T, right_b, (A,)),
    "no scale in dB": (right_a, lambda s, a, b, dw: a.T @ dw, (B,)),
    "the scale twice": (lambda s, a, b, dw: s * s * (dw @ b.T), right_b, (A,)),
    "B stays as it was": (right_a, lambda s, a, b, dw: 0 * b, (B,)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_broken_backward_fails(mistake: str, monkeypatch: pytest.MonkeyPatch, failures: Any) -> None:
    dA, dB, endings = MISTAKES[mistake]
    for module in (npformer.nn._projections, npformer.nn.layers):
        monkeypatch.setattr(module, "add_weight_gradient", wrong(dA, dB))
    name = "encoder.1.feed_forward.up.weight"
    failed = failures(draw_point(LABEL, 0), "golden_lora", LABEL, [name + A, name + B, "mlm.bias"])
    assert set(failed) == {n for n in draw_point(LABEL, 0).params.layout if endings and n.endswith(endings)}
    for ending in endings:
        assert set(failed[name + ending]) == {"fd", "complex", "torch"}


def test_an_adapter_that_is_not_read_is_seen_by_the_stored_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward and backward agree on the weight alone; PyTorch does not."""
    monkeypatch.setattr(npformer.nn.layers, "weight_of", lambda params, name: params[name])
    point = draw_point(LABEL, 0)
    rows = {name: Row(LABEL, name) for name in ("out", *point.params)}
    compare_with_stored(point, rows, golden.part(golden.load("golden_lora"), LABEL))
    assert not rows["out"].passed


@pytest.mark.parametrize("key", ["loss", f"grad/encoder.1.attention.query.weight{B}"])
def test_a_stored_value_that_is_off_fails(key: str) -> None:
    stored = golden.part(golden.load("golden_lora"), LABEL)
    stored[key] = stored[key] * (1 + 1e-11)
    point = draw_point(LABEL, 0)
    rows = {name: Row(LABEL, name) for name in ("out", *point.params.layout)}
    compare_with_stored(point, rows, stored)
    assert [name for name, row in rows.items() if not row.passed] == ["out" if key == "loss" else key[5:]]


def test_nothing_frozen_has_a_stored_gradient() -> None:
    stored = golden.part(golden.load("golden_lora"), LABEL)
    point = draw_point(LABEL, 0)
    assert set(golden.part(stored, "grad")) == set(point.params.layout)
    assert set(golden.part(stored, "param")) == set(point.params)
    assert np.ndim(stored[f"param/encoder.0.attention.query.weight{SCALE}"]) == 0
