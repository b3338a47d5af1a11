from __future__ import annotations

import copy

import numpy as np
import pytest

from npformer.nn import GatheredRandom, PairedRandom, SequenceRandom


def per_sequence(B: int) -> SequenceRandom:
    return SequenceRandom([np.random.default_rng((3, b)) for b in range(B)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_of_a_sequence_do_not_depend_on_the_cut(dtype):
    whole = per_sequence(5)
    first, second = whole.random((5, 4, 3), dtype), whole.random((5, 2), dtype)
    part = SequenceRandom(per_sequence(5).generators[1:4])
    np.testing.assert_array_equal(part.random((3, 4, 3), dtype), first[1:4])
    np.testing.assert_array_equal(part.random((3, 2), dtype), second[1:4])
    assert first.dtype == dtype
    assert len(np.unique(first)) > 50, "sequences must not repeat each other"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_of_a_sequence_do_not_depend_on_the_padding_beside_it(dtype):
    spans = np.array([[0, 0, 0], [2, 4, 0]])
    generators = per_sequence(3).generators
    narrow, wide, left = (
        SequenceRandom(copy.deepcopy(generators), spans + shift) for shift in (0, 0, [[3], [3]])
    )
    for _ in range(2):  # the second draw goes on where the first has ended
        hidden = narrow.random((3, 4, 5), dtype)
        wider, shifted = wide.random((3, 7, 5), dtype), left.random((3, 7, 5), dtype)
        np.testing.assert_array_equal(wider[:, :4], hidden)
        np.testing.assert_array_equal(shifted[:, 3:], hidden)
        weights = narrow.random((3, 2, 4, 4), dtype)
        wider, shifted = wide.random((3, 2, 6, 5), dtype), left.random((3, 2, 7, 7), dtype)
        np.testing.assert_array_equal(wider[:, :, :4, :4], weights)
        np.testing.assert_array_equal(shifted[:, :, 3:, 3:], weights)
        assert hidden.dtype == weights.dtype == dtype
        assert len(np.unique(hidden)) == 1 + 6 * 5  # of padding, 0
        assert len(np.unique(weights)) == 1 + 2 * (4 + 16)
        np.testing.assert_array_equal(narrow.random((3, 2), dtype), wide.random((3, 2), dtype))
        left.random((3, 2), dtype)


def test_the_shorter_side_of_a_pair_has_the_beginning_of_its_draws():
    def pair():
        return SequenceRandom(per_sequence(1).generators, np.array([[0], [4]]))

    np.testing.assert_array_equal(pair().random((1, 3, 5)), pair().random((1, 4, 5))[:, :3])
    cross = pair().random((1, 2, 3, 4))
    np.testing.assert_array_equal(cross, pair().random((1, 2, 4, 4))[:, :, :3])


def test_full_sequences_draw_as_without_extents():
    full = SequenceRandom(per_sequence(2).generators, np.array([[0, 0], [4, 4]]))
    plain = per_sequence(2)
    for size in ((2, 4, 3), (2, 5, 4, 4), (2, 5)):
        np.testing.assert_array_equal(full.random(size), plain.random(size))


def test_gathered_draws_are_those_of_the_whole_grid():
    at = np.array([0, 7, 7, 11])
    everywhere = per_sequence(3).random((3, 4, 6), np.float32)
    some = GatheredRandom(per_sequence(3), at, (3, 4)).random((4, 6), np.float32)
    np.testing.assert_array_equal(some, everywhere.reshape(12, 6)[at])


def test_extents_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"extents: expected shape \(2, 3\), got \(2, 4\)"):
        SequenceRandom(per_sequence(3).generators, np.zeros((2, 4), int))


def test_a_batch_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"expected \(2, ...\), got \(3, 4\)"):
        per_sequence(2).random((3, 4))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_of_a_pair_do_not_depend_on_the_cut_or_the_padding(dtype):
    ends = np.array([[0] * 5, [4, 2, 3, 0, 1]])
    whole = PairedRandom(SequenceRandom(per_sequence(5).generators, ends))
    part = PairedRandom(SequenceRandom(per_sequence(5).generators[1:3], ends[:, 1:3]))
    for shape in ((4, 3), (2, 4, 4)):  # of features, and of attention's weights
        narrow = tuple(3 if size == 4 else size for size in shape)  # without the last column
        drawn, own = whole.random((10, *shape), dtype), part.random((4, *narrow), dtype)
        assert drawn.dtype == own.dtype == dtype
        np.testing.assert_array_equal(drawn[2:6][tuple(map(slice, own.shape))], own)
        assert (drawn[2:4] != drawn[3:5])[:, ..., 0].any(), "the two of a pair must not repeat each other"
