"""Random numbers by key, and the order of the data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from npformer.training import draws


def test_no_two_keys_share_their_numbers():
    keys = [*itertools.product((0, 1, 2**40), range(5), (0, 1), (0, 1)), (0, 0), (0, 0, 0), (0, 1), (1, 0)]
    first = {key: float(draws.generator(*key).random()) for key in keys}
    assert len(set(first.values())) == len(first)


@pytest.mark.parametrize(("n", "batch_size"), [(10, 5), (10, 3), (7, 7), (3, 8), (1, 4)])
def test_every_epoch_shows_each_sequence_once(n, batch_size):
    steps = 3 * n
    places = np.concatenate([draws.sequences_of_step(5, step, batch_size, n) for step in range(steps)])
    epochs = places[: len(places) // n * n].reshape(-1, n)
    assert (np.sort(epochs, axis=1) == np.arange(n)).all()
    if n > 3:
        assert len({tuple(epoch) for epoch in epochs}) > 1


def test_a_step_is_the_same_whenever_it_is_asked_for():
    there = [draws.sequences_of_step(1, step, 4, 11) for step in range(9)]
    back = [draws.sequences_of_step(1, step, 4, 11) for step in reversed(range(9))][::-1]
    assert np.array_equal(there, back)
    assert not np.array_equal(there, [draws.sequences_of_step(2, step, 4, 11) for step in range(9)])
