"""The tiles of a T x S array that is never made: which there are, and what may be seen in each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ._arguments import Array


class Reach(NamedTuple):
    """Query t stands at position t + offset and sees the keys from there - behind to there + ahead."""

    offset: int
    behind: float
    ahead: float


def reach_of(causal: bool, query_offset: int, window: int | None) -> Reach:
    """Return how far queries see: causality forbids what is ahead, a window what is not less than it away.

    Examples
    --------
    >>> reach_of(causal=True, query_offset=0, window=4)
    Reach(offset=0, behind=3, ahead=0)
    """
    far = math.inf if window is None else window - 1
    return Reach(int(query_offset), far, 0 if causal else far)


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield the slices that cut n positions into blocks of `size`, the last one shorter where it must be.

    Examples
    --------
    >>> list(blocks(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def keys_in_reach(reach: Reach, queries: slice, S: int, size: int) -> Iterator[slice]:
    """Yield those of the S keys' blocks in which one of the queries has a key within its reach.

    Examples
    --------
    >>> list(keys_in_reach(reach_of(True, 0, 3), slice(4, 6), S=9, size=2))  # keys 2 .. 5
    [slice(2, 4, None), slice(4, 6, None)]
    """
    first = queries.start + reach.offset - reach.behind
    last = queries.stop - 1 + reach.offset + reach.ahead
    start = int(max(first, 0)) // size * size
    stop = int(min(last, S - 1)) + 1
    for s in range(start, stop, size):
        yield slice(s, min(s + size, S))


def allowed_in(mask: Array | None, reach: Reach, queries: slice, keys: slice) -> Array | None:
    """Return what a tile's queries may see of its keys, broadcastable to the tile; None if everything."""
    allowed = None if mask is None else part(mask, queries, keys)
    nearest = keys.start - (queries.stop - 1 + reach.offset)  # how far ahead of a query a key of the tile is
    farthest = keys.stop - 1 - (queries.start + reach.offset)
    if nearest < -reach.behind or farthest > reach.ahead:
        t = np.arange(queries.start, queries.stop)[:, None] + reach.offset
        ahead = np.arange(keys.start, keys.stop) - t
        near = (ahead >= -reach.behind) & (ahead <= reach.ahead)
        allowed = near if allowed is None else allowed & near
    return allowed


def part(x: Array, queries: slice, keys: slice) -> Array:
    """Return a tile's part of an array that broadcasts to (..., T, S), as a view: an axis of 1 stays one."""
    if x.ndim >= 1 and x.shape[-1] != 1:
        x = x[..., keys]
    if x.ndim >= 2 and x.shape[-2] != 1:
        x = x[..., queries, :]
    return x
