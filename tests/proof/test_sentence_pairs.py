"""Masked words and pairs through the encoder pass their proof, and fail it where a head is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npformer.models.heads import PairHead, Pooler
from npformer.objectives import summed
from npformer.proof import golden, models
from npformer.proof.models import compare_with_stored
from npformer.proof.rows import Row
from npformer.proof.sentence_pairs import LABEL, draw_point, prove_sentence_pairs

FILE = "golden_sentence_pairs"

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
def test_both_parts_pass(seed: int, directions: int, judged_well: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(models, "DIRECTIONS", directions)
    judged_well(prove_sentence_pairs(seed), [LABEL], lambda label: draw_point(label, seed))


@pytest.mark.parametrize("seed", range(20))
def test_the_point_is_generic(seed: int) -> None:
    point = draw_point(LABEL, seed)
    batch, (_, grads) = point.batch, point.gradients(point.params)
    words, pairs = batch.n_targets
    assert words >= 2
    assert pairs == 3  # the fourth sequence is padding
    assert set(batch.targets[batch.of[:, 1]]) == {0, 1}
    assert len(set(point.objective.weights)) == 2
    for name, gradient in grads.items():
        if name not in point.zero:
            assert np.abs(gradient).max() > 1e-4, name


def unweighted(true: Callable[..., Any]) -> Callable[..., Any]:
    def loss(head: Any, hidden: Any, targets: Any, params: Any, grads: Any, normalizer: float) -> Any:
        n = targets.size if isinstance(head, PairHead) else normalizer
        return true(head, hidden, targets, params, grads, n)

    return loss


def without_slope(true: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, params, dy, cache, grads: self.linear.backward(params, dy, cache.linear, grads)


def of_the_head_alone(true: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, params, dy, cache, grads: 0 * true(self, params, dy, cache, grads)


MISTAKES: dict[str, tuple[Any, str, Callable[..., Any], list[str]]] = {
    "the weight is missing from the gradient": (
        summed,
        "loss_of_tokens",
        unweighted,
        ["pair.weight", "pair.bias", "pooler.weight", "embeddings.segment"],
    ),
    "the pooler's slope is forgotten": (
        Pooler,
        "backward",
        without_slope,
        ["pooler.weight", "pooler.bias", "embeddings.token"],
    ),
    "the pair teaches its head alone": (
        PairHead,
        "backward",
        of_the_head_alone,
        ["encoder.1.feed_forward.down.weight", "embeddings.segment"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_broken_part_fails(mistake: str, monkeypatch: pytest.MonkeyPatch, failures: Any) -> None:
    owner, name, breaks, wrong = MISTAKES[mistake]
    monkeypatch.setattr(owner, name, breaks(getattr(owner, name)))
    failed = failures(draw_point(LABEL, 0), FILE, LABEL, [*wrong, "mlm.bias"])
    for parameter in wrong:
        assert {"fd", "complex", "torch"} <= set(failed[parameter])
    assert "out" not in failed
    assert "mlm.bias" not in failed


def test_classes_the_other_way_round_are_seen_by_the_stored_values() -> None:
    stored = golden.part(golden.load(FILE), LABEL)
    pairs = stored["batch/of"][:, 1]
    stored["batch/targets"] = np.where(pairs, 1 - stored["batch/targets"], stored["batch/targets"])
    point = draw_point(LABEL, 0)
    rows = {name: Row(LABEL, name) for name in ("out", *point.params)}
    compare_with_stored(point, rows, stored)
    assert not rows["out"].passed
    assert not rows["pair.bias"].passed
    assert rows["mlm.bias"].passed
