"""One training step's gradient: lanes, micro-batches, threads.

    batch     B sequences, or a rank's share of them (ranks.py), cut into a fixed number of lanes
    lane      a gradient vector of its own, and its sequences in micro-batches, in order
    gradient  lane 0 + lane 1 + ...

Padding is hardly computed: a lane's sequences are sorted by length, and a micro-batch is as wide as the
longest of its own. The loss and the gradient are those of the padded batch, since nobody attends to padding
and no target is there; dropout, too, draws for the tokens alone (nn/randomness.py).

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
import numpy.typing as npt

from .._threads import in_pieces
from ..models.inference import least_padding
from ..nn import SequenceRandom
from ..objectives import Metrics

Array = npt.NDArray[Any]

MICRO_NUMBERS = 1024 * 256  # of a hidden state (tokens, d_model)
OVERHEAD = 16  # a micro-batch costs besides what a sixteenth of its most tokens costs


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


def cut_batch(lengths: Array, lanes: int, tokens: int) -> list[list[Array]]:
    """Cut sequences into lanes of about as many tokens, and these into micro-batches with little padding.

    Sorted by length, the sequences are dealt to the lanes there and back (0, 1, 1, 0, 0, 1, ...). Where all
    are of one length they stay in their order: neighbours share a lane, and micro-batches are equal.

    Parameters
    ----------
    lengths : ndarray of int, shape (B,)
    lanes : int
        How many at most; none is empty.
    tokens : int
        The most of a micro-batch, padding to its longest sequence included.

    Returns
    -------
    list of list of ndarray of int
        For each lane the places of its micro-batches' sequences.

    Examples
    --------
    >>> cut_batch(np.array([3, 8, 2, 9, 3, 3]), lanes=2, tokens=16)
    [[array([3]), array([4, 5])], [array([1]), array([0, 2])]]
    >>> cut_batch(np.full(6, 4), lanes=2, tokens=8)
    [[array([0, 1]), array([2])], [array([3, 4]), array([5])]]
    """
    B, lengths = len(lengths), np.maximum(lengths, 1)
    longest = int(lengths.max(initial=1))
    if lengths.min(initial=longest) == longest:
        return [
            [np.arange(a, b) for a, b in micro_batches(*lane, longest, tokens)] for lane in cut(B, lanes)
        ]
    order, lanes = np.argsort(-lengths, kind="stable"), min(lanes, B)
    turn, place = np.divmod(np.arange(B), lanes)
    lane_of = np.where(turn % 2, lanes - 1 - place, place)
    dealt = [order[lane_of == lane] for lane in range(lanes)]
    return [[own[a:b] for a, b in least_padding(lengths[own], tokens, tokens // OVERHEAD)] for own in dealt]


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
    objective : MaskedLM, CausalLM, Seq2Seq, TextPairs or Distillation
    batch : MaskedLMBatch, CausalLMBatch or Seq2SeqBatch
        As the objective's `make_batch` returns it, or a `parts.BatchInParts`.
    lanes : sequence of Parameters
        A place for the gradient of each lane (``model.params.zeros_like()``). Whatever they hold is
        overwritten; the whole gradient is in ``lanes[0]`` afterwards.
    generators : sequence of numpy.random.Generator, length B, optional
        One for each sequence, the source of its dropout; None = no dropout. How much padding a sequence has,
        and with which others it is worked on, does not change what is drawn for it.
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
    # Of the whole batch, and known before any backward.
    normalizer = max(batch.n_targets if normalizer is None else normalizer, 1)
    first, stop = batch.extents
    tokens = micro_tokens or tokens_at_once(model.config.d_model)
    jobs = list(zip(lanes, cut_batch(stop - first, len(lanes), tokens), strict=False))

    def work(lane: Any, pieces: list[Array]) -> Metrics:
        lane.flat[...] = 0
        total = Metrics(0.0, 0, 0)
        # What is not finite is explained after the step (diagnosis.py), not by a warning from some thread.
        with np.errstate(all="ignore"):
            for places in pieces:
                part = batch.take(places).trimmed()
                rng = random_of(generators, places, part)
                total += objective.loss_and_grad(
                    model, part, lane, normalizer=normalizer, rng=rng, recompute=recompute
                )
        return total

    if executor is None:
        done = [work(*job) for job in jobs]
    else:
        futures = [executor.submit(work, *job) for job in jobs]
        done = [future.result() for future in futures]
    metrics = done[0]
    for of_lane in done[1:]:
        metrics += of_lane
    add_up([lane.flat for lane, _ in jobs], executor)
    return metrics


def random_of(
    generators: Sequence[np.random.Generator] | None, places: npt.ArrayLike, part: Any
) -> SequenceRandom | None:
    """Return the source of dropout for `part`, the sequences at `places` of a batch; None without any."""
    if generators is None:
        return None
    return SequenceRandom([generators[i] for i in np.asarray(places).tolist()], part.extents)


def add_up(vectors: Sequence[Any], executor: Executor | None = None) -> None:
    """Add all the vectors to the first, entry by entry in their order, with the threads of an `executor`."""
    total, *others = vectors

    def add(start: int, stop: int) -> None:
        for vector in others:
            total[start:stop] += vector[start:stop]

    in_pieces(add, total.size, executor)
