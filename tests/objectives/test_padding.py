"""Sequences and columns that go: what is left is what was there, whatever the side of the padding."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.objectives import CausalLM, MaskedLM, Seq2Seq
from npformer.objectives._padding import columns, extents

B, T = 7, 9
SPECIAL = range(5)


def padded(rng, sides="right", length=T, rows=B):
    """Ids of sequences with 0 to `length` tokens each, one of them full and one empty."""
    ids = rng.integers(5, 13, (rows, length))
    for b, n in enumerate([length, 0, *rng.integers(1, length, rows - 2)]):
        left = {"right": 0, "left": length - n, "both": int(rng.integers(0, length - n + 1))}[sides]
        ids[b, :left], ids[b, left + n :] = 0, 0
    return ids[rng.permutation(rows)]


def masked(rng, sides):
    ids = padded(rng, sides)
    rngs = [np.random.default_rng((1, b)) for b in range(B)]
    return MaskedLM(13, 4, SPECIAL, rate=0.4).make_batch(ids, ids != 0, rngs, rng.integers(0, 2, (B, T)))


def causal(rng, sides):
    ids = padded(rng, sides)
    return CausalLM().make_batch(ids, ids != 0, prefix=rng.integers(0, T, B))


def pairs(rng, sides):
    source, target = padded(rng, sides, 6), padded(rng, sides)
    return Seq2Seq().make_batch(source, source != 0, target, target != 0)


MASKED = ((masked, "right"), (masked, "left"))
CAUSAL = ((causal, "right"), (causal, "left"), (causal, "both"))
KINDS = [*MASKED, *CAUSAL, (pairs, "right")]


def tokens_of(batch, b):
    """What a sequence of a batch has to say, without its padding."""
    width, mask = batch.ids.shape[1], batch.mask[b]
    here = batch.at // width == b
    where = np.cumsum(mask)[batch.at[here] % width].tolist()  # the real tokens up to each target
    said = [batch.ids[b][mask].tolist(), where, batch.targets[here].tolist()]
    if getattr(batch, "source_ids", None) is not None:
        said.append(batch.source_ids[b][batch.source_mask[b]].tolist())
    if getattr(batch, "segment_ids", None) is not None:
        said.append(batch.segment_ids[b][mask].tolist())
    if getattr(batch, "prefix", None) is not None:
        said.append(min(int(batch.prefix[b]), int(mask.sum())))  # it counts real tokens
    return said


@pytest.mark.parametrize(("make", "sides"), KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_sequences_stay_what_they_are_and_no_column_is_padding(make, sides, seed):
    rng = np.random.default_rng(seed)
    batch = make(rng, sides)
    lengths = np.diff(batch.extents, axis=0)[0]
    for places in (np.argsort(lengths), rng.permutation(B)[:4], np.array([3]), np.array([2, 2, 0])):
        taken = batch.take(places)
        small = taken.trimmed()
        assert small.n_targets == taken.n_targets == sum(len(tokens_of(batch, b)[2]) for b in places)
        for i, b in enumerate(places):
            assert tokens_of(taken, i) == tokens_of(small, i) == tokens_of(batch, b)
        real = small.mask.any(axis=0)
        assert real[-1] or not real.any()
        if make is causal:
            assert real[0] or not real.any()
        else:
            np.testing.assert_array_equal(small.ids[:, 0], taken.ids[:, 0])  # positions count from there
        assert small.mask.shape[1] == max(real.nonzero()[0].max(initial=0) + 1, 1)
        if make is pairs:
            assert small.source_ids.shape[1] == max(small.source_mask.sum(axis=1).max(), 1)


@pytest.mark.parametrize(("make", "sides"), KINDS)
def test_rows_are_neighbours_as_many_as_there_are(make, sides):
    batch = make(np.random.default_rng(0), sides)
    for start, stop in ((0, B), (2, 5), (5, B + 3), (4, 4)):
        part = batch.rows(start, stop)
        expected = [tokens_of(batch, b) for b in range(start, min(stop, B))]
        assert [tokens_of(part, i) for i in range(len(part.ids))] == expected


@pytest.mark.parametrize(("make", "sides"), KINDS)
def test_without_padding_nothing_is_copied(make, sides):
    rng = np.random.default_rng(0)
    batch = make(rng, sides)
    full = batch._replace(mask=np.ones_like(batch.mask))
    if make is pairs:
        full = full._replace(source_mask=np.ones_like(batch.source_mask))
    assert full.trimmed() is full
    assert full.extents[0].tolist() == B * [0]
    assert len(set(full.extents[1].tolist())) == 1


def test_a_target_outside_the_mask_is_kept():
    mask = np.array([[True, False, False, False]])
    assert extents(mask, np.array([2])).tolist() == [[0], [3]]
    assert extents(mask).tolist() == [[0], [1]]
    assert mask.sum() == 1


def test_the_longer_side_of_a_pair_counts():
    source = np.array([[7, 8, 9, 0], [7, 0, 0, 0]])
    target = np.array([[1, 2, 0, 0], [1, 6, 6, 2]])
    batch = Seq2Seq().make_batch(source, source != 0, target, target != 0)
    assert batch.extents.tolist() == [[0, 0], [3, 3]]


def test_no_sequences_have_a_column():
    assert columns(np.zeros((2, 0), int)) == (0, 1)
    assert extents(np.zeros((3, 0), bool)).tolist() == [[0, 0, 0], [0, 0, 0]]
