"""Sequence to sequence: what is a target, what the loss is, and that parts of a batch add up to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from npformer.functional import cross_entropy, cross_entropy_backward
from npformer.nn import SequenceRandom
from npformer.objectives import Metrics, Seq2Seq
from npformer.training.step import gradient

B, S, T = 5, 7, 4


def rngs(B=B):
    return [np.random.default_rng((3, b)) for b in range(B)]


@pytest.fixture(params=[0.0, 0.1], ids=["plain", "smoothed"])
def problem(request, make_encoder_decoder):
    rng = np.random.default_rng(0)
    source, target = rng.integers(1, 13, (B, S)), rng.integers(1, 13, (B, T + 1))
    source[1, 3:], target[2, 3:], target[3, 1:] = 0, 0, 0
    model, objective = make_encoder_decoder(dropout=0.2), Seq2Seq(request.param)
    return model, objective, objective.make_batch(source, source != 0, target, target != 0)


def plain(model, objective, batch, rng=None):
    """Every position, and the loss picks its own."""
    hidden, c_model = model.forward(
        batch.source_ids, batch.ids, source_mask=batch.source_mask, mask=batch.mask, rng=rng
    )
    logits, c_head = model.lm_head.forward(model.params, hidden)
    targets = np.full(batch.ids.size, -100)
    targets[batch.at] = batch.targets
    loss, c_loss = cross_entropy(
        logits.reshape(batch.ids.size, -1), targets, label_smoothing=objective.label_smoothing
    )
    grads = model.params.zeros_like()
    dlogits = cross_entropy_backward(1.0, c_loss).reshape(logits.shape)
    model.backward(model.lm_head.backward(model.params, dlogits, c_head, grads), c_model, grads)
    return float(loss), grads


def test_targets_are_the_next_tokens_and_rows_go_together():
    source, target = np.array([[7, 8, 0], [5, 6, 9]]), np.array([[1, 9, 2, 0], [1, 4, 3, 2]])
    batch = Seq2Seq().make_batch(source, source != 0, target, target != 0)
    assert batch.at.tolist() == [0, 1, 3, 4, 5]
    assert batch.targets.tolist() == [9, 2, 4, 3, 2]
    second = batch.rows(1, 2)
    np.testing.assert_array_equal(second.source_ids, source[1:])
    np.testing.assert_array_equal(second.source_mask, [[True, True, True]])
    assert second.ids.tolist() == [[1, 4, 3]]
    assert (second.at.tolist(), second.targets.tolist()) == ([0, 1, 2], [4, 3, 2])
    assert batch.shape == (2, 3)


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize(("lanes", "threads", "tokens"), [(1, 1, 10**6), (2, 1, S), (3, 3, 2 * S)])
def test_the_training_steps_gradient_is_that_of_the_plain_path(problem, dropout, lanes, threads, tokens):
    model, objective, batch = problem
    rng = SequenceRandom(rngs(), batch.extents) if dropout else None
    loss, expected = plain(model, objective, batch, rng)
    places = [model.params.zeros_like() for _ in range(lanes)]
    with ThreadPoolExecutor(threads) as executor:
        metrics = gradient(
            model,
            objective,
            batch,
            places,
            generators=rngs() if dropout else None,
            executor=executor if threads > 1 else None,
            micro_tokens=tokens,
            recompute=lanes == 2,
        )
    assert metrics.n_targets == batch.n_targets
    assert metrics.loss == pytest.approx(loss, rel=1e-12)
    scale = np.abs(expected.flat).max()
    for name, value in expected.items():
        error = np.abs(places[0][name] - value).max()
        assert error <= 1e-12 * max(np.abs(value).max(), 1e-3 * scale), name


def test_smoothing_by_hand(problem):
    model, objective, batch = problem
    hidden, _ = model.forward(
        batch.source_ids, batch.ids, source_mask=batch.source_mask, mask=batch.mask, at=batch.at
    )
    logits, _ = model.lm_head.forward(model.params, hidden)
    logp = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    s, n = objective.label_smoothing, batch.n_targets
    by_hand = -((1 - s) * logp[np.arange(n), batch.targets] + s * logp.mean(axis=-1))
    metrics = objective.loss_and_grad(model, batch, None, normalizer=n)
    assert metrics.loss == pytest.approx(by_hand.mean(), rel=1e-13)
    assert metrics.n_correct == (logp.argmax(axis=-1) == batch.targets).sum()


def test_no_target_is_no_loss_and_no_gradient(problem):
    model, objective, batch = problem
    grads = model.params.zeros_like()
    none = batch._replace(at=batch.at[:0], targets=batch.targets[:0])
    assert objective.loss_and_grad(model, none, grads, normalizer=1) == Metrics(0.0, 0, 0)
    assert not grads.flat.any()


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_a_bad_smoothing_is_named(smoothing):
    with pytest.raises(ValueError, match="Seq2Seq: label_smoothing"):
        Seq2Seq(smoothing)
