"""Where the tokens of padded sequences are, and what becomes of the targets when sequences and columns go.

    extent    of a sequence: the columns from its first real token (or target) to its last
    take      some sequences, in any order
    trim      some columns

Targets are named by flat positions b · T + t, so they move with both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def extents(mask: Array, at: Array | None = None) -> Array:
    """Return the first column and the one past the last of each sequence's tokens; (0, 0) where it has none.

    Parameters
    ----------
    mask : ndarray of bool, shape (B, T)
        True = a real token.
    at : ndarray of int, shape (n,), optional
        Flat positions in (B, T) that count as real, whatever the mask says: the targets.

    Returns
    -------
    ndarray of int, shape (2, B)

    Examples
    --------
    >>> extents(np.array([[True, True, False], [False, True, True], [False, False, False]]))
    array([[0, 1, 0],
           [2, 3, 0]])
    """
    T = mask.shape[1]
    real = mask
    if at is not None and at.size and not mask.reshape(-1)[at].all():
        real = mask.copy()
        real.reshape(-1)[at] = True
    if not T:
        return np.zeros((2, len(mask)), np.intp)
    stops = T - real[:, ::-1].argmax(axis=1)
    return np.stack([real.argmax(axis=1), stops]) * real.any(axis=1)


def columns(extent: Array) -> tuple[int, int]:
    """Return (start, stop) of the columns that hold every sequence's `extent` (2, B), one column at least.

    Examples
    --------
    >>> columns(np.array([[1, 0, 2], [3, 0, 4]])), columns(np.zeros((2, 1), int))
    ((1, 4), (0, 1))
    """
    first, stop = extent[:, extent[1] > extent[0]]  # a sequence without tokens has no say
    return (int(first.min()), int(stop.max())) if first.size else (0, 1)


def take_targets(at: Array, T: int, places: Array) -> tuple[Array, Array]:
    """Return which targets are in the sequences at `places`, and where they then are.

    Parameters
    ----------
    at : ndarray of int, shape (n,)
        Flat positions in (B, T), ascending.
    T : int
    places : ndarray of int, shape (b,)

    Returns
    -------
    which : ndarray of int
        Indices into `at`.
    at : ndarray of int
        Flat positions in (b, T), ascending.

    Examples
    --------
    >>> take_targets(np.array([1, 5, 7, 8]), T=4, places=np.array([2, 1]))
    (array([3, 1, 2]), array([0, 5, 7]))
    """
    first, stop = np.searchsorted(at, (places * T, (places + 1) * T))
    counts = stop - first
    rows = np.repeat(np.arange(len(places)), counts)
    which = np.arange(rows.size) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    return which, at[which] - places[rows] * T + rows * T


def trim_targets(at: Array, T: int, start: int, stop: int) -> Array:
    """Return where targets at flat positions in (B, T) are when only the columns [start, stop) are left.

    Examples
    --------
    >>> trim_targets(np.array([1, 6, 7]), T=4, start=1, stop=4)
    array([0, 4, 5])
    """
    rows, column = np.divmod(at, T)
    moved: Array = rows * (stop - start) + column - start
    return moved
