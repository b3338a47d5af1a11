"""Pairs out of texts: framed, padded, each from its own draws; prefixes cut anywhere."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.models import EncoderDecoder, EncoderDecoderConfig
from npformer.objectives import Seq2Seq, SpanCorruption, TextPairs, cut_anywhere

RULES = {"t5": SpanCorruption(range(90, 99), rate=0.3), "prefix": cut_anywhere}


def rngs(seed: int, B: int) -> list[np.random.Generator]:
    return [np.random.default_rng((seed, b)) for b in range(B)]


def text(B: int = 7, T: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    mask = np.arange(T) < rng.integers(1, T + 1, (B, 1))
    return np.where(mask, rng.integers(5, 90, (B, T)), 0), mask


@pytest.mark.parametrize("rule", RULES)
def test_a_batch_is_its_pairs_between_begin_and_end(rule):
    ids, mask = text()
    objective = TextPairs(RULES[rule], begin=2, end=3, pad_id=0)
    batch = objective.make_batch(ids, mask, rngs(1, 7))
    for b, (source, target) in enumerate(objective.pairs(ids, mask, rngs(1, 7))):
        own = RULES[rule](ids[b][mask[b]], rngs(1, 7)[b])
        for framed, part in zip((source, target), own, strict=True):
            np.testing.assert_array_equal(framed, [2, *part, 3])
        np.testing.assert_array_equal(batch.source_ids[b][batch.source_mask[b]], source)
        row = batch.rows(b, b + 1)
        np.testing.assert_array_equal([2, *row.targets], target)
    assert not batch.source_ids[~batch.source_mask].any()
    assert batch.n_targets == sum(t.size - 1 for _, t in objective.pairs(ids, mask, rngs(1, 7)))


@pytest.mark.parametrize("rule", RULES)
def test_a_sequence_has_its_own_draws_whatever_its_neighbours_and_padding(rule):
    ids, mask = text()
    objective = TextPairs(RULES[rule], begin=2, end=3, pad_id=0)
    whole = objective.make_batch(ids, mask, rngs(1, 7))
    wide = [np.pad(x, ((0, 0), (0, 5)))[2:5] for x in (ids, mask)]
    part = objective.make_batch(*wide, rngs(1, 7)[2:5])
    for mine, theirs in zip(part.trimmed(), whole.take(np.arange(2, 5)).trimmed(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    other = objective.make_batch(ids, mask, rngs(2, 7))
    assert other.source_ids.shape != whole.source_ids.shape or (other.source_ids != whole.source_ids).any()


def test_a_prefix_and_its_rest_are_the_text_and_every_cut_is_as_likely():
    tokens, n = np.arange(6), 5000
    counts = np.zeros(6)
    for s in range(n):
        source, target = cut_anywhere(tokens, np.random.default_rng((3, s)))
        np.testing.assert_array_equal(np.concatenate([source, target]), tokens)
        counts[source.size] += 1
    assert counts[0] == 0
    assert np.abs(counts[1:] / n - 0.2).max() <= 4 * np.sqrt(0.2 * 0.8 / n)
    source, target = cut_anywhere(tokens[:1], np.random.default_rng(0))
    assert (source.size, target.size) == (1, 0)


def test_the_loss_is_that_of_the_pairs():
    config = EncoderDecoderConfig(vocab_size=99, d_model=8, n_heads=2, d_ff=16, max_positions=24)
    model = EncoderDecoder(config, np.random.default_rng(0), dtype=np.float64)
    objective = TextPairs(cut_anywhere, begin=2, end=3, pad_id=0, label_smoothing=0.1)
    batch = objective.make_batch(*text(), rngs(1, 7))
    grads, expected = model.params.zeros_like(), model.params.zeros_like()
    got = objective.loss_and_grad(model, batch, grads, normalizer=batch.n_targets)
    wanted = Seq2Seq(0.1).loss_and_grad(model, batch, expected, normalizer=batch.n_targets)
    assert got == wanted
    np.testing.assert_array_equal(grads.flat, expected.flat)
