"""Every head and objective of fine-tuning passes its proof, and fails it where one of them is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from npformer.models import Pooler, TokenHead, task_heads
from npformer.objectives import SequenceClassification, _labels, classification, regression, similarity
from npformer.proof import golden, models
from npformer.proof.finetuning import DROPOUT, MODELS, TASK_DROPOUT, draw_point, prove_finetuning
from npformer.proof.models import compare_with_stored
from npformer.proof.rows import Row

MEAN, CLS, POOLER, TAGGING, SIMILARITY = MODELS


@pytest.mark.parametrize("label", MODELS)
def test_loss_and_gradients_are_pytorchs(label: str) -> None:
    point = draw_point(label, 0)
    rows = {name: Row(label, name) for name in ("out", *point.params)}
    compare_with_stored(point, rows, golden.part(golden.load("golden_finetuning"), label))
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
    judged_well(prove_finetuning(seed), MODELS, lambda label: draw_point(label, seed))


@pytest.mark.parametrize("label", MODELS)
@pytest.mark.parametrize("seed", range(20))
def test_the_point_is_generic(label: str, seed: int, generic: Callable[..., None]) -> None:
    point = draw_point(label, seed)
    generic(point)
    mask = point.batch.mask.reshape(-1, point.batch.mask.shape[-1])
    assert not mask[-1].any()  # a sequence that is nothing but padding
    assert mask[1].any()
    assert not mask[1].all()
    assert set(np.unique(point.batch.segment_ids)) == {0, 1}
    if label in (MEAN, CLS, TAGGING):
        assert len(set(point.batch.weights)) >= 2


@pytest.mark.parametrize("label", MODELS)
def test_both_dropouts_are_on(label: str) -> None:
    assert DROPOUT != TASK_DROPOUT
    point = draw_point(label, 0)
    loss = point.loss(point.params)
    assert abs(replace(point, random=lambda: None).loss(point.params) - loss) > 1e-3
    if label != SIMILARITY:
        head = point.model.task_head
        getattr(head, "output", head).dropout.p = 0.0
        assert abs(point.loss(point.params) - loss) > 1e-3


def scaled_bias(true: Any) -> Any:
    """The backward of the head, the bias's gradient averaged over the rows."""

    def backward(self: Any, params: Any, dy: Any, cache: Any, grads: Any) -> Any:
        dx = true(self, params, dy, cache, grads)
        grads["task.bias"][...] /= len(dy)
        return dx

    return backward


# label, where the mistake is, the mistake, parameters whose gradient is then wrong, one whose gradient is not
MISTAKES: dict[str, tuple[str, Any, str, Any, list[str], str]] = {
    "the mean's gradient goes to the padding too": (
        MEAN,
        task_heads,
        "mean_pooled_backward",
        lambda true: lambda dpooled, w: true(dpooled, np.broadcast_to(w.max(axis=1, keepdims=True), w.shape)),
        ["embeddings.token", "encoder.norm.gamma"],
        "task.weight",
    ),
    "the gradient of the head's bias is a mean": (
        TAGGING,
        TokenHead,
        "backward",
        scaled_bias,
        ["task.bias"],
        "task.weight",
    ),
    "the head's dropout is forgotten on the way back": (
        CLS,
        TokenHead,
        "backward",
        lambda true: lambda self, params, dy, cache, grads: true(
            self, params, dy, cache._replace(dropout=None), grads
        ),
        ["encoder.1.feed_forward_norm.gamma", "embeddings.token"],
        "task.weight",
    ),
    "the pooler's tanh is forgotten on the way back": (
        POOLER,
        Pooler,
        "backward",
        lambda true: lambda self, params, dy, cache, grads: self.linear.backward(
            params, dy, cache.linear, grads
        ),
        ["pooler.weight", "embeddings.token"],
        "task.weight",
    ),
    "the class weights are forgotten on the way back": (
        CLS,
        _labels,
        "cross_entropy_backward",
        lambda true: lambda dout, cache: true(np.full_like(dout, dout.mean()), cache),
        ["task.weight", "embeddings.token"],
        "",
    ),
    "the cosine's gradient still points along the vector": (
        SIMILARITY,
        similarity,
        "cosine_backward",
        lambda true: lambda dcos, cache: true(dcos, cache._replace(cos=0 * cache.cos)),
        ["embeddings.token"],
        "",
    ),
    "the squared error's gradient lacks its 2": (
        POOLER,
        regression,
        "mse_loss_backward",
        lambda true: lambda dout, cache: true(dout / 2, cache),
        ["task.bias", "pooler.bias"],
        "",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_broken_backward_fails(mistake: str, monkeypatch: pytest.MonkeyPatch, failures: Any) -> None:
    label, owner, name, breaks, wrong, right = MISTAKES[mistake]
    monkeypatch.setattr(owner, name, breaks(getattr(owner, name)))
    failed = failures(draw_point(label, 0), "golden_finetuning", label, [*wrong, *filter(None, [right])])
    for parameter in wrong:
        assert {"fd", "complex", "torch"} <= set(failed[parameter])
    assert "out" not in failed
    assert right not in failed


def counts_padding(true: Any) -> Any:
    return lambda hidden, mask: true(hidden, np.ones_like(mask) & mask.any(axis=1, keepdims=True))


def by_the_count(true: Any) -> Any:
    """Class weights whose sum is divided by how many labels there are."""
    return lambda labels, weights: true(labels, None)


# Where forward and backward agree, derivatives see nothing: label, where, the mistake
OF_BOTH_WAYS: dict[str, tuple[str, Any, str, Any]] = {
    "the mean counts padding": (MEAN, task_heads, "mean_pooled", counts_padding),
    "the mean of a pair counts padding": (SIMILARITY, similarity, "mean_pooled", counts_padding),
    "class weights are normalised by the count": (CLS, classification, "number_of_targets", by_the_count),
    "class weights are ignored": (
        CLS,
        SequenceClassification,
        "loss_and_grad",
        lambda true: lambda self, model, batch, grads, **options: true(
            self, model, batch._replace(weights=None), grads, **options
        ),
    ),
}


@pytest.mark.parametrize("mistake", OF_BOTH_WAYS)
def test_what_both_ways_share_is_seen_by_the_stored_values(
    mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    label, owner, name, breaks = OF_BOTH_WAYS[mistake]
    monkeypatch.setattr(owner, name, breaks(getattr(owner, name)))
    point = draw_point(label, 0)
    rows = {name: Row(label, name) for name in ("out", *point.params)}
    compare_with_stored(point, rows, golden.part(golden.load("golden_finetuning"), label))
    assert not rows["out"].passed
    assert not rows["encoder.0.attention.query.weight"].passed
