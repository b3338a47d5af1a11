from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.functional import embedding, embedding_backward, embedding_backward_rows

IDS = np.array(
    [[3, 0, 3, 6], [0, 3, 1, 6], [5, 5, 5, 5]]
)  # repeats within and across rows; 2 and 4 do not occur


def of(ids):
    def forward(table):
        return embedding(ids, table)

    return forward


@pytest.mark.parametrize("ids", [IDS, IDS[0], IDS[0, 0], IDS.astype(np.int32), IDS.T.astype(np.uint8)])
def test_proof(proof, rng, ids):
    proof(of(ids), embedding_backward, {"table": rng.standard_normal((7, 5))}, rng).holds()


def test_a_wrong_backward_is_seen(proof, one_rng):
    p = proof(of(IDS), embedding_backward, {"table": one_rng.standard_normal((7, 5))}, one_rng)

    def last_occurrence(dout, cache):
        dtable = np.zeros(cache.shape)
        dtable[cache.ids] += dout
        return dtable

    def first_row_zeroed(dout, cache):
        dtable = embedding_backward(dout, cache)
        dtable[0] = 0
        return dtable

    p.sees(last_occurrence)
    p.sees(first_row_zeroed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_the_rows_form_in_every_dtype(dtype, one_rng):
    table = one_rng.standard_normal((7, 5)).astype(dtype)
    out, cache = embedding(IDS, table)
    dout = one_rng.standard_normal(out.shape).astype(dtype)
    if dtype == np.complex128:
        dout += 1j * one_rng.standard_normal(out.shape)
    ids, rows = embedding_backward_rows(dout, cache)
    np.testing.assert_array_equal(ids, [0, 1, 3, 5, 6])
    expected = np.zeros_like(table)
    np.add.at(expected, IDS, dout)
    assert rows.dtype == dtype
    np.testing.assert_array_equal(rows, expected[ids])  # added in the same order: to the bit
    np.testing.assert_array_equal(embedding_backward(dout, cache), expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 4), st.lists(st.integers(0, 3), max_size=3), st.integers(0, 999))
def test_every_shape(V, d, shape, seed):
    rng = np.random.default_rng(seed)
    ids, table = rng.integers(0, V, shape), rng.standard_normal((V, d))
    out, cache = embedding(ids, table)
    assert out.shape == (*shape, d)
    np.testing.assert_array_equal(out, table[ids])
    dout = rng.standard_normal(out.shape)
    expected = np.zeros((V, d))
    np.add.at(expected, ids, dout)
    np.testing.assert_array_equal(embedding_backward(dout, cache), expected)
    unique, rows = embedding_backward_rows(dout, cache)
    np.testing.assert_array_equal(unique, np.unique(ids))
    np.testing.assert_array_equal(rows, expected[unique])


def test_strided_cotangents(one_rng):
    table = one_rng.standard_normal((7, 5))
    out, cache = embedding(IDS, table)
    wide = one_rng.standard_normal((*IDS.shape, 10))
    np.testing.assert_array_equal(
        embedding_backward(wide[..., ::2], cache), embedding_backward(wide[..., ::2].copy(), cache)
    )


def test_a_bad_id_or_table_is_named():
    table = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"^embedding: ids: expected ids in \[0, 4\), got 4 at \(0, 1\)"):
        embedding([[3, 4]], table)
    with pytest.raises(ValueError, match=r"^embedding: ids: .* got -1 at \(0,\)"):
        embedding([-1], table)
    with pytest.raises(TypeError, match="^embedding: ids: expected integers, got dtype float64"):
        embedding([1.0], table)
    with pytest.raises(TypeError, match="^embedding: ids: expected integers, got dtype bool"):
        embedding([True], table)
    with pytest.raises(ValueError, match=r"^embedding: table: expected shape \(V, d\)"):
        embedding([0], np.ones(4))
    with pytest.raises(ValueError, match=r"^embedding_backward: dout: expected shape \(1, 2\)"):
        embedding_backward(np.ones((2, 1)), embedding([0], table)[1])
