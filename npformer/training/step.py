"""One training step's gradient: lanes, micro-batches, threads.

    batch     B sequences, or a rank's share of them (ranks.py), cut into a fixed number of lanes
    lane      a gradient vector of its own, and its sequences in micro-batches, in order
    gradient  lane 0 + lane 1 + ...

Threads take lanes. Micro-batches (about 1,024 tokens where the model is 256 wide, fewer where it is wider)
keep the temporary arrays in the processor's cache, and NumPy releases the interpreter's lock in its loops,
so two lanes keep two cores busy. What a lane computes and the order of every sum depend on the batch and
the number of lanes alone: the bits are the same on one thread and on many.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from .._threads import in_pieces
from ..nn import SequenceRandom
from ..objectives import Metrics

MICRO_NUMBERS = 1024 * 256  # of a hidden state (tokens, d_model)


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


def tokens_at_once(d_model: int) -> int:
    """Return about how many tokens a micro-batch of a model of this width has.

    Examples
    --------
    >>> tokens_at_once(256), tokens_at_once(384)
    (1024, 682)
    """
    return max(MICRO_NUMBERS // d_model, 1)


def micro_batches(start: int, stop: int, length: int, tokens: int) -> list[tuple[int, int]]:
    """Cut the sequences [start, stop), each of `length` tokens, into equal pieces of `tokens` tokens at most.

    Examples
    --------
    >>> micro_batches(8, 24, length=128, tokens=1024)
    [(8, 16), (16, 24)]
    >>> micro_batches(0, 10, length=128, tokens=512)
    [(0, 4), (4, 7), (7, 10)]
    """
    rows = max(1, tokens // length)
    return [(start + a, start + b) for a, b in cut(stop - start, -(-(stop - start) // rows))]


def gradient(
    model: Any,
    objective: Any,
    batch: Any,
    lanes: Sequence[Any],
    *,
    generators: Sequence[np.random.Generator] | None = None,
    executor: Executor | None = None,
    micro_tokens: int | None = None,
    recompute: bool = False,
    normalizer: int | None = None,
) -> Metrics:
    """Compute the gradient of a batch's mean loss.

    Parameters
    ----------
    model : Encoder, Decoder or EncoderDecoder
    objective : MaskedLM, CausalLM or Seq2Seq
    batch : MaskedLMBatch, CausalLMBatch or Seq2SeqBatch
        As the objective's `make_batch` returns it, or a `parts.BatchInParts`.
    lanes : sequence of Parameters
        A place for the gradient of each lane (``model.params.zeros_like()``). Whatever they hold is
        overwritten; the whole gradient is in ``lanes[0]`` afterwards.
    generators : sequence of numpy.random.Generator, length B, optional
        One for each sequence, the source of its dropout; None = no dropout.
    executor : concurrent.futures.Executor, optional
        Its threads work on the lanes; None = the calling thread, one lane after another.
    micro_tokens : int, optional
        The most tokens of a micro-batch; default: by the model's width.
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
    B, T = batch.shape
    # Of the whole batch, and known before any backward.
    normalizer = max(batch.n_targets if normalizer is None else normalizer, 1)
    tokens = micro_tokens or tokens_at_once(model.config.d_model)

    def work(lane: Any, start: int, stop: int) -> Metrics:
        lane.flat[...] = 0
        total = Metrics(0.0, 0, 0)
        # What is not finite is explained after the step (diagnosis.py), not by a warning from some thread.
        with np.errstate(all="ignore"):
            for a, b in micro_batches(start, stop, T, tokens):
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
    for of_lane in done[1:]:
        metrics += of_lane
    add_up([lane.flat for lane, _, _ in jobs], executor)
    return metrics


def add_up(vectors: Sequence[Any], executor: Executor | None = None) -> None:
    """Add all the vectors to the first, entry by entry in their order, with the threads of an `executor`."""
    total, *others = vectors

    def add(start: int, stop: int) -> None:
        for vector in others:
            total[start:stop] += vector[start:stop]

    in_pieces(add, total.size, executor)
