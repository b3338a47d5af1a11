"""Random draws that belong to a sequence and a position, however the work is cut up.

Dropout must drop the same elements whether a batch is worked through whole or in micro-batches, on
one thread or several, at every position or only where an output is wanted. So each sequence has a
Generator of its own, and where only some positions are computed, the draws are made for all of them.
Both classes have the one method of `numpy.random.Generator` that the ops use.
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

    Examples
    --------
    >>> whole = SequenceRandom([np.random.default_rng(b) for b in range(4)]).random((4, 2, 3))
    >>> part = SequenceRandom([np.random.default_rng(b) for b in (2, 3)]).random((2, 2, 3))
    >>> np.array_equal(whole[2:], part)
    True
    """

    def __init__(self, generators: Sequence[np.random.Generator]) -> None:
        self.generators = list(generators)

    def random(self, size: Any = None, dtype: Any = np.float64) -> Array:
        """Return uniform numbers of shape `size`, the first axis of which runs over the sequences."""
        if not isinstance(size, tuple) or not size or size[0] != len(self.generators):
            raise ValueError(f"SequenceRandom: size: expected ({len(self.generators)}, ...), got {size}")
        out = np.empty(size, dtype)
        for generator, row in zip(self.generators, out, strict=True):
            generator.random(dtype=dtype, out=row)
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
