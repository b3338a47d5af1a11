"""The generic points at which every op is proven.

`cases(op, seed)` draws them: sizes pairwise different wherever the op allows it and one case with equal
sizes, scales that are not one and biases that are not zero, ids with repeats, padded and fully masked rows,
dropout on, a random normal cotangent. At other points (equal sizes alone, gamma = 1, a cotangent of ones)
mistakes hide.
"""

from __future__ import annotations

import zlib

import numpy as np

from . import activations, attention, flash, losses, normalisation, projections
from .case import Case, Draw, FixedRandom, KeepRandom, ReplayedRandom

_TOPICS = (projections, activations, normalisation, losses, attention, flash)
_MAKERS = {op: maker for topic in _TOPICS for op, maker in topic.CASES.items()}

OPS: tuple[str, ...] = tuple(_MAKERS)

__all__ = ["OPS", "Case", "FixedRandom", "KeepRandom", "ReplayedRandom", "cases"]


def cases(op: str, seed: int = 0) -> list[Case]:
    """Return the cases of `op` drawn from `seed`; the draws of one op do not depend on the others.

    Parameters
    ----------
    op : str
        One of `OPS`.
    seed : int
        At least 0.

    Returns
    -------
    list of Case

    Raises
    ------
    ValueError
        If there is no such op, or the seed is negative.

    Examples
    --------
    >>> [case.variant for case in cases("dropout")]
    ['p = 0.3', 'p = 0.6, equal sizes', 'p = 0']
    """
    if op not in _MAKERS:
        raise ValueError(f"unknown op {op!r}: expected one of {', '.join(OPS)}")
    if seed < 0:
        raise ValueError(f"seed: expected at least 0, got {seed}")
    draw = Draw(np.random.default_rng([seed, zlib.crc32(op.encode())]))
    return _MAKERS[op](draw)
