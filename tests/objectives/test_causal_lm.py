"""Causal LM: what is a target, what the loss is, and that parts of a batch add up to it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from npformer.functional import cross_entropy, cross_entropy_backward
from npformer.nn import SequenceRandom
from npformer.objectives import CausalLM, Metrics, bits_per_byte, perplexity
from npformer.proof.decoder import GPT2, draw_point
from npformer.proof.models import entry_by_entry
from npformer.proof.resumed import Resumed
from npformer.training.step import gradient

B, T = 5, 6


def rngs(B=B):
    return [np.random.default_rng((3, b)) for b in range(B)]


@pytest.fixture(params=[None, "prefix", "loss_from"])
def problem(request, make_decoder):
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 13, (B, T + 1))
    ids[1, 4:], ids[2, :3], ids[3, 1:] = 0, 0, 0  # padded on the right, on the left, without a target
    start = {} if request.param is None else {request.param: np.array([3, 2, 0, 1, 4])}
    model, objective = make_decoder(dropout=0.2), CausalLM()
    return model, objective, objective.make_batch(ids, ids != 0, **start)


def plain(model, batch, rng=None):
    """Every position, and the loss picks its own."""
    hidden, c_model = model.forward(batch.ids, mask=batch.mask, prefix=batch.prefix, rng=rng)
    logits, c_head = model.lm_head.forward(model.params, hidden)
    targets = np.full(batch.ids.size, -100)
    targets[batch.at] = batch.targets
    loss, c_loss = cross_entropy(logits.reshape(batch.ids.size, -1), targets)
    grads = model.params.zeros_like()
    dlogits = cross_entropy_backward(1.0, c_loss).reshape(logits.shape)
    model.backward(model.lm_head.backward(model.params, dlogits, c_head, grads), c_model, grads)
    return float(loss), grads


def test_targets_are_the_next_tokens():
    ids = np.array([[5, 6, 7, 8], [5, 9, 0, 0], [0, 0, 4, 3]])
    batch = CausalLM().make_batch(ids, ids != 0)
    np.testing.assert_array_equal(batch.ids, ids[:, :-1])
    np.testing.assert_array_equal(batch.mask, ids[:, :-1] != 0)
    assert batch.at.tolist() == [0, 1, 2, 3, 8]
    assert batch.targets.tolist() == [6, 7, 8, 9, 3]
    assert batch.n_targets == 5
    assert batch.shape == (3, 3)


def test_the_tokens_of_a_prefix_are_no_targets():
    ids = np.array([[5, 6, 7, 8], [5, 9, 4, 0]])
    batch = CausalLM().make_batch(ids, ids != 0, prefix=np.array([2, 0]))
    assert batch.targets.tolist() == [7, 8, 9, 4]
    assert batch.at.tolist() == [1, 2, 3, 4]
    assert batch.rows(0, 1).prefix.tolist() == [2]
    assert batch.rows(1, 2).at.tolist() == [0, 1]
    left = np.array([[0, 0, 5, 6, 7, 8]])  # padding is no part of it
    assert CausalLM().make_batch(left, left != 0, prefix=np.array([2])).targets.tolist() == [7, 8]


def test_a_question_is_no_target_and_its_tokens_see_what_is_before_them_alone(make_decoder):
    ids = np.array([[5, 6, 7, 8, 9], [0, 5, 9, 4, 3], [5, 6, 0, 0, 0]])
    objective, model = CausalLM(), make_decoder()
    batch = objective.make_batch(ids, ids != 0, loss_from=np.array([3, 2, 2]))
    assert batch.prefix is None
    assert batch.targets.tolist() == [8, 9, 4, 3]
    assert batch.at.tolist() == [2, 3, 6, 7]
    both = objective.make_batch(ids, ids != 0, prefix=np.array([1, 2, 2]), loss_from=np.array([3, 2, 2]))
    assert both.targets.tolist() == batch.targets.tolist()
    # The loss is that of the plain batch at these targets: what stands behind a token changes nothing for it.
    whole = objective.make_batch(ids, ids != 0)
    own = np.isin(whole.at, batch.at)
    expected = objective.loss_and_grad(
        model, whole._replace(at=whole.at[own], targets=whole.targets[own]), None, normalizer=1
    )
    assert objective.loss_and_grad(model, batch, None, normalizer=1) == expected


def test_the_gradient_of_an_answer_alone_by_the_complex_step():
    point = draw_point(GPT2, 3)
    rng, c = np.random.default_rng(3), point.model.config
    ids = rng.integers(1, c.vocab_size, (3, c.max_positions))
    batch = CausalLM().make_batch(ids, ids != 0, loss_from=np.array([4, 7, 2]))
    point = replace(point, batch=batch)
    _, grads = point.gradients(point.params)
    moved = Resumed(point, point.params.astype(np.complex128))
    scale = abs(grads.flat).max()
    for name, value in grads.items():
        np.testing.assert_allclose(value, entry_by_entry(moved, name), rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize(("lanes", "threads", "tokens"), [(1, 1, 10**6), (2, 1, T), (3, 3, 2 * T)])
def test_the_training_steps_gradient_is_that_of_the_plain_path(problem, dropout, lanes, threads, tokens):
    model, objective, batch = problem
    loss, expected = plain(model, batch, SequenceRandom(rngs(), batch.extents) if dropout else None)
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


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary", "alibi", "none"])
@pytest.mark.parametrize("sides", ["right", "left", "both"])
@pytest.mark.parametrize("with_prefix", [False, True])
def test_padding_on_any_side_is_left_out_without_a_difference(make_decoder, positions, sides, with_prefix):
    rng, n, width = np.random.default_rng(1), 12, 8
    ids = rng.integers(1, 13, (n, width + 1))
    for row, length in zip(ids, rng.integers(0, width - 1, n), strict=True):  # no one fills it
        left = {"right": 0, "left": width + 1 - length, "both": rng.integers(0, width + 2 - length)}[sides]
        row[:left], row[left + length :] = 0, 0
    prefix = rng.integers(0, width - 2, n) if with_prefix else None
    model, objective = make_decoder(positions=positions, window=4), CausalLM()
    batch = objective.make_batch(ids, ids != 0, prefix=prefix)
    loss, expected = plain(model, batch)
    seen, forward = [], model.forward
    model.forward = lambda ids, **options: (seen.append(ids.shape), forward(ids, **options))[1]
    places = [model.params.zeros_like() for _ in range(2)]
    metrics = gradient(model, objective, batch, places, micro_tokens=2 * width)
    assert metrics.loss == pytest.approx(loss, rel=1e-12)
    assert max(shape[1] for shape in seen) < width
    scale = np.abs(expected.flat).max()
    for name, value in expected.items():
        error = np.abs(places[0][name] - value).max()
        assert error <= 1e-12 * max(np.abs(value).max(), 1e-3 * scale), name


def test_everywhere_and_at_some_places_are_the_same(make_decoder):
    """A full batch asks for every position; one token less, and it asks for those with a target alone."""
    model, objective = make_decoder(), CausalLM()
    ids = np.random.default_rng(1).integers(1, 13, (3, T + 1))
    full = objective.make_batch(ids, np.ones_like(ids, dtype=bool))
    assert full.n_targets == full.ids.size
    whole, parts = model.params.zeros_like(), model.params.zeros_like()
    n = full.n_targets
    objective.loss_and_grad(model, full, whole, normalizer=n)
    total = Metrics(0.0, 0, 0)
    for places in (slice(0, 7), slice(7, n)):
        some = full._replace(at=full.at[places], targets=full.targets[places])
        total += objective.loss_and_grad(model, some, parts, normalizer=n)
    assert total.n_targets == n
    np.testing.assert_allclose(parts.flat, whole.flat, rtol=0, atol=1e-12 * np.abs(whole.flat).max())


def test_no_target_is_no_loss_and_no_gradient(problem):
    model, objective, batch = problem
    grads = model.params.zeros_like()
    none = batch._replace(at=batch.at[:0], targets=batch.targets[:0])
    assert objective.loss_and_grad(model, none, grads, normalizer=1) == Metrics(0.0, 0, 0)
    assert not grads.flat.any()


def test_without_gradients_the_loss_is_the_same(problem):
    model, objective, batch = problem
    grads = model.params.zeros_like()
    with_them = objective.loss_and_grad(model, batch, grads, normalizer=batch.n_targets)
    assert objective.loss_and_grad(model, batch, None, normalizer=batch.n_targets) == with_them


def test_perplexity_and_bits():
    assert perplexity(0.0) == 1.0
    assert perplexity(math.log(8)) == pytest.approx(8)
    assert perplexity(709.0) < perplexity(710.0) == math.inf  # which exp has no float for
    assert bits_per_byte(10 * math.log(2), 5) == pytest.approx(2)
