"""Inference on many sequences of different lengths: little padding, every core, nothing kept for a backward.

    order         longest first
    micro-batch   neighbours in that order, padded to the longest among them alone: at most 1,024 tokens
    threads       take micro-batches; the results come back in the caller's order

Which sequences share a micro-batch depends on their lengths alone, so the bits are the same on one thread and
on many. The process keeps the memory of the arrays for the next ones (_allocator.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from .._allocator import keep_freed_memory
from .._threads import available_cores, one_blas_thread
from . import _arguments
from ._padding import padded
from .decoder import Decoder
from .encoder import Encoder
from .parameters import Array
from .pooling import mean_pooled

Pooling = Literal["mean", "cls", "pooler", "last"]
POOLINGS = ("mean", "cls", "pooler", "last", None)
MICRO_TOKENS = 1024
OVERHEAD = 16  # what a micro-batch costs besides, in tokens
QUARTER = 4
LEAST = 128  # tokens that are always allowed; smaller products are slow


@overload
def encode(
    model: Any,
    sequences: Sequence[npt.ArrayLike],
    *,
    pooling: None,
    segment_ids: Sequence[npt.ArrayLike] | None = None,
    normalize: bool = False,
    threads: int | None = None,
    micro_tokens: int = MICRO_TOKENS,
) -> list[Array]: ...


@overload
def encode(
    model: Any,
    sequences: Sequence[npt.ArrayLike],
    *,
    pooling: Pooling = "mean",
    segment_ids: Sequence[npt.ArrayLike] | None = None,
    normalize: bool = False,
    threads: int | None = None,
    micro_tokens: int = MICRO_TOKENS,
) -> Array: ...


def encode(
    model: Any,
    sequences: Sequence[npt.ArrayLike],
    *,
    pooling: Pooling | None = "mean",
    segment_ids: Sequence[npt.ArrayLike] | None = None,
    normalize: bool = False,
    threads: int | None = None,
    micro_tokens: int = MICRO_TOKENS,
) -> Array | list[Array]:
    """Encode sequences of any lengths: a vector for each, or a vector for each token.

    Parameters
    ----------
    model : Encoder or Decoder
    sequences : sequence of array_like of int, n of them, each of shape (T_i,)
        Token ids without padding, e.g. ``[tokenizer.encode(text).ids for text in texts]``.
    pooling : {"mean", "cls", "pooler", "last", None}
        The mean of the outputs of all tokens; the first token's output; the model's pooler on that; the last
        token's output; or None: the outputs of all tokens as they are. The first token of a decoder sees
        itself alone, so there it is "mean", "last" or None.
    segment_ids : sequence of array_like of int, each as long as its sequence, optional
        Default: all 0.
    normalize : bool
        Scale every vector to length 1, so that products are cosines.
    threads : int, optional
        Default: as many as there are cores. The result does not depend on it.
    micro_tokens : int
        At most so many tokens, padding included, are worked on at a time by a thread.

    Returns
    -------
    ndarray, shape (n, d_model), or with ``pooling=None`` a list of n ndarrays, shape (T_i, d_model)
        In the order of `sequences`; to rounding what `Encoder.forward` gives for them padded, with a mask.

    Raises
    ------
    ValueError
        If a sequence is empty, too long for the model, or has an id out of range (naming it by its place);
        if `pooling` is unknown or the model has no pooler; if `threads` or `micro_tokens` is below 1.
    TypeError
        If `model` is another, or a sequence does not hold integers, but e.g. text.

    References
    ----------
    Reimers, Gurevych: Sentence-BERT, arXiv:1908.10084, section 3 (pooling).

    Examples
    --------
    >>> from npformer.models import Encoder, EncoderConfig
    >>> config = EncoderConfig(vocab_size=30, d_model=8, n_heads=2, d_ff=16, n_layers=2, max_positions=10)
    >>> model = Encoder(config)
    >>> encode(model, [[1, 5, 2], [1, 7, 9, 4, 2]]).shape
    (2, 8)
    >>> [hidden.shape for hidden in encode(model, [[1, 5, 2], [1, 7, 9, 4, 2]], pooling=None)]
    [(3, 8), (5, 8)]
    """
    if not isinstance(model, Encoder | Decoder):
        raise TypeError(f"encode: model: expected an Encoder or Decoder, got {type(model).__name__}")
    c: Any = model.config
    if pooling not in POOLINGS:
        expected = ", ".join(map(repr, POOLINGS))
        raise ValueError(f"encode: pooling: expected one of {expected}, got {pooling!r}")
    if isinstance(model, Decoder) and pooling in ("cls", "pooler"):
        raise ValueError(f"encode: pooling: expected 'mean', 'last' or None for a decoder, got {pooling!r}")
    if pooling == "pooler" and not c.pooler:
        raise ValueError("encode: pooling: expected a model with a pooler for 'pooler', got one without")
    threads = available_cores() if threads is None else threads
    for name, value in (("threads", threads), ("micro_tokens", micro_tokens)):
        if value < 1:
            raise ValueError(f"encode: {name}: expected at least 1, got {value}")
    ids = _arguments.sequences("encode", "sequences", sequences, c.vocab_size, c.max_positions)
    segments = None
    if segment_ids is not None:
        if isinstance(model, Decoder):
            raise ValueError("encode: segment_ids: expected None for a decoder, got some")
        segments = _arguments.sequences("encode", "segment_ids", segment_ids, c.n_segments, c.max_positions)
        if [s.size for s in segments] != [i.size for i in ids]:
            raise ValueError("encode: segment_ids: expected the lengths of the sequences, got others")

    results: list[Any] = [None] * len(ids)

    def work(places: Array) -> None:
        of_piece, mask = padded([ids[i] for i in places])  # (b, T)
        segments_of_piece = None if segments is None else padded([segments[i] for i in places])[0]
        vectors = _vectors(model, of_piece, segments_of_piece, mask, pooling)
        if normalize:
            norms = [np.linalg.norm(v, axis=-1, keepdims=True) for v in vectors]
            vectors = [v / np.where(norm == 0, 1, norm) for v, norm in zip(vectors, norms, strict=True)]
        for i, v in zip(places, vectors, strict=True):
            results[i] = v

    pieces = cut_by_length(np.array([i.size for i in ids], np.intp), micro_tokens)
    keep_freed_memory()
    with one_blas_thread() as held:
        if min(threads, len(pieces)) <= 1 or not held:
            for piece in pieces:
                work(piece)
        else:
            with ThreadPoolExecutor(min(threads, len(pieces)), thread_name_prefix="encode") as executor:
                list(executor.map(work, pieces))  # raises here what a thread has raised
    if pooling is None:
        return results
    return np.array(results, model.params.flat.dtype).reshape(len(ids), model.config.d_model)


def cut_by_length(lengths: Array, micro_tokens: int = MICRO_TOKENS) -> list[Array]:
    """Cut sequences into micro-batches with the least padding; a micro-batch costs 16 tokens besides.

    Parameters
    ----------
    lengths : ndarray of int, shape (n,)
    micro_tokens : int
        The most tokens of a micro-batch, padding included, unless a single sequence has more. Where there are
        few in all, a micro-batch has at most a quarter of them, so that two or four threads have work.

    Returns
    -------
    list of ndarray of int
        The places of the sequences in each micro-batch; the largest first, so that the threads finish
        together.

    Examples
    --------
    >>> [piece.tolist() for piece in cut_by_length(np.array([3, 500, 4, 490, 510]), 1024)]
    [[4], [1], [3], [2, 0]]
    """
    most = min(micro_tokens, max(-(-int(lengths.sum()) // QUARTER), LEAST))
    order = np.argsort(-lengths, kind="stable")
    pieces = [order[a:b] for a, b in least_padding(lengths[order], most, OVERHEAD)]
    return sorted(pieces, key=lambda piece: -len(piece) * int(lengths[piece[0]]))


def least_padding(descending: Array, most: int, overhead: int) -> list[tuple[int, int]]:
    """Cut sequences that are sorted by length into neighbouring pieces with the least padding.

        cost of a piece = sequences in it · the longest length among them + overhead
        best(j) = min over i of   best(i) + cost of the sequences i .. j - 1

    Parameters
    ----------
    descending : ndarray of int, shape (n,)
        The lengths, from 1 on, longest first.
    most : int
        The most tokens of a piece, padding included, unless a single sequence has more.
    overhead : int
        What a piece costs besides, in tokens.

    Returns
    -------
    list of (start, stop)
        In order.

    Examples
    --------
    >>> least_padding(np.array([9, 8, 3, 3, 2]), most=20, overhead=2)
    [(0, 2), (2, 5)]
    """
    n = len(descending)
    best, start = np.zeros(n + 1, np.intp), np.zeros(n + 1, np.intp)
    for j in range(1, n + 1):
        rows = np.arange(max(most // descending[j - 1], 1), 0, -1)  # the piece that ends before j
        rows = rows[rows <= j]
        tokens = rows * descending[j - rows]
        fits = (tokens <= most) | (rows == 1)
        cost = (best[j - rows] + tokens)[fits] + overhead
        best[j], start[j] = cost.min(), j - rows[fits][cost.argmin()]
    pieces, j = [], n
    while j > 0:
        pieces.append((int(start[j]), j))
        j = int(start[j])
    return pieces[::-1]


def _vectors(
    model: Any, ids: Array, segment_ids: Array | None, mask: Array, pooling: str | None
) -> list[Array]:
    """Return what is asked for of each sequence, as arrays of their own."""
    options: dict[str, Any] = {"mask": mask, "keep": False}
    if segment_ids is not None:  # a decoder has none
        options["segment_ids"] = segment_ids
    if pooling in ("cls", "pooler", "last"):
        at = np.arange(len(ids)) * ids.shape[1]  # the last layer then works for these positions alone
        at += mask.sum(axis=1) - 1 if pooling == "last" else 0
        pooled, _ = model.forward(ids, at=at, **options)
        if pooling == "pooler":
            pooled, _ = model.pooler.forward(model.params, pooled, False)
        return list(pooled)
    hidden, _ = model.forward(ids, **options)  # (b, T, d_model)
    if pooling == "mean":
        return list(mean_pooled(hidden, mask)[0])
    return [row[:n].copy() for row, n in zip(hidden, mask.sum(axis=1), strict=True)]
