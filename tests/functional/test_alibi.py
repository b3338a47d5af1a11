from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npformer.functional import alibi, scaled_dot_product_attention


def slopes(n_heads):
    return -alibi(n_heads, 2, 2)[:, 1, 0]


def test_the_papers_slopes():
    """Section 3: 1/2, 1/4, ..., 1/256 for 8 heads; for 16 the geometric means between them too."""
    np.testing.assert_array_equal(slopes(8), [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256])
    np.testing.assert_allclose(slopes(16), 0.5 ** np.arange(0.5, 8.5, 0.5), rtol=1e-15)
    np.testing.assert_array_equal(slopes(1), [1 / 256])
    np.testing.assert_array_equal(slopes(2), [1 / 16, 1 / 256])


def test_slopes_of_12_heads():
    """Those of 8, then every other one of those of 16."""
    np.testing.assert_allclose(slopes(12), [*slopes(8), *2.0 ** -np.array([0.5, 1.5, 2.5, 3.5])], rtol=1e-15)


@given(st.integers(1, 70))
def test_all_slopes_differ_and_lie_between_1_and_1_over_256(n_heads):
    found = slopes(n_heads)
    assert found.shape == (n_heads,)
    assert len(np.unique(found)) == n_heads
    assert (found < 1).all()
    assert (found >= 1 / 256).all()


@given(st.integers(1, 6), st.integers(0, 5), st.integers(0, 5), st.integers(-4, 7))
def test_entry_by_entry(n_heads, T, S, offset):
    bias = alibi(n_heads, T, S, offset)
    assert bias.shape == (n_heads, T, S)
    assert bias.dtype == np.float64
    for i, t, s in np.ndindex(*bias.shape):
        assert bias[i, t, s] == -slopes(n_heads)[i] * abs(t + offset - s)


def test_the_offset_says_where_the_queries_stand():
    np.testing.assert_array_equal(alibi(4, 2, 6, query_offset=3), alibi(4, 6, 6)[:, 3:5])


def test_nearer_keys_get_more_weight():
    q, k, v = np.ones((3, 4, 5, 2))
    P = scaled_dot_product_attention(q, k, v, alibi(4, 5, 5), causal=True)[1].P
    assert (np.diff(P[:, 4]) > 0).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="^alibi: n_heads: expected an integer >= 1, got 0"):
        alibi(0, 3, 3)
    with pytest.raises(ValueError, match="^alibi: T: expected an integer >= 0, got -1"):
        alibi(2, -1, 3)
    with pytest.raises(TypeError, match=r"^alibi: S: expected an integer, got 3\.0"):
        alibi(2, 3, 3.0)
    with pytest.raises(TypeError, match=r"^alibi: query_offset: expected an integer, got 0\.5"):
        alibi(2, 3, 3, 0.5)
