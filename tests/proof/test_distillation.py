"""Models with span corruption and distillation pass their proof, and fail it where the loss is broken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from npformer.objectives import Distillation, Seq2Seq
from npformer.proof import models
from npformer.proof.distillation import CAUSAL, MASKED, MODELS, SPANS, draw_point, prove_distillation

PASSES = pytest.mark.parametrize(
    ("seed", "directions"),
    [
        pytest.param(0, 1, marks=pytest.mark.thorough),
        *(pytest.param(seed, models.DIRECTIONS, marks=pytest.mark.exhaustive) for seed in range(20)),
    ],
)


@PASSES
def test_they_pass(seed: int, directions: int, judged_well: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "DIRECTIONS", directions)
    judged_well(prove_distillation(seed), MODELS, lambda label: draw_point(label, seed))


@pytest.mark.parametrize("label", MODELS)
@pytest.mark.parametrize("seed", range(20))
def test_the_point_is_generic(label: str, seed: int, generic: Any) -> None:
    point = draw_point(label, seed)
    generic(point)
    if label == SPANS:
        assert {1, 2} <= set(point.batch.source_ids[0].tolist())  # [CLS] and [SEP]
        assert {4, 5} <= set(point.batch.targets.tolist())  # the sentinels
        assert not point.batch.source_mask[-1].any()
        assert not point.batch.source_mask.all(axis=1).all()
    else:
        teacher = point.objective.teacher
        assert teacher.config.d_model == 2 * point.model.config.d_model
        assert np.abs(np.exp(point.batch.log_q).sum(axis=-1) - 1).max() < 1e-14
        assert not point.batch.mask[-1].any()


@pytest.mark.parametrize("label", [MASKED, CAUSAL])
@pytest.mark.parametrize("power", [0, 2])
def test_the_wrong_power_of_the_temperature_is_seen(
    label: str, power: int, failures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The soft part's gradient has τ: 1 / τ if the square is forgotten, τ² if the logits' own τ is."""
    true = Distillation.loss_of_logits

    def broken(self: Any, logits: Any, log_q: Any, targets: Any, normalizer: Any) -> Any:
        metrics, dlogits = true(self, logits, log_q, targets, normalizer)
        if dlogits is not None:
            hard = Distillation(self.objective, None, 0.0, self.temperature)
            rest = (1 - self.alpha) * true(hard, logits, log_q, targets, normalizer)[1]
            dlogits = rest + (dlogits - rest) * self.temperature ** (power - 1)
        return metrics, dlogits

    monkeypatch.setattr(Distillation, "loss_of_logits", broken)
    failed = failures(draw_point(label, 0), "golden_distillation", label, ["embeddings.token"])
    assert set(failed["embeddings.token"]) == {"fd", "complex", "torch"}


def test_a_loss_without_smoothing_is_seen(failures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    point = draw_point(SPANS, 0)
    point.objective.seq2seq = Seq2Seq(0.0)
    failed = failures(point, "golden_distillation", SPANS)
    assert "torch" in failed["out"]
