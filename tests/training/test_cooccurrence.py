"""Embeddings out of co-occurrence: what company says, for text of which it is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from npformer.text import Packed
from npformer.training.config import RunConfig
from npformer.training.cooccurrence import (
    OFFSETS,
    _counts,
    _in_rows,
    _largest_singular,
    _positive_pmi,
    cooccurrence_embeddings,
)
from npformer.training.trainer import Trainer


@pytest.fixture
def train():
    """Four words of one class between pairs of two others; 9 is padding that looks like a word."""
    rng = np.random.default_rng(0)
    ids = np.stack([rng.integers(5, 7, 4000), rng.integers(10, 14, 4000), rng.integers(7, 9, 4000)], axis=1)
    ids = np.concatenate([ids.reshape(1000, 12), np.full((1000, 3), 9)], axis=1)
    mask = np.ones(ids.shape, dtype=bool)
    mask[:, 12:] = False
    return Packed(ids, mask)


def test_pieces_of_one_class_are_alike_and_unseen_ones_are_zero(train):
    rows = cooccurrence_embeddings(train, 20, 6, np.random.default_rng(1))
    assert not rows[[0, 1, 9, 14, 19]].any()
    known = rows[[5, 6, 7, 8, 10, 11, 12, 13]]
    np.testing.assert_allclose(np.linalg.norm(known, axis=1), np.sqrt(6), rtol=1e-12)
    classes = np.repeat([0, 1, 2], [2, 2, 4])
    same = classes[:, None] == classes
    cosines = known @ known.T / 6
    assert cosines[same].min() > 0.6
    assert cosines[~same].max() < 0.2


def test_the_same_bits_each_time_and_others_for_another_seed(train):
    a, b, c = (cooccurrence_embeddings(train, 20, 6, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_model_wider_than_the_vocabulary(train):
    rows = cooccurrence_embeddings(train, 15, 32, np.random.default_rng(1))
    assert rows.shape == (15, 32)
    assert np.isfinite(rows).all()
    assert rows[10] @ rows[11] > rows[10] @ rows[5]


def test_text_without_any_company():
    lonely = Packed(np.full((3, 4), 5), np.eye(3, 4, dtype=bool))
    assert not cooccurrence_embeddings(lonely, 8, 4, np.random.default_rng(0)).any()


def test_positive_pmi_by_hand():
    counts = sparse.coo_matrix(np.array([[4.0, 1.0], [0.0, 5.0]]))
    of_b = np.array([4.0, 6.0]) ** 0.75
    of_b *= 10 / of_b.sum()
    expected = np.log([[4 * 10 / (5 * of_b[0]), 1e-9], [1e-9, 5 * 10 / (5 * of_b[1])]])
    np.testing.assert_allclose(_positive_pmi(counts).toarray(), np.maximum(expected, 0), rtol=1e-13)


def test_the_random_projection_finds_what_the_svd_does():
    rng = np.random.default_rng(3)
    M = rng.standard_normal((120, 6)) * [40, 30, 20, 15, 10, 8] @ rng.standard_normal((6, 300))
    M += 0.1 * rng.standard_normal(M.shape)
    U, S, _ = np.linalg.svd(M)
    mine, singular = _largest_singular(sparse.csr_matrix(M), 5, rng)
    np.testing.assert_allclose(singular, S[:5], rtol=1e-10)
    np.testing.assert_allclose(np.abs((U[:, :5] * mine).sum(axis=0)), 1.0, rtol=1e-10)


def test_counts_by_hand_leave_padding_out():
    ids, mask = np.array([[5, 6, 5, 7], [6, 7, 0, 0]]), np.array([[1, 1, 1, 1], [1, 1, 0, 0]], dtype=bool)
    assert OFFSETS == (1, -1, 2, -2)
    pairs = {
        1: {(5, 6): 1, (6, 5): 1, (5, 7): 1, (6, 7): 1},
        -1: {(6, 5): 1, (5, 6): 1, (7, 5): 1, (7, 6): 1},
        2: {(5, 5): 1, (6, 7): 1},
        -2: {(5, 5): 1, (7, 6): 1},
    }
    for offset, expected in pairs.items():
        counts = _counts(Packed(ids, mask), offset, 9)
        found = zip(counts.row.tolist(), counts.col.tolist(), counts.data.tolist(), strict=True)
        assert {(a, b): n for a, b, n in found} == expected


def test_rows_follow_the_formula(train):
    """U S^½, centred, of one length: the cosines, which no rotation changes."""
    known = [5, 6, 7, 8, 10, 11, 12, 13]
    M = np.hstack([_positive_pmi(_counts(train, o, 20)).toarray() for o in OFFSETS])
    U, S, _ = np.linalg.svd(M)
    E = (U[:, :6] * np.sqrt(S[:6]))[known]
    E -= E.mean(axis=0)
    E /= np.linalg.norm(E, axis=1, keepdims=True)
    rows = cooccurrence_embeddings(train, 20, 6, np.random.default_rng(1))[known] / np.sqrt(6)
    np.testing.assert_allclose(rows @ rows.T, E @ E.T, atol=1e-8)


def test_pieces_of_the_same_rows_are_alike_where_rows_are_company():
    """5 stands with 8 and 6 with 9, a neighbour of neither."""
    ids = np.array([[5, 7, 7, 7, 8], [6, 7, 7, 7, 9]] * 50)
    train, cosines = Packed(ids, ids > 0), {}
    for rows_too in (False, True):
        rows = cooccurrence_embeddings(train, 10, 8, np.random.default_rng(0), rows_too=rows_too) / np.sqrt(8)
        cosines[rows_too] = rows[5] @ rows[8], rows[6] @ rows[9], rows[5] @ rows[9]
    assert max(cosines[False][:2]) < 0.1
    assert min(cosines[True][:2]) > 0.5 > cosines[True][2]
    counts = _in_rows(train, 10)
    assert counts.shape == (10, 100)
    assert counts.toarray()[:, 1].tolist() == [0, 0, 0, 0, 0, 0, 1, 3, 0, 1]


class _Tokenizer:
    vocab_size, mask_id, special_ids, continues = 20, 4, (0, 1, 2, 3, 4), None


@pytest.mark.parametrize("init", ["cooccurrence", "random"])
def test_a_new_run_begins_from_its_text(train, init):
    config = RunConfig(
        steps=10, d_model=8, heads=2, layers=1, seq_len=15, embedding_std=0.1, embedding_init=init
    )
    trainer = Trainer(config, _Tokenizer(), train)
    before = trainer.model.params.flat.copy()
    trainer.start_from_text()
    after = trainer.model.params
    if init == "random":
        np.testing.assert_array_equal(after.flat, before)
        return
    changed = after["embeddings.token"] != before[after.layout["embeddings.token"]].reshape(20, 8)
    assert changed.any(axis=1).nonzero()[0].tolist() == [5, 6, 7, 8, 10, 11, 12, 13]
    np.testing.assert_allclose((after["embeddings.token"][5] ** 2).mean(), 0.1**2, rtol=1e-5)
    rest = np.ones(before.size, dtype=bool)
    rest[after.layout["embeddings.token"]] = False
    np.testing.assert_array_equal(after.flat[rest], before[rest])
