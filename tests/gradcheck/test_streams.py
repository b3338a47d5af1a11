"""The referee's own random numbers are nobody else's, nor each other's."""

from __future__ import annotations

import numpy as np

from npformer.gradcheck.streams import own_stream

USES = ("cotangent", "directions", "point", "nearby", "moves", "changes")


def test_they_are_the_same_each_time_and_no_seeds_nor_another_uses():
    first = {tuple(own_stream(use, seed).random(3)) for use in USES for seed in range(5)}
    assert len(first) == 5 * len(USES)
    assert own_stream("point", 3).random() == own_stream("point", 3).random()
    plain = {tuple(np.random.default_rng(seed).random(3)) for seed in range(1000)}
    assert not first & plain
