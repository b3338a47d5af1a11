"""Tagging: labels at the words' first pieces, and that parts of a batch add up to the whole."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.objectives import Metrics, TokenClassification

AT = [0, 2, 5, 6, 8, 14, 17, 28, 35]  # in (6, 7); the fourth text is empty
TARGETS = [0, 2, 1, 1, 2, 0, 2, 0, 1]
WEIGHTS = [0.5, 0.25, 1.5]


@pytest.fixture(params=[None, WEIGHTS], ids=["unweighted", "weighted"])
def objective(request):
    return TokenClassification(3, request.param)


@pytest.fixture
def problem(make_encoder, texts, objective):
    model = make_encoder(mlm=False, dropout=0.2, task_dropout=0.4, task="tag", n_labels=3)
    ids, mask, segment_ids = texts
    return model, objective.make_batch(ids, mask, AT, TARGETS, segment_ids)


def test_the_training_steps_gradient_is_that_of_the_plain_path(
    problem, objective, same_as_plain, by_hand
):
    weights = np.ones(3) if objective.class_weights is None else np.array(WEIGHTS)
    model, batch = problem

    def plain(model, batch, rng):
        """Every position has logits; the loss picks its own."""
        hidden, cache = model.forward(batch.ids, mask=batch.mask, segment_ids=batch.segment_ids, rng=rng)
        dropped = None if rng is None else (rng.random(hidden.shape, dtype=np.float32) >= 0.4) / 0.6
        d = hidden.shape[-1]
        dropped = None if dropped is None else dropped.reshape(-1, d)
        logits, head_backward = by_hand(model, hidden.reshape(-1, d), dropped)
        q = np.exp(logits[AT])
        q /= q.sum(axis=1, keepdims=True)
        w = weights[TARGETS] / weights[TARGETS].sum()
        grads, dlogits = model.params.zeros_like(), np.zeros_like(logits)
        dlogits[AT] = w[:, None] * (q - np.eye(3)[TARGETS])
        model.backward(head_backward(dlogits, grads).reshape(hidden.shape), cache, grads)
        return -(w * np.log(q[np.arange(len(AT)), TARGETS])).sum(), grads

    same_as_plain(model, objective, batch, plain)


def test_rows_go_with_their_words(problem, objective, texts):
    _, batch = problem
    part = batch.take(np.array([2, 3, 1])).trimmed()
    assert part.shape == (3, 5)
    np.testing.assert_array_equal(part.ids, texts[0][[2, 3, 1], :5])
    np.testing.assert_array_equal(part.segment_ids, texts[2][[2, 3, 1], :5])
    assert (part.at.tolist(), part.targets.tolist()) == ([0, 3, 11], [0, 2, 2])
    if objective.class_weights is None:
        assert (batch.n_targets, part.n_targets, part.weights) == (9, 3, None)
    else:
        assert part.weights.tolist() == [2.0, 6.0, 6.0]
        assert batch.n_targets == 3 * 2 + 3 * 1 + 3 * 6
    assert batch.rows(3, 4).n_targets == 0
    assert batch.trimmed() is batch
    beside_the_text = batch.take(np.array([1]))._replace(at=np.array([4]))  # which is as long as three tokens
    assert beside_the_text.extents.tolist() == [[0], [5]]
    assert beside_the_text.trimmed().at.tolist() == [4]


def test_predictions_are_probabilities_of_the_words(problem, objective):
    model, batch = problem
    without = objective.make_batch(batch.ids, batch.mask, AT, segment_ids=batch.segment_ids)
    p = objective.predict(model, without)
    assert p.shape == (9, 3)
    w = np.ones(9) if objective.class_weights is None else batch.weights
    metrics = objective.loss_and_grad(model, batch, None, normalizer=1)
    assert metrics.loss == pytest.approx(-(w * np.log(p[np.arange(9), TARGETS])).sum() / w.sum(), rel=1e-13)
    assert metrics.n_correct == w[p.argmax(axis=1) == TARGETS].sum()
    assert objective.loss_and_grad(model, batch.rows(3, 4), None, normalizer=1) == Metrics(0.0, 0, 0)
    with pytest.raises(ValueError, match="TokenClassification: batch: expected one with targets"):
        objective.loss_and_grad(model, without, None, normalizer=1)
    moved = objective.predict(model, without.take(np.array([4, 0])))
    np.testing.assert_allclose(moved, p[[7, 0, 1, 2, 3]], rtol=1e-13)


def test_bad_words_are_named(problem, objective, texts, make_encoder):
    ids, mask, _ = texts
    with pytest.raises(ValueError, match=r"at: expected ascending positions, got \[2, 1"):
        objective.make_batch(ids, mask, [2, 1], [0, 0])
    with pytest.raises(ValueError, match=r"at: expected integers in \[0, 42\), got 42"):
        objective.make_batch(ids, mask, [2, 42], [0, 0])
    with pytest.raises(ValueError, match="targets: expected 2 labels, got 1"):
        objective.make_batch(ids, mask, [2, 3], [0])
    with pytest.raises(ValueError, match="TokenClassification: model: expected one .* for task 'tag'"):
        objective.predict(make_encoder(), problem[1])
