"""Random draws that belong to a sequence and a position, however the work is cut up.

Dropout must drop the same elements whether a batch is worked through whole or in micro-batches, on
one thread or several, at every position or only where an output is wanted, however much padding there is
beside a sequence. So each sequence has a Generator of its own, which draws for its tokens alone, and where
only some positions are computed, the draws are made for all of them.
All classes have the one method of `numpy.random.Generator` that the ops use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._blocks import Array, Random


class SequenceRandom:
    """One Generator for each sequence of a batch.

    Parameters
    ----------
    generators : sequence of numpy.random.Generator, length B
    extents : ndarray of int, shape (2, B), optional
        First column and the one past the last of each sequence's tokens: of a grid (B, T, ...) or
        (B, h, T, S), numbers are drawn for these columns (of both axes) alone, and padding has 0. What is
        drawn for a sequence then depends neither on T nor on where in it the tokens stand. Of a pair, both
        sides count from column 0 to the end of the longer one. Default: everything is drawn.

    Raises
    ------
    ValueError
        If there is not one extent for each Generator.

    Examples
    --------
    >>> whole = SequenceRandom([np.random.default_rng(b) for b in range(4)]).random((4, 2, 3))
    >>> part = SequenceRandom([np.random.default_rng(b) for b in (2, 3)]).random((2, 2, 3))
    >>> np.array_equal(whole[2:], part)
    True

    A sequence of two tokens, padded to two or to three:

    >>> two, three = (SequenceRandom([np.random.default_rng(0)], np.array([[0], [2]])) for _ in range(2))
    >>> np.array_equal(two.random((1, 2, 5)), three.random((1, 3, 5))[:, :2])
    True
    """

    def __init__(self, generators: Sequence[np.random.Generator], extents: Array | None = None) -> None:
        self.generators = list(generators)
        if extents is not None and extents.shape != (2, len(self.generators)):
            raise ValueError(
                f"SequenceRandom: extents: expected shape (2, {len(self.generators)}), got {extents.shape}"
            )
        self.extents = extents

    def random(self, size: Any = None, dtype: Any = np.float64) -> Array:
        """Return uniform numbers of shape `size`, the first axis of which runs over the sequences."""
        if not isinstance(size, tuple) or not size or size[0] != len(self.generators):
            raise ValueError(f"SequenceRandom: size: expected ({len(self.generators)}, ...), got {size}")
        grids = len(size) - 2  # axes of tokens, before the features or after the heads
        if self.extents is None or grids not in (1, 2):
            out = np.empty(size, dtype)
            for generator, row in zip(self.generators, out, strict=True):
                generator.random(dtype=dtype, out=row)
            return out
        out = np.zeros(size, dtype)
        for generator, row, first, stop in zip(self.generators, out, *self.extents.tolist(), strict=True):
            n, span = stop - first, slice(first, stop)
            own, there = ((n, row.shape[1]), (span,)) if grids == 1 else ((len(row), n, n), (..., span, span))
            if own == row.shape:
                generator.random(dtype=dtype, out=row)
            else:
                tokens = row[there]  # fewer than `own` where this side of a pair is the shorter one
                tokens[...] = generator.random(own, dtype)[tuple(slice(size) for size in tokens.shape)]
        return out


class GatheredRandom:
    """The draws of `rng` for a whole (B, T) grid, seen at some of its positions.

    Parameters
    ----------
    rng : Generator or SequenceRandom
    at : ndarray of int, shape (n,)
        Flat positions in the grid.
    grid : (B, T)
    """

    def __init__(self, rng: Random, at: Array, grid: tuple[int, int]) -> None:
        self.rng, self.at, self.grid = rng, at, grid

    def random(self, size: Any = None, dtype: Any = np.float64) -> Array:
        """Return uniform numbers of shape `size` = (n, ...), a row for each position."""
        B, T = self.grid
        everywhere: Array = self.rng.random((B, T, *size[1:]), dtype=dtype)
        return everywhere.reshape(B * T, *size[1:])[self.at]


class PairedRandom:
    """The draws for B pairs of sequences that are worked on as 2 B sequences: 2 i and 2 i + 1 are a pair.

    A pair has one row of `rng`, which draws for its first sequences, then for its second.

    Parameters
    ----------
    rng : Generator or SequenceRandom

    Examples
    --------
    >>> first, second = (SequenceRandom([np.random.default_rng(b) for b in range(3)]) for _ in range(2))
    >>> u = PairedRandom(first).random((6, 2, 4))
    >>> np.array_equal(u[0::2], second.random((3, 2, 4))), np.array_equal(u[1::2], second.random((3, 2, 4)))
    (True, True)
    """

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def random(self, size: Any = None, dtype: Any = np.float64) -> Array:
        """Return uniform numbers of shape `size` = (2 B, ...)."""
        out = np.empty(size, dtype)
        for side in (0, 1):
            out[side::2] = self.rng.random((size[0] // 2, *size[1:]), dtype=dtype)
        return out
