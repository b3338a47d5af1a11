"""A batch that is never in memory as a whole: gradient accumulation.

    count    every sequence is made once, for the number n of targets: the gradient's divisor
    work     each micro-batch is made when its turn comes, from the same draws, and dropped after its backward

The draws are keyed by step and sequence (draws.py), so the second time gives what the first gave, and the
gradient has the bits of the whole batch's. It costs the second draw, and saves the whole batch, its mask
and a Generator for each sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .step import micro_batches

COUNTED = 1024  # tokens at a time


class BatchInParts:
    """What `step.gradient` asks of a batch, without the batch.

    Parameters
    ----------
    make : callable
        make(start, stop) is the batch of the sequences [start, stop), the same whenever it is called.
    shape : (B, T)
    """

    def __init__(self, make: Callable[[int, int], Any], shape: tuple[int, int]) -> None:
        self.rows, self.shape = make, shape
        B, T = shape
        self.n_targets = sum(make(a, b).n_targets for a, b in micro_batches(0, B, T, COUNTED))


class GeneratorsInParts:
    """A Generator for each sequence of a batch, made when a slice of them is asked for: fresh ones each time.

    Parameters
    ----------
    make : callable
        make(start, stop) is the list of the Generators of the sequences [start, stop).
    """

    def __init__(self, make: Callable[[int, int], list[np.random.Generator]]) -> None:
        self.make = make

    def __getitem__(self, part: slice) -> list[np.random.Generator]:
        return self.make(part.start, part.stop)
