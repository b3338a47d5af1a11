"""Greedy decoding and sampling, token by token, for a batch of prompts of different lengths.

    the prompts are read at once; then, for all sequences that have not ended:
        logits  ->  a token of each  ->  the next logits, from the keys and values that are kept

Each sequence has its own stream of random numbers and takes one of them for every token, so that what is
drawn for it does not depend on what else is in the batch. A sequence that has ended is taken out of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._threads import blas_threads
from ..models import Decoder, EncoderDecoder
from . import prompts as reading
from .results import Generation, Piece
from .sampling import Sampling, log_probabilities
from .stopping import Stopping
from .text import GrowingText, Tokenizer
from .weights import without_adapters

Seed = int | Sequence[int] | np.random.Generator


def generate(
    model: Decoder | EncoderDecoder,
    prompts: Sequence[npt.ArrayLike],
    *,
    max_new_tokens: int = 64,
    begin: int | Sequence[int] | None = None,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop_tokens: int | Sequence[int] = (),
    stop_strings: str | Sequence[str] = (),
    tokenizer: Tokenizer | None = None,
    slide: bool = False,
    seed: Seed = 0,
    threads: int | None = None,
) -> list[Generation]:
    """Continue prompts, or write targets for sources.

    Parameters
    ----------
    model : Decoder or EncoderDecoder
    prompts : sequence of array_like of int, each of shape (T_i,)
        Token ids without padding; for an encoder-decoder the sources.
    max_new_tokens : int
        At most so many; less where the model's positions end, unless with `slide`.
    begin : int or sequence of int, optional
        For an encoder-decoder: the tokens that begin a target.
    temperature : float
        0 (greedy) takes the most probable token; otherwise tokens are drawn, from logits divided by it.
    top_k : int, optional
        Draw among so many of the most probable tokens only.
    top_p : float, optional
        Draw among the fewest of the most probable tokens that reach this probability in sum only.
    min_p : float, optional
        Draw among tokens at least so many times as probable as the most probable one only.
    repetition_penalty : float
        Positive logits of tokens that have been seen, in the prompt too, are divided by it, negative ones
        multiplied; above 1 it keeps a text from repeating itself.
    stop_tokens : int or sequence of int
        A sequence ends with one of them.
    stop_strings : str or sequence of str
        A sequence ends where its text has one of them, and its text before it.
    tokenizer : optional
        Anything with ``decode(ids)``: results then have a text.
    slide : bool
        For a decoder: a sequence that has come to the end of the model's positions goes on with the last half
        of them before it.
    seed : int, sequence of int, or numpy.random.Generator
        The stream of sequence i comes from (seed, i), from the i-th of several seeds, or is spawned from the
        generator.
    threads : int, optional
        Of BLAS, where threadpoolctl is installed; default: as many as it has, usually one a core. The whole
        process has them, and of several calls at once the first decides.

    Returns
    -------
    list of Generation
        In the order of `prompts`.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what was expected and what came: an empty prompt, one that is longer than the
        model's positions, an id out of range, a setting out of range.

    References
    ----------
    See `npformer.generation.sampling`.

    Examples
    --------
    >>> from npformer.models import Decoder, DecoderConfig
    >>> config = DecoderConfig.gpt2(vocab_size=30, d_model=8, n_heads=2, n_layers=2, max_positions=10)
    >>> model = Decoder(config, np.random.default_rng(0))
    >>> short, long = generate(model, [[3], [1, 5, 7]], max_new_tokens=4, temperature=1.0, top_k=5, seed=1)
    >>> len(short.ids), len(long.ids), long.finished
    (4, 4, 'length')
    >>> generate(model, [[1, 5, 7]], max_new_tokens=4) == generate(model, [[1, 5, 7]], max_new_tokens=4)
    True
    """
    ids: list[list[int]] = [[] for _ in prompts]
    logprobs: list[list[float]] = [[] for _ in prompts]
    texts: list[list[str]] = [[] for _ in prompts]
    ends: list[Any] = [None for _ in prompts]
    pieces = stream(
        model,
        prompts,
        max_new_tokens=max_new_tokens,
        begin=begin,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        stop_tokens=stop_tokens,
        stop_strings=stop_strings,
        tokenizer=tokenizer,
        slide=slide,
        seed=seed,
        threads=threads,
    )
    for piece in pieces:
        i = piece.sequence
        ids[i].append(piece.token)
        logprobs[i].append(piece.logprob)
        texts[i].append(piece.text or "")
        ends[i] = piece.finished
    return [
        Generation(
            ids[i], logprobs[i], sum(logprobs[i]), ends[i], None if tokenizer is None else "".join(texts[i])
        )
        for i in range(len(prompts))
    ]


def stream(
    model: Decoder | EncoderDecoder,
    prompts: Sequence[npt.ArrayLike],
    *,
    max_new_tokens: int = 64,
    begin: int | Sequence[int] | None = None,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop_tokens: int | Sequence[int] = (),
    stop_strings: str | Sequence[str] = (),
    tokenizer: Tokenizer | None = None,
    slide: bool = False,
    seed: Seed = 0,
    threads: int | None = None,
) -> Iterator[Piece]:
    """Yield the tokens and the text of `generate` as they come.

    The arguments, and what is raised, at once, are those of `generate`. BLAS has `threads` from the first
    piece to the last, or until the iterator is closed.

    Yields
    ------
    Piece
        Of one sequence; those of a step in the order of the prompts. The text never has a part of a
        character, nor the beginning of a stop string that then comes.

    Examples
    --------
    >>> from npformer.models import Decoder, DecoderConfig
    >>> config = DecoderConfig.gpt2(vocab_size=30, d_model=8, n_heads=2, n_layers=2, max_positions=10)
    >>> model = Decoder(config, np.random.default_rng(0))
    >>> [piece.finished for piece in stream(model, [[1, 5, 7]], max_new_tokens=3)]
    [None, None, 'length']
    """
    op = "generate"
    reading.require_model(op, model)
    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty, op)
    stopping = Stopping.checked(
        op, max_new_tokens, stop_tokens, stop_strings, tokenizer, model.config.vocab_size
    )
    if slide and not isinstance(model, Decoder):
        raise ValueError(f"{op}: slide: expected False for an encoder-decoder, got True")
    draws = None if sampling.greedy else _streams(seed, len(prompts))
    inputs = reading.checked(model, prompts, begin, max_new_tokens, op)
    reading.require_threads(op, threads)
    return _pieces(model, inputs, sampling, stopping, slide, draws, threads)


def _pieces(
    model: Decoder | EncoderDecoder,
    inputs: reading.Inputs,
    sampling: Sampling,
    stopping: Stopping,
    slide: bool,
    draws: list[np.random.Generator] | None,
    threads: int | None,
) -> Iterator[Piece]:
    with blas_threads(threads):
        model = without_adapters(model)
        state, logits, before, room = reading.start(model, inputs, stopping.max_new_tokens)
        texts = [
            None if stopping.tokenizer is None else GrowingText(stopping.tokenizer, ids, stopping.strings)
            for ids in before
        ]
        seen = None
        if sampling.repetition_penalty != 1.0:
            seen = np.zeros(logits.shape, dtype=bool)
            for row, ids in zip(seen, before, strict=True):
                row[ids] = True
        places = list(range(len(before)))  # of the rows of the batch among the prompts
        length = 0  # new tokens of each
        read_at = 0  # `length` when the rows were read (again)
        context = before
        while True:
            u = None if draws is None else np.array([draws[i].random() for i in places])
            tokens = sampling.choose(logits, seen, u)
            logprobs = log_probabilities(logits, tokens)
            length += 1
            going_on = []
            for row, (i, token) in enumerate(zip(places, tokens.tolist(), strict=True)):
                text, new = texts[i], None
                if text is not None:
                    new = text.finish() if token in stopping.tokens else text.add(token)
                most = stopping.max_new_tokens if slide else room[row]
                reason = stopping.reason(token, length, most, text is not None and text.stopped)
                if reason is None:
                    going_on.append(row)
                elif text is not None and new is not None:
                    new += text.finish()
                yield Piece(i, token, float(logprobs[row]), new, reason)
            if not going_on:
                return
            context = [[*context[row], int(tokens[row])] for row in going_on]
            room = [room[row] for row in going_on]
            if len(going_on) < len(places):
                places, tokens = [places[row] for row in going_on], tokens[going_on]
                state = state.select(going_on)
                seen = None if seen is None else seen[going_on]
            if seen is not None:
                seen[np.arange(len(places)), tokens] = True
            full = [length - read_at >= r for r in room]
            if any(full):
                assert isinstance(model, Decoder)
                state, logits, context, room = reading.slide(
                    model, context, full, stopping.max_new_tokens - length
                )
                read_at = length
            else:
                logits = reading.advance(model, state, tokens)


def _streams(seed: Seed, n: int) -> list[np.random.Generator]:
    if isinstance(seed, np.random.Generator):
        return list(seed.spawn(n))
    if isinstance(seed, int | np.integer):
        seeds: list[Any] = [(int(seed), i) for i in range(n)]
    else:
        seeds = list(seed)
    if len(seeds) != n:
        raise ValueError(f"generate: seed: expected {n} seeds, one a prompt, got {len(seeds)}")
    lowest = min((s if isinstance(s, int | np.integer) else min(s) for s in seeds), default=0)
    if lowest < 0:
        raise ValueError(f"generate: seed: expected numbers of at least 0, got {lowest}")
    return [np.random.default_rng(s) for s in seeds]
