"""A batch that is never in memory as a whole: gradient accumulation.

    count    every sequence is made once, for the number n of targets, the gradient's divisor, and its length
    work     each micro-batch is made when its turn comes, from the same draws, and dropped after its backward

The draws are keyed by step and sequence (draws.py), so the second time gives what the first gave, and the
gradient has the bits of the whole batch's. It costs the second draw, and saves the whole batch, its mask
and a Generator for each sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .step import Array, micro_batches

COUNTED = 1024  # tokens at a time


class BatchInParts:
    """What `step.gradient` asks of a batch, without the batch.

    Parameters
    ----------
    make : callable
        make(places) is the batch of the sequences at these places, the same whenever it is called.
    shape : (B, T)
    """

    def __init__(self, make: Callable[[Array], Any], shape: tuple[int, int]) -> None:
        self.take, self.shape = make, shape
        B, T = shape
        extents = []
        self.n_targets: Any = 0
        for a, b in micro_batches(0, B, T, COUNTED):
            part = self.rows(a, b)
            self.n_targets += part.n_targets
            extents.append(part.extents)
        self.extents = np.concatenate(extents, axis=1)

    def rows(self, start: int, stop: int) -> Any:
        """Return the batch of the sequences [start, stop)."""
        return self.take(np.arange(start, stop))


class GeneratorsInParts:
    """A Generator for each sequence of a batch, made when it is asked for: a fresh one each time.

    Parameters
    ----------
    make : callable
        make(i) is the Generator of sequence i.
    """

    def __init__(self, make: Callable[[int], np.random.Generator]) -> None:
        self.make = make

    def __getitem__(self, i: int) -> np.random.Generator:
        return self.make(i)
