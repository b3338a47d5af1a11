"""The whole encoder passes its proof, and fails it where the model or what is stored is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from npformer.models.heads import MaskedLMHead
from npformer.nn import Embeddings, EncoderLayer, LayerNorm, SelfAttention
from npformer.proof import golden, models
from npformer.proof.encoder import MODELS, WIDE, draw_point, prove_encoder
from npformer.proof.models import Point, check_float32, compare_with_stored
from npformer.proof.rows import Row

POST, PRE = MODELS


def rows_of(point: Point, label: str = POST) -> dict[str, Row]:
    return {name: Row(label, name) for name in ("out", *point.params)}


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
def test_the_encoder_passes(
    seed: int, directions: int, judged_well: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "DIRECTIONS", directions)
    judged_well(prove_encoder(seed), MODELS, lambda label: draw_point(label, seed))


@pytest.mark.parametrize("label", MODELS)
@pytest.mark.parametrize("seed", range(20))
def test_the_point_is_generic(label: str, seed: int) -> None:
    point = draw_point(label, seed)
    batch, (_, grads) = point.batch, point.gradients(point.params)
    assert batch.n_targets >= 2
    assert not batch.mask[-1].any()  # a sequence that is nothing but padding
    assert batch.mask[1].any()
    assert not batch.mask[1].all()
    assert (batch.ids[batch.mask][:, None] == batch.ids[batch.mask]).sum() > batch.mask.sum()  # repeats
    assert set(np.unique(batch.segment_ids)) == {0, 1}
    assert point.random().drawn == []
    for name, gradient in grads.items():
        if name in point.zero:
            continue
        assert np.abs(gradient).max() > 1e-4, name
        if name.endswith(("bias", "beta")):
            assert (point.params[name] != 0).all()
        if name.endswith("gamma"):
            assert not np.isclose(point.params[name], 1, atol=1e-6).any()


def test_dropout_is_on() -> None:
    point = draw_point(POST, 0)
    without = replace(point, random=lambda: None)
    assert abs(without.loss(point.params) - point.loss(point.params)) > 1e-3


# A one-line mistake in a block's backward: the parameters whose gradient is then wrong must be among those
# that fail (what lies below the mistake may fail too).
MISTAKES: dict[str, tuple[type, Callable[..., Any], list[str]]] = {
    "the gradient of the tied embedding through the decoder is missing": (
        MaskedLMHead,
        lambda true: (
            lambda self, params, dy, cache, grads: true(
                self, params, dy, cache, _Without(grads, self.unembedding.weight)
            )
        ),
        ["embeddings.token"],
    ),
    "the gradient of the segments is dropped": (
        Embeddings,
        lambda true: (
            lambda self, params, dx, cache, grads: true(
                self, params, dx, cache, _Without(grads, self.segment)
            )
        ),
        ["embeddings.segment"],
    ),
    "the skip around the feed-forward block is doubled": (
        EncoderLayer,
        lambda true: lambda self, params, dy, cache, grads: true(self, params, dy, cache, grads) * 2,
        ["embeddings.token", "encoder.0.attention.value.weight"],
    ),
    "gamma's gradient averaged over the rows": (
        LayerNorm,
        lambda true: (
            lambda self, params, dy, cache, grads: true(
                self, params, dy, cache, _Scaled(grads, self.gamma, 1 / dy[..., 0].size)
            )
        ),
        ["encoder.1.attention_norm.gamma", "mlm.norm.gamma"],
    ),
    "the key bias gets a gradient": (
        SelfAttention,
        lambda true: (
            lambda self, params, dy, cache, grads: _added(
                true(self, params, dy, cache, grads), grads, self.projections.biases[1], 1e-11
            )
        ),
        ["encoder.0.attention.key.bias", "encoder.1.attention.key.bias"],
    ),
}


class _Without(dict):
    """The gradients without one parameter: what is added to it is lost."""

    def __init__(self, grads: Any, name: str) -> None:
        super().__init__({key: grads[key] for key in grads if key != name})


class _Scaled(dict):
    """The gradients, one of them to be added to at another scale: only its own block writes to it."""

    def __init__(self, grads: Any, name: str, factor: float) -> None:
        super().__init__({key: grads[key] for key in grads})
        self.update({name: _ScaledArray(grads[name], factor)})


class _ScaledArray(np.ndarray):
    def __new__(cls, x: np.ndarray, factor: float) -> _ScaledArray:
        view = x.view(cls)
        view.factor = factor
        return view

    def __array_ufunc__(self, ufunc: Any, method: str, x: Any, y: Any, out: Any = None) -> Any:
        plain = np.asarray(self.view(np.ndarray))
        return getattr(ufunc, method)(plain, np.asarray(y) * self.factor, out=(plain,))


def _added(result: Any, grads: Any, name: str, value: float) -> Any:
    grads[name][...] += value
    return result


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_broken_block_fails(mistake: str, monkeypatch: pytest.MonkeyPatch, failures: Any) -> None:
    block, breaks, wrong = MISTAKES[mistake]
    monkeypatch.setattr(block, "backward", breaks(block.backward))
    failed = failures(draw_point(POST, 0), "golden_encoder", POST, [*wrong, "mlm.bias"])
    for name in wrong:
        if mistake == "the key bias gets a gradient":
            assert "zero" in failed[name]
        else:
            assert {"fd", "complex", "torch"} <= set(failed[name])
    assert "out" not in failed
    assert "mlm.bias" not in failed


def test_what_the_forward_forgets_is_seen_by_the_stored_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention to padding: forward and backward agree, PyTorch does not."""
    true = EncoderLayer.forward

    def unmasked(self: Any, params: Any, x: Any, mask: Any = None, *rest: Any) -> Any:
        return true(self, params, x, None, *rest)

    monkeypatch.setattr(EncoderLayer, "forward", unmasked)
    point = draw_point(PRE, 0)
    rows = rows_of(point, PRE)
    compare_with_stored(point, rows, golden.part(golden.load("golden_encoder"), PRE))
    assert not rows["out"].passed
    assert not rows["encoder.0.attention.query.weight"].passed


def test_float32_arithmetic_that_is_worse_than_float32_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    true = LayerNorm.forward

    def coarse(self: Any, params: Any, x: Any, keep: bool = True) -> Any:
        y, cache = true(self, params, x, keep)
        return (y.astype(np.float16).astype(np.float32) if y.dtype == np.float32 else y), cache

    point = draw_point(POST, 0, WIDE)
    rows = rows_of(point)
    check_float32(point, rows)
    assert all(row.passed for row in rows.values())
    monkeypatch.setattr(LayerNorm, "forward", coarse)
    rows = rows_of(point)
    check_float32(point, rows)
    coarse_ones = {name for name, row in rows.items() if row.failures() == ["float32"]}
    assert coarse_ones >= {name for name in point.params if name not in point.zero}


@pytest.mark.parametrize("key", ["loss", "grad/mlm.bias", "grad/encoder.1.attention_norm.gamma"])
def test_a_stored_value_that_is_off_fails(key: str) -> None:
    stored = golden.part(golden.load("golden_encoder"), POST)
    stored[key] = stored[key] * (1 + 1e-11)
    point = draw_point(POST, 0)
    rows = rows_of(point)
    compare_with_stored(point, rows, stored)
    assert [name for name, row in rows.items() if not row.passed] == ["out" if key == "loss" else key[5:]]


@pytest.mark.parametrize("key", ["loss", "grad/mlm.bias", "param/mlm.bias"])
def test_a_stored_value_that_is_missing_fails(key: str) -> None:
    stored = golden.part(golden.load("golden_encoder"), POST)
    del stored[key]
    point = draw_point(POST, 0)
    rows = rows_of(point)
    compare_with_stored(point, rows, stored)
    assert rows["out"].notes == [f"nothing stored from PyTorch for {key!r}"]
    assert not rows["out"].passed


def test_stored_dropout_masks_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = golden.part(golden.load("golden_encoder"), POST)
    stored["kept/2"] = ~stored["kept/2"]
    point = draw_point(POST, 0)
    rows = rows_of(point)
    compare_with_stored(point, rows, stored)
    assert not rows["out"].passed
