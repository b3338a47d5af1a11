"""Contrastive learning passes its proof, and fails it where the objective or what is stored is broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from npformer.objectives import contrastive
from npformer.objectives.contrastive import Contrastive
from npformer.proof import golden, models
from npformer.proof.contrastive import MODELS, draw_point, prove_contrastive
from npformer.proof.models import compare_with_stored
from npformer.proof.rows import Row

MASKS, NEGATIVES = MODELS


@pytest.mark.parametrize(
    ("seed", "directions"),
    [
        (0, 1),
        pytest.param(1, 2, marks=pytest.mark.thorough),
        *(pytest.param(seed, models.DIRECTIONS, marks=pytest.mark.exhaustive) for seed in range(20)),
    ],
)
def test_contrastive_learning_passes(
    seed: int, directions: int, judged_well: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "DIRECTIONS", directions)
    judged_well(prove_contrastive(seed), MODELS, lambda label: draw_point(label, seed))


@pytest.mark.parametrize("label", MODELS)
@pytest.mark.parametrize("seed", range(20))
def test_the_point_is_generic(label: str, seed: int, generic: Any) -> None:
    point = draw_point(label, seed)
    generic(point)
    mask = point.batch.mask
    assert not mask[-1, 0].any()  # a text that is nothing but padding
    assert mask[1, -1].any()
    assert not mask[1, -1].all()


@pytest.mark.parametrize("label", MODELS)
def test_dropout_is_on(label: str) -> None:
    point = draw_point(label, 0)
    without = replace(point, random=lambda: None)
    assert abs(without.loss(point.params) - point.loss(point.params)) > 1e-3


def test_a_second_view_taken_for_a_constant_fails(monkeypatch: pytest.MonkeyPatch, failures: Any) -> None:
    true = contrastive.info_nce_backward

    def constant(dout: Any, cache: Any) -> Any:
        da, db, dn = true(dout, cache)
        return da, np.zeros_like(db), dn

    monkeypatch.setattr(contrastive, "info_nce_backward", constant)
    failed = failures(draw_point(MASKS, 0), "golden_contrastive", MASKS, ["embeddings.token"])
    assert {"fd", "complex", "torch"} <= set(failed["embeddings.token"])
    assert "out" not in failed


def test_negatives_taken_for_constants_fail(monkeypatch: pytest.MonkeyPatch, failures: Any) -> None:
    true = contrastive.info_nce_backward

    def constant(dout: Any, cache: Any) -> Any:
        da, db, dn = true(dout, cache)
        return da, db, None if dn is None else np.zeros_like(dn)

    monkeypatch.setattr(contrastive, "info_nce_backward", constant)
    failed = failures(draw_point(NEGATIVES, 0), "golden_contrastive", NEGATIVES, ["encoder.norm.gamma"])
    assert {"fd", "complex", "torch"} <= set(failed["encoder.norm.gamma"])


def test_a_mean_over_padding_is_seen_by_the_stored_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward and backward agree; PyTorch does not."""

    def over_padding(self: Any, model: Any, batch: Any, *, recompute: bool = False, **options: Any) -> Any:
        hidden, c_model = self.forward(model, batch, **options)
        vectors = hidden.mean(axis=1).reshape(len(batch.ids), 2, -1)
        weights = np.full(hidden.shape[:2], 1 / hidden.shape[1])
        return vectors, contrastive.EmbeddingCache(c_model, weights)

    monkeypatch.setattr(Contrastive, "embed", over_padding)
    point = draw_point(MASKS, 0)
    rows = {name: Row(MASKS, name) for name in ("out", *point.params)}
    compare_with_stored(point, rows, golden.part(golden.load("golden_contrastive"), MASKS))
    assert not rows["out"].passed


@pytest.mark.parametrize("key", ["loss", "grad/encoder.norm.beta"])
def test_a_stored_value_that_is_off_fails(key: str) -> None:
    stored = golden.part(golden.load("golden_contrastive"), NEGATIVES)
    stored[key] = stored[key] * (1 + 1e-11)
    point = draw_point(NEGATIVES, 0)
    rows = {name: Row(NEGATIVES, name) for name in ("out", *point.params)}
    compare_with_stored(point, rows, stored)
    assert [name for name, row in rows.items() if not row.passed] == ["out" if key == "loss" else key[5:]]
