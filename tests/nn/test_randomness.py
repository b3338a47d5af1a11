from __future__ import annotations

import numpy as np
import pytest

from npformer.nn import GatheredRandom, SequenceRandom


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


def test_gathered_draws_are_those_of_the_whole_grid():
    at = np.array([0, 7, 7, 11])
    everywhere = per_sequence(3).random((3, 4, 6), np.float32)
    some = GatheredRandom(per_sequence(3), at, (3, 4)).random((4, 6), np.float32)
    np.testing.assert_array_equal(some, everywhere.reshape(12, 6)[at])


def test_a_batch_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"expected \(2, ...\), got \(3, 4\)"):
        per_sequence(2).random((3, 4))
