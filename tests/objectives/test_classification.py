"""Classification of texts: the loss, its weights, and that parts of a batch add up to it."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.models.task_heads import POOLINGS
from npformer.objectives import Metrics, SequenceClassification

WEIGHTS = [0.5, 0.25, 1.5]  # as they are used: 2, 1, 6


@pytest.fixture(params=[None, WEIGHTS], ids=["unweighted", "weighted"])
def objective(request):
    return SequenceClassification(3, request.param)


@pytest.fixture
def make(make_encoder, texts, objective):
    def of(pooling="mean", **changes):
        options = {"mlm": False, "pooler": True, "dropout": 0.2, "task_dropout": 0.4, **changes}
        model = make_encoder(task="classify", n_labels=3, task_pooling=pooling, **options)
        ids, mask, segment_ids = texts
        return model, objective.make_batch(ids, mask, [0, 2, 1, 1, 2, 0], segment_ids)

    return of


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_training_steps_gradient_is_that_of_the_plain_path(
    make, objective, same_as_plain, by_hand, pooling
):
    weights = np.ones(3) if objective.class_weights is None else np.array(WEIGHTS)

    def plain(model, batch, rng):
        """Every output; the pooling text by text; the loss by its formula."""
        p, B = model.params, len(batch.ids)
        n = np.maximum(batch.mask.sum(axis=1), 1)
        of = np.arange(B), n - 1 if pooling == "last" else 0  # the text's token, where it is one
        hidden, cache = model.forward(batch.ids, mask=batch.mask, segment_ids=batch.segment_ids, rng=rng)
        if pooling == "mean":
            pooled = np.array([hidden[b, batch.mask[b]].sum(axis=0) / n[b] for b in range(B)])
        else:
            pooled = hidden[of]
        if pooling == "pooler":
            pooled = np.tanh(pooled @ p["pooler.weight"] + p["pooler.bias"])
        dropped = None if rng is None else (rng.random(pooled.shape, dtype=np.float32) >= 0.4) / 0.6
        logits, head_backward = by_hand(model, pooled, dropped)
        q = np.exp(logits - logits.max(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
        w = weights[batch.labels] / weights[batch.labels].sum()
        loss = -(w * np.log(q[np.arange(B), batch.labels])).sum()
        grads = p.zeros_like()
        dpooled = head_backward(w[:, None] * (q - np.eye(3)[batch.labels]), grads)
        if pooling == "pooler":
            du = dpooled * (1 - pooled * pooled)
            grads["pooler.weight"] += hidden[:, 0].T @ du
            grads["pooler.bias"] += du.sum(axis=0)
            dpooled = du @ p["pooler.weight"].T
        dhidden = np.zeros_like(hidden)
        for b in range(B):
            if pooling == "mean":
                dhidden[b, batch.mask[b]] = dpooled[b] / n[b]
            else:
                dhidden[of[0][b], np.broadcast_to(of[1], B)[b]] = dpooled[b]
        model.backward(dhidden, cache, grads)
        return loss, grads

    model, batch = make(pooling)
    same_as_plain(model, objective, batch, plain)


def test_rows_go_with_their_labels_and_columns_of_padding_go(make, objective, texts):
    _, batch = make()
    ids, mask, segment_ids = texts
    assert batch.shape == (6, 7)
    assert batch.extents.tolist() == [[0] * 6, [7, 3, 5, 0, 7, 1]]
    part = batch.take(np.array([2, 1])).trimmed()
    np.testing.assert_array_equal(part.ids, ids[[2, 1], :5])
    np.testing.assert_array_equal(part.mask, mask[[2, 1], :5])
    np.testing.assert_array_equal(part.segment_ids, segment_ids[[2, 1], :5])
    assert part.labels.tolist() == [1, 2]
    if objective.class_weights is None:
        assert (batch.n_targets, part.n_targets, part.weights) == (6, 2, None)
    else:
        assert part.weights.tolist() == [1.0, 6.0]
        assert batch.n_targets == 2 + 6 + 1 + 1 + 6 + 2
    np.testing.assert_array_equal(batch.rows(1, 3).ids, ids[1:3])
    assert batch.trimmed() is batch


@pytest.mark.parametrize("pooling", ["cls", "pooler"])
def test_the_last_layer_works_for_the_first_tokens_alone(make, objective, pooling, monkeypatch):
    model, batch = make(pooling)
    asked, forward = [], model.forward

    def noted(ids, *, at, **options):
        asked.extend(at)
        return forward(ids, at=at, **options)

    monkeypatch.setattr(model, "forward", noted)
    objective.loss_and_grad(model, batch, None, normalizer=1)
    assert asked == [0, 7, 14, 21, 28, 35]


def test_the_sums_are_weighted_and_predictions_are_probabilities(make, objective):
    model, batch = make()
    p = objective.predict(model, batch)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    w = np.ones(6) if objective.class_weights is None else batch.weights
    metrics = objective.loss_and_grad(model, batch, None, normalizer=1)
    right = p.argmax(axis=1) == batch.labels
    assert metrics.n_correct == w[right].sum()
    assert metrics.accuracy == w[right].sum() / w.sum()
    loss = -(w * np.log(p[np.arange(6), batch.labels])).sum() / w.sum()
    assert metrics.loss == pytest.approx(loss, rel=1e-13)
    without = objective.make_batch(batch.ids, batch.mask, segment_ids=batch.segment_ids)
    assert without.n_targets == 0
    np.testing.assert_array_equal(objective.predict(model, without.rows(0, 6), model.params.copy()), p)
    with pytest.raises(ValueError, match="SequenceClassification: batch: expected one with labels"):
        objective.loss_and_grad(model, without, None, normalizer=1)


def test_no_text_is_no_loss_and_no_gradient(make, objective):
    model, batch = make()
    grads = model.params.zeros_like()
    assert objective.loss_and_grad(model, batch.rows(0, 0), grads, normalizer=1) == Metrics(0.0, 0, 0)
    assert not grads.flat.any()


def test_float32_stays_float32(make, objective):
    model, batch = make()
    params = model.params.astype(np.float32)
    grads = params.zeros_like()
    n = np.float64(batch.n_targets)
    metrics = objective.loss_and_grad(model, batch, grads, normalizer=n, params=params)
    exact = objective.loss_and_grad(model, batch, None, normalizer=1)
    assert metrics.loss == pytest.approx(exact.loss, rel=1e-5)
    assert objective.predict(model, batch, params).dtype == np.float32


def test_another_models_head_and_bad_labels_are_named(make, make_encoder, objective, texts):
    _, batch = make()
    with pytest.raises(ValueError, match=r"task 'classify' and 3 labels .*, got task None and 0"):
        objective.loss_and_grad(make_encoder(), batch, None, normalizer=1)
    ids, mask, _ = texts
    with pytest.raises(ValueError, match=r"labels: expected integers in \[0, 3\), got 3"):
        objective.make_batch(ids, mask, [0, 1, 2, 3, 0, 0])
    with pytest.raises(ValueError, match="labels: expected 6 labels, got 2"):
        objective.make_batch(ids, mask, [0, 1])
    with pytest.raises(TypeError, match="labels: expected integers"):
        objective.make_batch(ids, mask, [0.0] * 6)


def test_a_head_for_another_task_is_refused(make_encoder, texts):
    ids, mask, segment_ids = texts
    objective = SequenceClassification(3)
    batch = objective.make_batch(ids, mask, [0, 2, 1, 1, 2, 0], segment_ids)
    for task, n_labels in (("tag", 3), ("classify", 4)):
        model = make_encoder(task=task, n_labels=n_labels)
        with pytest.raises(ValueError, match=f"with a head for task 'classify' .* got task '{task}'"):
            objective.loss_and_grad(model, batch, None, normalizer=6)
