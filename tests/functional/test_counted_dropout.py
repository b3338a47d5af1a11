from __future__ import annotations

import numpy as np
import pytest

from npformer.functional._counted_dropout import BITS, draw_seeds, keep_again
from npformer.nn.randomness import SequenceRandom

WHOLE = slice(0, 70), slice(0, 90)


def splitmix64(seed, n):
    """The first n numbers, by the generator as it is published: a state that moves on."""
    modulo, numbers = 2**64, []
    for _ in range(n):
        seed = (seed + 0x9E3779B97F4A7C15) % modulo
        z = seed
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % modulo
        z = (z ^ z >> 27) * 0x94D049BB133111EB % modulo
        numbers.append(z ^ z >> 31)
    return numbers


def test_the_reference_is_splitmix64():
    """The numbers that other implementations print for this seed."""
    assert splitmix64(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("seed", [0, 1, 1234567, 2**53 - 1])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.999, 1.0])
def test_the_first_query_draws_splitmix64(seed, p):
    kept = keep_again(np.array(seed, np.uint64), slice(0, 1), slice(0, 200), p)[0]
    assert kept.tolist() == [(u >> 11) >= p * 2**BITS for u in splitmix64(seed, 200)]


def test_a_later_query_draws_from_further_on():
    """Query 1 begins 2³² numbers later, which is where a state that much larger begins."""
    later = (5 + (1 << 32) * 0x9E3779B97F4A7C15) % 2**64
    kept = keep_again(np.array(5, np.uint64), slice(1, 2), slice(0, 50), 0.4)[0]
    assert kept.tolist() == [(u >> 11) >= 0.4 * 2**BITS for u in splitmix64(later, 50)]


def test_a_part_is_that_part_of_the_whole():
    seeds = draw_seeds("op", (2, 3), np.random.default_rng(0))
    whole = keep_again(seeds, *WHOLE, 0.3)
    assert whole.shape == (2, 3, 70, 90)
    assert whole.dtype == bool
    parts = [(slice(0, 7), slice(80, 90)), (slice(69, 70), slice(3, 4)), (slice(5, 5), WHOLE[1])]
    for queries, keys in parts:
        part = keep_again(seeds, queries, keys, 0.3)
        np.testing.assert_array_equal(part, whole[..., queries, keys])
        np.testing.assert_array_equal(keep_again(seeds[1:], queries, keys, 0.3), part[1:])


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_what_is_kept_looks_random(p):
    """The share that is kept, and how often neighbours agree: in keys, queries, heads; of 1.6 million."""
    seeds = draw_seeds("op", (4,), np.random.default_rng(1))
    x = (keep_again(seeds, slice(0, 512), slice(0, 768), p) - (1 - p)) / np.sqrt(p * (1 - p))
    pairs = {"x": x, "keys": x[..., 1:] * x[..., :-1], "queries": x[:, 1:] * x[:, :-1]}
    pairs |= {
        "heads": x[1:] * x[:-1],
        "diagonal": x[:, 1:, 1:] * x[:, :-1, :-1],
        "two on": x[..., 2:] * x[..., :-2],
    }
    for name, product in pairs.items():
        assert abs(product.mean()) * np.sqrt(product.size) < 4.5, name  # standard deviations
    for axis in (1, 2):  # no row and no column stands out
        sums = x.sum(axis=axis) / np.sqrt(x.shape[axis])
        assert np.abs(sums).max() < 5.5
        assert abs(sums.std() - 1) < 0.1


def test_seeds_belong_to_the_sequence():
    whole = draw_seeds("op", (4, 3), SequenceRandom([np.random.default_rng(b) for b in range(4)]))
    part = draw_seeds("op", (2, 3), SequenceRandom([np.random.default_rng(b) for b in (2, 3)]))
    np.testing.assert_array_equal(whole[2:], part)
    assert np.unique(whole).size == 12
    assert whole.dtype == np.uint64
    assert draw_seeds("op", (), np.random.default_rng(0)).shape == ()


def test_no_generator_is_named():
    with pytest.raises(TypeError, match=r"^op: rng: expected a numpy\.random\.Generator, got NoneType"):
        draw_seeds("op", (2,), None)
