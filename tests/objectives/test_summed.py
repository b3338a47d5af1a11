"""A sum of objectives: each part its own mean, one forward pass for all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from npformer.functional import cross_entropy, cross_entropy_backward
from npformer.nn import SequenceRandom
from npformer.objectives import MaskedLM, NextSentence, Summed
from npformer.training.step import gradient

CLS, SEP, MASK, PAD = 2, 3, 4, 0
B, T, V = 9, 12, 13


def rngs(purpose, n=B):
    return [np.random.default_rng((purpose, b)) for b in range(n)]


def rows_of(n, width, rng, vocab_size=V):
    """Rows of two sentences and padding."""
    rows = np.full((n, width), PAD)
    for row in rows:
        size = int(rng.integers(3, width))
        row[:size] = [CLS, *rng.integers(5, vocab_size, size - 1)]
        row[int(rng.integers(2, size)) if size > 3 else 1] = SEP
        row[1], row[size - 1] = 7, 8
        row[2] = SEP if size > 3 else row[2]
    shortest = np.array([CLS, 7, SEP, 8] + [PAD] * (width - 4))
    return np.where((rows == SEP).any(axis=1)[:, None], rows, shortest)


def problem(make_encoder, weights=(1.0, 0.5), dropout=0.0, seed=0):
    model = make_encoder(seed, dropout=dropout, pooler=True, pair_head=True, max_positions=T)
    words, pair = MaskedLM(V, MASK, range(5), rate=0.4), NextSentence(CLS, SEP, PAD)
    rng = np.random.default_rng(seed)
    rows, others = rows_of(B, T - 1, rng), rows_of(B, T - 1, rng)
    generators = rngs(1)
    pairs = pair.make_pairs(rows, others, generators, T)
    masked = words.make_batch(pairs.ids, pairs.mask, generators, pairs.segment_ids)
    objective = Summed({"mlm": words, "nsp": pair}, weights)
    return model, objective, objective.join(masked, pairs), masked, pairs


def plain(model, masked, pairs, weights, rng=None):
    """The whole batch at once, the last layer at every position, the heads where a part has targets."""
    params, grads = model.params, model.params.zeros_like()
    hidden, c_model = model.forward(masked.ids, mask=masked.mask, segment_ids=masked.segment_ids, rng=rng)
    flat, dflat = hidden.reshape(B * T, -1), np.zeros((B * T, hidden.shape[-1]))
    losses = []
    for head, part, weight in ((model.mlm_head, masked, weights[0]), (model.nsp_head, pairs, weights[1])):
        logits, c_head = head.forward(params, flat[part.at])
        loss, c_loss = cross_entropy(logits, part.targets)
        dflat[part.at] += head.backward(params, cross_entropy_backward(weight, c_loss), c_head, grads)
        losses.append(weight * float(loss))
    model.backward(dflat.reshape(hidden.shape), c_model, grads)
    return losses, grads


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize(
    ("lanes", "threads", "micro_tokens"), [(1, 1, 10**6), (1, 1, T), (2, 2, 2 * T), (3, 1, T)]
)
def test_gradient_equals_the_plain_path(make_encoder, dropout, lanes, threads, micro_tokens):
    weights = (1.0, 0.5)
    model, objective, batch, masked, pairs = problem(make_encoder, weights, dropout)
    assert len(set(batch.mask.sum(axis=1).tolist())) > 2, "sequences of several lengths"
    rng = SequenceRandom(rngs(2), batch.extents) if dropout else None
    losses, expected = plain(model, masked, pairs, weights, rng)
    places = [model.params.zeros_like() for _ in range(lanes)]
    with ThreadPoolExecutor(threads) as executor:
        metrics = gradient(
            model,
            objective,
            batch,
            places,
            generators=rngs(2) if dropout else None,
            executor=executor if threads > 1 else None,
            micro_tokens=micro_tokens,
        )
    assert metrics.n_targets.tolist() == [masked.at.size, B]
    assert metrics.losses == pytest.approx(losses, rel=1e-12)
    assert metrics.loss == pytest.approx(sum(losses), rel=1e-12)
    scale = max(np.abs(value).max() for value in expected.values())
    for name, value in expected.items():
        error = np.abs(places[0][name] - value).max()
        assert error <= 1e-12 * max(np.abs(value).max(), 1e-3 * scale), name


def test_the_accuracies_are_those_of_the_parts(make_encoder):
    model, objective, batch, masked, pairs = problem(make_encoder)
    metrics = objective.loss_and_grad(model, batch, None, normalizer=1)
    hidden, _ = model.forward(masked.ids, mask=masked.mask, segment_ids=masked.segment_ids)
    flat = hidden.reshape(B * T, -1)
    heads = model.mlm_head, model.nsp_head
    for head, part, n in zip(heads, (masked, pairs), metrics.n_correct, strict=True):
        logits, _ = head.forward(model.params, flat[part.at])
        assert n == (logits.argmax(axis=-1) == part.targets).sum()
    assert metrics.accuracy == metrics.n_correct[0] / masked.at.size


def test_one_part_alone_has_the_bits_it_always_had(make_encoder):
    model, objective, _, masked, _ = problem(make_encoder, dropout=0.2)
    words = objective.objectives["mlm"]
    alone = Summed({"mlm": words})
    batch, n = alone.join(masked), masked.n_targets
    expected, grads = model.params.zeros_like(), model.params.zeros_like()
    one = words.loss_and_grad(model, masked, expected, normalizer=n, rng=SequenceRandom(rngs(2)))
    summed = alone.loss_and_grad(model, batch, grads, normalizer=batch.n_targets, rng=SequenceRandom(rngs(2)))
    assert np.array_equal(grads.flat, expected.flat)
    assert (summed.loss, summed.accuracy) == (one.loss, one.accuracy)


def test_words_are_hidden_in_pairs_as_everywhere():
    n, width, V = 2000, 39, 500
    rows = rows_of(n, width, np.random.default_rng(0), V)
    words, pair = MaskedLM(V, MASK, range(5), rate=0.15), NextSentence(CLS, SEP, PAD)
    generators = rngs(1, n)
    pairs = pair.make_pairs(rows, rows[::-1], generators, width + 1)
    masked = words.make_batch(pairs.ids, pairs.mask, generators, pairs.segment_ids)
    batch = Summed({"mlm": words, "nsp": pair}).join(masked, pairs)
    before, now = pairs.ids.reshape(-1), batch.ids.reshape(-1)
    ordinary = int((before >= 5).sum())
    at, targets = batch.at[batch.of[:, 0]], batch.targets[batch.of[:, 0]]
    np.testing.assert_array_equal(before[at], targets)
    assert (targets >= 5).all()
    random = 0.1 * (1 - 1 / (V - 5))
    hidden, other = (now[at] == MASK).sum(), ((now[at] != MASK) & (now[at] != targets)).sum()
    for count, of, share in ((at.size, ordinary, 0.15), (hidden, at.size, 0.8), (other, at.size, random)):
        assert abs(count / of - share) <= 4 * np.sqrt(share * (1 - share) / of)
    untouched = np.ones(before.size, dtype=bool)
    untouched[at] = False
    np.testing.assert_array_equal(now[untouched], before[untouched])


def test_sequences_keep_their_targets_when_they_move(make_encoder):
    _, _, batch, _, _ = problem(make_encoder)

    def said(batch, b):
        width = batch.ids.shape[1]
        here = batch.at // width == b
        return [
            batch.ids[b][batch.mask[b]].tolist(),
            batch.segment_ids[b][batch.mask[b]].tolist(),
            *((x[here] % width if x is batch.at else x[here]).tolist() for x in batch[3:]),
        ]

    for places in (np.array([5, 1, 8]), np.array([3]), np.arange(B)[::-1]):
        taken = batch.take(places)
        small = taken.trimmed()
        assert small.mask.any(axis=0).all()
        assert small.n_targets.sum() == taken.at.size
        for i, b in enumerate(places):
            assert said(taken, i) == said(small, i) == said(batch, b)
    assert batch.rows(0, 0).n_targets.tolist() == [0, 0]


def test_no_target_is_no_loss(make_encoder):
    model, objective, batch, _, _ = problem(make_encoder)
    grads = model.params.zeros_like()
    metrics = objective.loss_and_grad(model, batch.rows(0, 0), grads, normalizer=np.array([1, 1]))
    assert metrics.losses == [0.0, 0.0]
    assert not grads.flat.any()
    words = batch.of[:, 0]
    pairs_alone = batch._replace(at=batch.at[~words], of=batch.of[~words], targets=batch.targets[~words])
    assert pairs_alone.n_targets.tolist() == [0, B]
    metrics = objective.loss_and_grad(model, pairs_alone, grads, normalizer=pairs_alone.n_targets)
    assert metrics.losses[0] == 0.0 < metrics.losses[1]
    assert not grads["mlm.transform.weight"].any()
    assert grads["pair.weight"].any()


def test_what_does_not_fit_together_is_refused(make_encoder):
    _, objective, _, masked, pairs = problem(make_encoder)
    with pytest.raises(ValueError, match="join: expected 2 batches, got 1"):
        objective.join(masked)
    with pytest.raises(ValueError, match="join: expected one target at a place, got two at 0"):
        objective.join(pairs, pairs)
    for weights in ([1.0], [1.0, 0.0], [1.0, -1.0], [np.nan, 1.0], [1.0, np.inf]):
        with pytest.raises(ValueError, match="weights: expected a positive one for each of mlm, nsp, got"):
            Summed(objective.objectives, weights)
