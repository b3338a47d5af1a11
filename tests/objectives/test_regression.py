"""Regression: the loss is the mean squared error, and parts of a batch add up to it."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.objectives import Metrics, Regression

TARGETS = [0.5, -1.0, 3.0, 0.0, 2.5, 1.0]


@pytest.fixture
def problem(make_encoder, texts):
    model = make_encoder(mlm=False, dropout=0.2, task_dropout=0.4, task="regress", n_labels=1)
    ids, mask, segment_ids = texts
    return model, Regression().make_batch(ids, mask, TARGETS, segment_ids)


def test_the_training_steps_gradient_is_that_of_the_plain_path(problem, same_as_plain, by_hand):
    model, batch = problem

    def plain(model, batch, rng):
        hidden, cache = model.forward(batch.ids, mask=batch.mask, segment_ids=batch.segment_ids, rng=rng)
        weights = batch.mask / np.maximum(batch.mask.sum(axis=1, keepdims=True), 1)
        pooled = np.einsum("bt,btd->bd", weights, hidden)
        dropped = None if rng is None else (rng.random(pooled.shape, dtype=np.float32) >= 0.4) / 0.6
        y, head_backward = by_hand(model, pooled, dropped)
        off = y[:, 0] - TARGETS
        grads = model.params.zeros_like()
        dpooled = head_backward(2 * off[:, None] / len(off), grads)
        model.backward(np.einsum("bt,bd->btd", weights, dpooled), cache, grads)
        return (off * off).mean(), grads

    same_as_plain(model, Regression(), batch, plain)


def test_rows_go_with_their_numbers_and_nothing_is_correct(problem):
    model, batch = problem
    part = batch.take(np.array([2, 5])).trimmed()
    assert (part.shape, part.targets.tolist(), part.n_targets) == ((2, 5), [3.0, 1.0], 2)
    assert batch.extents.tolist() == [[0] * 6, [7, 3, 5, 0, 7, 1]]
    metrics = Regression().loss_and_grad(model, batch, None, normalizer=1)
    values = Regression().predict(model, batch)
    assert metrics.loss == pytest.approx(((values - TARGETS) ** 2).mean(), rel=1e-13)
    assert (metrics.n_correct, metrics.n_targets) == (0, 6)
    assert Regression().loss_and_grad(model, batch.rows(0, 0), None, normalizer=1) == Metrics(0.0, 0, 0)


def test_without_numbers_there_are_only_predictions(problem):
    model, batch = problem
    without = Regression().make_batch(batch.ids, batch.mask, segment_ids=batch.segment_ids)
    np.testing.assert_array_equal(Regression().predict(model, without), Regression().predict(model, batch))
    with pytest.raises(ValueError, match="Regression: batch: expected one with targets"):
        Regression().loss_and_grad(model, without, None, normalizer=1)


def test_bad_numbers_and_heads_are_named(problem, make_encoder, texts):
    ids, mask, _ = texts
    with pytest.raises(ValueError, match=r"Regression: targets: expected 6 finite numbers, got shape \(2,\)"):
        Regression().make_batch(ids, mask, [1.0, 2.0])
    with pytest.raises(ValueError, match="got one that is not finite"):
        Regression().make_batch(ids, mask, [1.0, 2.0, np.nan, 0.0, 0.0, 0.0])
    classifier = make_encoder(mlm=False, task="classify", n_labels=2)
    with pytest.raises(ValueError, match="Regression: model: expected one with a head for task 'regress'"):
        Regression().predict(classifier, problem[1])
