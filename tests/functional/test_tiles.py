from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npformer.functional._tiles import allowed_in, blocks, keys_in_reach, part, reach_of

SIZE = st.integers(1, 9)


def seen(T, S, causal, offset, window):
    """Who may see whom, by the definition."""
    position, key = np.arange(T)[:, None] + offset, np.arange(S)
    allowed = np.ones((T, S), bool)
    if causal:
        allowed &= key <= position
    if window is not None:
        allowed &= np.abs(position - key) < window
    return allowed


@given(SIZE, SIZE, st.tuples(SIZE, SIZE), st.booleans(), st.integers(-9, 9), st.none() | SIZE, st.data())
def test_tiles_together_are_the_whole(T, S, block, causal, offset, window, data):
    rows, columns = block
    reach = reach_of(causal, offset, window)
    expected = seen(T, S, causal, offset, window)
    mask = None
    if data.draw(st.booleans()):
        mask = np.random.default_rng(data.draw(st.integers(0, 99))).random((2, T, S)) < 0.5
        expected = expected & mask
    found = np.zeros(expected.shape, bool)
    for queries in blocks(T, rows):
        for keys in keys_in_reach(reach, queries, S, columns):
            assert keys.start % columns == 0
            assert 0 < keys.stop - keys.start <= columns
            allowed = allowed_in(mask, reach, queries, keys)
            found[..., queries, keys] = True if allowed is None else allowed
            if window is None and mask is None:  # (a window's corners may have no key of any query)
                assert found[queries, keys].any()
            if mask is None and found[queries, keys].all():
                assert allowed is None
    np.testing.assert_array_equal(found, expected)


def test_far_tiles_are_not_walked():
    queries = slice(64, 128)
    assert [k.start for k in keys_in_reach(reach_of(True, 0, None), queries, 512, 64)] == [0, 64]
    assert [k.start for k in keys_in_reach(reach_of(False, 0, None), queries, 192, 64)] == [0, 64, 128]
    assert [k.start for k in keys_in_reach(reach_of(True, 0, 65), queries, 512, 64)] == [0, 64]
    assert [k.start for k in keys_in_reach(reach_of(True, 0, 1), queries, 512, 64)] == [64]
    assert [k.start for k in keys_in_reach(reach_of(False, 64, 2), queries, 512, 64)] == [64, 128, 192]
    assert list(keys_in_reach(reach_of(True, -200, None), queries, 512, 64)) == []
    assert list(keys_in_reach(reach_of(False, 900, 3), queries, 512, 64)) == []
    assert list(keys_in_reach(reach_of(False, 0, None), queries, 0, 64)) == []


@pytest.mark.parametrize(
    "shape", [(), (7,), (1,), (5, 7), (1, 7), (5, 1), (3, 1, 1), (3, 5, 7), (2, 3, 1, 7)]
)
def test_a_part_is_a_view_of_what_is_broadcast(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    queries, keys = slice(2, 4), slice(3, 7)
    whole = np.broadcast_to(x, (2, 3, 5, 7))
    tile = part(x, queries, keys)
    assert np.shares_memory(tile, x)
    np.testing.assert_array_equal(np.broadcast_to(tile, (2, 3, 2, 4)), whole[..., queries, keys])
