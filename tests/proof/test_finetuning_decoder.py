"""Every head on a decoder passes its proof, and fails it where one of them is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from npformer.models import SequenceHead, TokenHead, task_heads
from npformer.proof import golden, models
from npformer.proof.finetuning import DROPOUT, TASK_DROPOUT
from npformer.proof.finetuning_decoder import MODELS, draw_point, prove_finetuning_decoder
from npformer.proof.models import compare_with_stored
from npformer.proof.rows import Row

MEAN, LAST, REGRESSION, TAGGING = MODELS
FILE = "golden_finetuning_decoder"


@pytest.mark.parametrize("label", MODELS)
def test_loss_and_gradients_are_pytorchs(label: str) -> None:
    point = draw_point(label, 0)
    rows = {name: Row(label, name) for name in ("out", *point.params)}
    compare_with_stored(point, rows, golden.part(golden.load(FILE), label))
    assert not [row.to_dict() for row in rows.values() if not row.passed]
    assert all(row.torch is not None for row in rows.values())


# One direction of the eight, or two: `npformer verify`, which .ci/run runs, takes all, as do twenty seeds.
PASSES = pytest.mark.parametrize(
    ("seed", "directions"),
    [
        pytest.param(1, 2, marks=pytest.mark.thorough),
        *(pytest.param(seed, models.DIRECTIONS, marks=pytest.mark.exhaustive) for seed in range(20)),
    ],
)


@PASSES
def test_fine_tuning_passes(
    seed: int, directions: int, judged_well: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "DIRECTIONS", directions)
    judged_well(prove_finetuning_decoder(seed), MODELS, lambda label: draw_point(label, seed))


@pytest.mark.parametrize("label", MODELS)
@pytest.mark.parametrize("seed", range(20))
def test_the_point_is_generic(label: str, seed: int, generic: Callable[..., None]) -> None:
    point = draw_point(label, seed)
    generic(point)
    mask = point.batch.mask
    assert not mask[-1].any()  # a sequence that is nothing but padding
    assert mask[1, 0]
    assert not mask[1, -1]
    assert point.batch.segment_ids is None
    assert "lm_head.weight" not in point.params
    assert "task.weight" in point.params


@pytest.mark.parametrize("label", MODELS)
def test_both_dropouts_are_on(label: str) -> None:
    assert DROPOUT != TASK_DROPOUT
    point = draw_point(label, 0)
    loss = point.loss(point.params)
    assert abs(replace(point, random=lambda: None).loss(point.params) - loss) > 1e-3
    head = point.model.task_head
    getattr(head, "output", head).dropout.p = 0.0
    assert abs(point.loss(point.params) - loss) > 1e-3


# label, where the mistake is, the mistake, parameters whose gradient is then wrong
MISTAKES: dict[str, tuple[str, Any, str, Any, list[str]]] = {
    "the mean's gradient goes to the padding too": (
        MEAN,
        task_heads,
        "mean_pooled_backward",
        lambda true: lambda dpooled, w: true(dpooled, np.broadcast_to(w.max(axis=1, keepdims=True), w.shape)),
        ["embeddings.token", "decoder.norm.gamma"],
    ),
    "the head's dropout is forgotten on the way back": (
        LAST,
        TokenHead,
        "backward",
        lambda true: lambda self, params, dy, cache, grads: true(
            self, params, dy, cache._replace(dropout=None), grads
        ),
        ["decoder.norm.gamma", "embeddings.position"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_broken_backward_fails(mistake: str, monkeypatch: pytest.MonkeyPatch, failures: Any) -> None:
    label, owner, name, breaks, wrong = MISTAKES[mistake]
    monkeypatch.setattr(owner, name, breaks(getattr(owner, name)))
    failed = failures(draw_point(label, 0), FILE, label, [*wrong, "task.weight"])
    for parameter in wrong:
        assert {"fd", "complex", "torch"} <= set(failed[parameter])
    assert "out" not in failed
    assert "task.weight" not in failed


def at_the_last_column(self: Any, mask: Any) -> Any:
    """Padding or not."""
    return np.arange(len(mask)) * mask.shape[1] + mask.shape[1] - 1


# Where forward and backward agree, derivatives see nothing.
@pytest.mark.parametrize("label", [LAST, REGRESSION])
def test_another_token_than_the_last_real_one_is_seen_by_the_stored_values(
    label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SequenceHead, "at", at_the_last_column)
    point = draw_point(label, 0)
    rows = {name: Row(label, name) for name in ("out", *point.params)}
    compare_with_stored(point, rows, golden.part(golden.load(FILE), label))
    assert not rows["out"].passed
    assert not rows["decoder.0.attention.query.weight"].passed
