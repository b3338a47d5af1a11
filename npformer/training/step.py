"""One training step's gradient: lanes, micro-batches, threads.

    batch     B sequences, or a rank's share of them (ranks.py), cut into a fixed number of lanes
    lane      a gradient vector of its own, and its sequences in micro-batches of about 1,024 tokens, in order
    gradient  lane 0 + lane 1 + ...

Threads take lanes. Micro-batches keep the temporary arrays in the processor's cache, and NumPy releases the
interpreter's lock inside its loops, so two lanes keep two cores busy. What a lane computes and the order of
every sum depend on the batch and the number of lanes alone: the bits are the same on one thread and on many.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from ..nn import SequenceRandom
from ..objectives import Metrics

MICRO_TOKENS = 1024


def cut(n: int, parts: int) -> list[tuple[int, int]]:
    """Return (start, stop) of `parts` neighbouring pieces of n things, as equal as can be, none empty.

    Examples
    --------
    >>> cut(5, 2), cut(1, 2)
    ([(0, 3), (3, 5)], [(0, 1)])
    """
    parts = max(1, min(parts, n))
    size, more = divmod(n, parts)
    stops = [size * (i + 1) + min(i + 1, more) for i in range(parts)]
    return list(zip([0, *stops[:-1]], stops, strict=True))


def micro_batches(start: int, stop: int, length: int, tokens: int = MICRO_TOKENS) -> list[tuple[int, int]]:
    """Cut the sequences [start, stop), each of `length` tokens, into pieces of about `tokens` tokens.

    Examples
    --------
    >>> micro_batches(8, 24, length=128)
    [(8, 16), (16, 24)]
    """
    rows = max(1, tokens // length)
    return [(a, min(a + rows, stop)) for a in range(start, stop, rows)]


def gradient(
    model: Any,
    objective: Any,
    batch: Any,
    lanes: Sequence[Any],
    *,
    generators: Sequence[np.random.Generator] | None = None,
    executor: Executor | None = None,
    micro_tokens: int = MICRO_TOKENS,
    recompute: bool = False,
    normalizer: int | None = None,
) -> Metrics:
    """Compute the gradient of a batch's mean loss.

    Parameters
    ----------
    model : Encoder
    objective : MaskedLM
    batch : MaskedLMBatch
        As the objective's `make_batch` returns it.
    lanes : sequence of Parameters
        A place for the gradient of each lane (``model.params.zeros_like()``). Whatever they hold is
        overwritten; the whole gradient is in ``lanes[0]`` afterwards.
    generators : sequence of numpy.random.Generator, length B, optional
        One for each sequence, the source of its dropout; None = no dropout.
    executor : concurrent.futures.Executor, optional
        Its threads work on the lanes; None = the calling thread, one lane after another.
    micro_tokens : int
    recompute : bool
        Run the layers' forwards again in the backward, for less memory; see `Encoder.forward`.
    normalizer : int, optional
        Number of targets of the whole batch, where `batch` is a share of it: then the gradients of all shares
        sum to the gradient of the whole batch's mean.

    Returns
    -------
    Metrics
        Sums over `batch`.
    """
    B, T = batch.ids.shape
    # Of the whole batch, and known before any backward.
    normalizer = max(batch.n_targets if normalizer is None else normalizer, 1)

    def work(lane: Any, start: int, stop: int) -> Metrics:
        lane.flat[...] = 0
        total = Metrics(0.0, 0, 0)
        # What is not finite is explained after the step (diagnosis.py), not by a warning from some thread.
        with np.errstate(all="ignore"):
            for a, b in micro_batches(start, stop, T, micro_tokens):
                rng = None if generators is None else SequenceRandom(generators[a:b])
                part = batch.rows(a, b)
                total += objective.loss_and_grad(
                    model, part, lane, normalizer=normalizer, rng=rng, recompute=recompute
                )
        return total

    pieces = cut(B, len(lanes))
    jobs = [(lane, start, stop) for lane, (start, stop) in zip(lanes, pieces, strict=False)]
    if executor is None:
        done = [work(*job) for job in jobs]
    else:
        futures = [executor.submit(work, *job) for job in jobs]
        done = [future.result() for future in futures]
    metrics = done[0]
    for lane, of_lane in zip(lanes[1 : len(jobs)], done[1:], strict=True):
        lanes[0].flat += lane.flat
        metrics += of_lane
    return metrics
