"""Dropout whose draws can be made again, anywhere and in any order, so that nobody has to keep them.

    u_n    = the n-th number of SplitMix64, seeded by the head's seed, in [0, 1)
    keep   = u_n >= p,   n = 2³² t + s  for query t and key s

SplitMix64 is a counter and a function of it, so its n-th number costs as much as the next one:

    z = seed + (n + 1) γ
    z = (z ^ z >> 30) · a
    z = (z ^ z >> 27) · b
    u = (z ^ z >> 31) / 2⁶⁴          of which the upper 53 bits are used; all modulo 2⁶⁴

Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014 (the constants: Vigna's).
"""

from __future__ import annotations

import numpy as np

from ._arguments import Array, Random, require_random

GAMMA = np.uint64(0x9E3779B97F4A7C15)
A = np.uint64(0xBF58476D1CE4E5B9)
B = np.uint64(0x94D049BB133111EB)
BITS = 53  # of a float64


def draw_seeds(op: str, shape: tuple[int, ...], rng: Random | None) -> Array:
    """Return a seed (uint64) for each head, from one draw of float64."""
    u = np.asarray(require_random(op, rng).random(shape, dtype=np.float64))
    return (u * 2.0**BITS).astype(np.uint64)


def keep_again(seeds: Array, queries: slice, keys: slice, p: float) -> Array:
    """Return what dropout keeps of the weights of some queries and keys: bool, (..., queries, keys).

    Parameters
    ----------
    seeds : ndarray of uint64, shape (...)
    queries, keys : slice
        With start and stop.
    p : float
        Probability of dropping.

    Examples
    --------
    >>> keep_again(np.array(1, np.uint64), slice(0, 2), slice(3, 8), 0.5)
    array([[False, False,  True,  True,  True],
           [False, False, False,  True, False]])
    """
    t = np.arange(queries.start, queries.stop, dtype=np.uint64)[:, None]
    s = np.arange(keys.start, keys.stop, dtype=np.uint64)
    counter = (t << np.uint64(32)) + s + np.uint64(1)
    z = seeds[..., None, None] + counter * GAMMA
    z ^= z >> np.uint64(30)
    z *= A
    z ^= z >> np.uint64(27)
    z *= B
    z ^= z >> np.uint64(31)
    z >>= np.uint64(64 - BITS)
    keep: Array = z >= np.uint64(round(p * 2**BITS))
    return keep
