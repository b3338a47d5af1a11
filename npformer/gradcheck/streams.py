"""Random numbers of the referee's own, which no seed of a user's gives."""

from __future__ import annotations

import zlib

import numpy as np


def own_stream(use: str, seed: int = 0) -> np.random.Generator:
    """Return the numbers for one use, e.g. "cotangent": other ones for each use and seed.

    Points are drawn by ``default_rng(0)``, ``default_rng(1)``, ... The cotangent of a check may not come from
    there as well: where it is the input itself, a backward that takes one for the other passes. Nor may two
    uses share their numbers, since a point that is drawn here is checked here.

    Parameters
    ----------
    use : str
    seed : int
        Not negative.

    Returns
    -------
    numpy.random.Generator

    Examples
    --------
    >>> own_stream("cotangent").random() in (own_stream("point").random(), np.random.default_rng(0).random())
    False
    """
    return np.random.default_rng([seed, zlib.crc32(f"npformer.gradcheck {use}".encode())])
