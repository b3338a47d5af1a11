"""Every random number of a run, keyed by what it is for.

    generator(seed, purpose, *key)        e.g. (seed, DROPOUT, step, sequence)

No generator is used beyond its key: what draws from one, one thing after another, is of its purpose, step and
sequence alone. So the numbers of step 700 are the same whether steps 0 to 699 ran just now or before an
interruption, and those of a sequence are the same whatever thread or rank works on it.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# What a draw is for. A number, once given, is never given to something else: old runs must stay repeatable.
WEIGHTS, ORDER, CORRUPTION, DROPOUT, EVALUATION, COOCCURRENCE, PARTNERS = range(7)


def generator(seed: int, purpose: int, *key: int) -> np.random.Generator:
    """Return the Generator of `purpose` for `key`, e.g. step and sequence.

    Examples
    --------
    >>> first, again = (generator(0, DROPOUT, 3, 1).random(4) for _ in range(2))
    >>> np.array_equal(first, again)
    True
    """
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(purpose, *key))))


def of_sequences(seed: int, purpose: int, step: int, stop: int, start: int = 0) -> list[np.random.Generator]:
    """Return a Generator for each of the sequences [start, stop) of a step's batch."""
    return [generator(seed, purpose, step, sequence) for sequence in range(start, stop)]


def sequences_of_step(seed: int, step: int, batch_size: int, n_sequences: int) -> Array:
    """Return which sequences of the data make up a step's batch.

    In every epoch each sequence comes once, in an order of the epoch's own; a batch may lie across the end of
    an epoch, and a batch larger than the data goes through it several times.

    Parameters
    ----------
    seed, step : int
        Steps count from 0.
    batch_size : int
    n_sequences : int
        How many there are.

    Returns
    -------
    ndarray of int, shape (batch_size,)

    Examples
    --------
    >>> batches = [sequences_of_step(0, step, batch_size=2, n_sequences=6) for step in range(3)]
    >>> np.sort(np.concatenate(batches))
    array([0, 1, 2, 3, 4, 5])
    """
    places = step * batch_size + np.arange(batch_size)
    epochs, within = places // n_sequences, places % n_sequences
    orders = {epoch: order_of_epoch(seed, epoch, n_sequences) for epoch in np.unique(epochs).tolist()}
    return np.array(
        [orders[e][w] for e, w in zip(epochs.tolist(), within.tolist(), strict=True)], dtype=np.intp
    )


@functools.lru_cache(maxsize=2)  # a step asks for one epoch or two, and the next step for the same
def order_of_epoch(seed: int, epoch: int, n_sequences: int) -> Array:
    """Return the order in which an epoch goes through its sequences, shape (n_sequences,)."""
    order = generator(seed, ORDER, epoch).permutation(n_sequences)
    return order.astype(np.uint32) if n_sequences <= 1 << 32 else order  # of what grows with the data, half
