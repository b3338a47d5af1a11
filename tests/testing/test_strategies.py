"""What the strategies draw is what they promise, and every kind of it comes up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from npformer.testing.strategies import MASKS, ids, masks, normals, sizes


@given(sizes("B T d_model", low=2, high=5, different=True))
def test_sizes(n):
    assert list(n) == ["B", "T", "d_model"]
    assert all(2 <= size <= 5 for size in n.values())
    assert len(set(n.values())) == 3


@given(st.data(), sizes("B T S", high=4))
def test_masks(data, n):
    shape = tuple(n.values())
    for kind in MASKS:
        mask = data.draw(masks(*shape, kinds=(kind,)))
        assert mask.shape == shape
        assert mask.dtype == bool
        if kind == "empty row":
            assert not mask.any(-1).all()
        elif kind == "causal" and n["T"] == n["S"]:
            assert np.array_equal(mask[0], np.tri(n["T"], dtype=bool))
        elif kind == "padding":
            assert (mask[..., :-1] >= mask[..., 1:]).all()  # nothing after the padding began
            assert (mask == mask[:, :1]).all()  # the same for every query
        elif kind in ("everything", "nothing"):
            assert mask.all() == mask.any() == (kind == "everything")


def test_both_values_come_up_in_a_random_mask():
    assert find(masks(2, 3, kinds=("random",)), lambda mask: mask.any() and not mask.all()) is not None


def test_no_such_kind():
    with pytest.raises(ValueError, match="got 'diagonal'"):
        find(masks(2, 3, kinds=("diagonal",)), lambda mask: True)


@given(st.data(), sizes("B T"), st.integers(1, 5))
def test_ids(data, n, vocab_size):
    drawn = data.draw(ids(n["B"], n["T"], vocab_size=vocab_size, ignore_index=-100))
    assert drawn.shape == (n["B"], n["T"])
    assert set(np.unique(drawn)) <= {-100, *range(vocab_size)}
    assert drawn.size == 1 or np.unique(drawn).size < drawn.size


def test_an_ignored_id_comes_up():
    assert find(ids(4, vocab_size=3, ignore_index=-100), lambda x: (x == -100).any()) is not None


@settings(max_examples=20)
@given(normals(2, 3), normals(4, dtype=np.float32, scale=0.0))
def test_normals(x, zeros):
    assert x.shape == (2, 3)
    assert x.dtype == np.float64
    assert np.unique(x).size == 6
    assert zeros.dtype == np.float32
    assert not zeros.any()
