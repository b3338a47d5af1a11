"""Beam search: the most probable sequences that a bounded search finds.

    of each prompt, K unfinished sequences (beams) are kept. In each step
    1. every beam with every token is a candidate, of log-probability  s = s_beam + log p(token)
    2. the best of them are looked at: K more for each stop token, so that K that go on are among them
    3. those that end, if they are among the best K, are finished, with the score  s / length ** α
    4. the best K of those that go on are the new beams; the kept keys and values follow them
    until the best beam, as long as it is now, scores no more than the worst of K finished sequences

The rules, those that end the search among them, are those of Hugging Face's Transformers.

References
----------
Sutskever, Vinyals, Le: Sequence to Sequence Learning with Neural Networks, arXiv:1409.3215, section 3.2.
Wu et al.: Google's Neural Machine Translation System, arXiv:1609.08144, section 7 (length penalties).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .._threads import blas_threads
from ..functional import log_softmax
from ..models import Decoder, DecodingState, EncoderDecoder
from . import prompts as reading
from .results import Finished, Generation
from .sampling import Sampling
from .sampling import repetition_penalty as penalised
from .stopping import Stopping
from .text import Tokenizer, continuation, cut_at
from .weights import without_adapters

Array = Any
EarlyStopping = bool | Literal["never"]


class Beam(NamedTuple):
    """New tokens of one sequence, the log-probability of each, the sum to compare by, and why it ended."""

    ids: list[int]
    logprobs: list[float]
    total: float = 0.0
    finished: Finished | None = None

    def score(self, length_penalty: float) -> float:
        """Return what sequences of different lengths are compared by."""
        return self.total / len(self.ids) ** length_penalty


def beam_search(
    model: Decoder | EncoderDecoder,
    prompts: Sequence[npt.ArrayLike],
    *,
    beams: int = 4,
    n: int = 1,
    length_penalty: float = 1.0,
    early_stopping: EarlyStopping = False,
    max_new_tokens: int = 64,
    begin: int | Sequence[int] | None = None,
    repetition_penalty: float = 1.0,
    stop_tokens: int | Sequence[int] = (),
    stop_strings: str | Sequence[str] = (),
    tokenizer: Tokenizer | None = None,
    threads: int | None = None,
) -> list[list[Generation]]:
    """Search the most probable continuations of prompts, or targets for sources.

    Parameters
    ----------
    model, prompts, max_new_tokens, begin, repetition_penalty, stop_tokens, stop_strings, tokenizer, threads
        As in `generate`. The penalty is on log-probabilities, not on logits, and counts in the scores.
    beams : int
        K, how many sequences are kept; 1 is greedy decoding, where there is no penalty.
    n : int
        How many of the best are returned, at most `beams`.
    length_penalty : float
        α: a score is the log-probability over length ** α. 0 prefers short sequences, 1 compares the mean
        over the tokens, more prefers long ones.
    early_stopping : {False, True, "never"}
        True ends the search with the K-th finished sequence; "never" bounds what a beam may still reach by
        the score it would have at full length, where `length_penalty` is positive.

    Returns
    -------
    list of list of Generation
        For each prompt up to `n` sequences, the best score first.

    Raises
    ------
    ValueError, TypeError
        As `generate`; and if `beams` is below 1 or more than the vocabulary, or `n` more than `beams`.

    Examples
    --------
    >>> from npformer.models import Decoder, DecoderConfig
    >>> config = DecoderConfig.gpt2(vocab_size=30, d_model=8, n_heads=2, n_layers=2, max_positions=10)
    >>> model = Decoder(config, np.random.default_rng(0))
    >>> [best, second] = beam_search(model, [[1, 5, 7]], beams=3, n=2, max_new_tokens=4)[0]
    >>> best.score >= second.score, round(sum(best.logprobs) / 4 - best.score, 9)
    (True, 0.0)
    """
    op = "beam_search"
    reading.require_model(op, model)
    vocab_size = model.config.vocab_size
    for argument, value, high in (("beams", beams, vocab_size), ("n", n, beams)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{op}: {argument}: expected an integer, got {value!r}")
        if not 1 <= value <= high:
            limit = "the vocabulary" if argument == "beams" else "beams"
            raise ValueError(f"{op}: {argument}: expected 1 to {high} ({limit}), got {value}")
    if not math.isfinite(length_penalty):
        raise ValueError(f"{op}: length_penalty: expected a finite number, got {length_penalty}")
    if early_stopping not in (False, True, "never"):
        raise ValueError(f"{op}: early_stopping: expected False, True or 'never', got {early_stopping!r}")
    early: EarlyStopping = "never" if early_stopping == "never" else bool(early_stopping)  # NumPy's, too
    Sampling(repetition_penalty=repetition_penalty, op=op)
    stopping = Stopping.checked(op, max_new_tokens, stop_tokens, stop_strings, tokenizer, vocab_size)
    inputs = reading.checked(model, prompts, begin, max_new_tokens, op)
    reading.require_threads(op, threads)
    with blas_threads(threads):
        model = without_adapters(model)
        state, logits, before, room = reading.start(model, inputs, max_new_tokens)
        searches = [
            Search(int(beams), float(length_penalty), early, stopping, ids, r)
            for ids, r in zip(before, room, strict=True)
        ]
        _search(model, state, logits, searches, repetition_penalty)
    return [search.results(n) for search in searches]


def _search(
    model: Decoder | EncoderDecoder,
    state: DecodingState,
    logits: Array,
    searches: list[Search],
    repetition_penalty: float,
) -> None:
    """Go on with all searches, whose beams together are the batch, until each has ended."""
    while True:
        logprobs, _ = log_softmax(logits.astype(np.float64))
        parents: list[int] = []  # rows of the batch that the new beams come from
        start = 0
        for search in searches:
            if search.running:
                stop = start + len(search.running)
                own = scores = logprobs[start:stop]
                if repetition_penalty != 1.0:
                    scores = penalised(own, search.seen(logits.shape[1]), repetition_penalty)
                parents += [start + parent for parent in search.step(own, scores)]
                start = stop
        if not parents:
            return
        if parents != list(range(start)):
            state = state.select(parents)
        tokens = np.array([beam.ids[-1] for search in searches for beam in search.running])
        logits = reading.advance(model, state, tokens)


class Search:
    """The search for one prompt.

    Parameters
    ----------
    beams : int
    length_penalty : float
    early_stopping : {False, True, "never"}
    stopping : Stopping
    before : list of int
        The tokens that are continued.
    room : int
        How many new tokens the model's positions leave.
    """

    def __init__(
        self,
        beams: int,
        length_penalty: float,
        early_stopping: EarlyStopping,
        stopping: Stopping,
        before: list[int],
        room: int,
    ) -> None:
        self.beams, self.length_penalty, self.early_stopping = beams, length_penalty, early_stopping
        self.stopping, self.before, self.room = stopping, before, room
        self.running = [Beam([], [])]
        self.finished: list[Beam] = []  # the best first, at most `beams`

    def step(self, logprobs: Array, scores: Array) -> list[int]:
        """Extend the beams by a token each; return which of them the new ones come from.

        Parameters
        ----------
        logprobs : ndarray, shape (beams that run, V)
            The model's own.
        scores : ndarray, shape (beams that run, V)
            What is summed up to compare by: `logprobs`, after the repetition penalty.
        """
        ended: list[Beam] = []
        going_on: list[Beam] = []
        parents: list[int] = []
        for rank, (parent, token) in enumerate(self._candidates(scores)):  # 2
            old, logprob = self.running[parent], float(logprobs[parent, token])
            ids = [*old.ids, token]
            reason = self.stopping.reason(token, len(ids), self.room, self._text(ids, token)[1])
            total = old.total + float(scores[parent, token])
            beam = Beam(ids, [*old.logprobs, logprob], total, reason)
            if reason is None and len(going_on) < self.beams:
                going_on.append(beam)  # 4
                parents.append(parent)
            elif reason is not None and rank < self.beams:
                ended.append(beam)  # 3
        self.finished = sorted(self.finished + ended, key=lambda beam: -beam.score(self.length_penalty))[
            : self.beams
        ]
        self.running = going_on
        if not self._may_improve():
            self.running, parents = [], []
        return parents

    def _candidates(self, scores: Array) -> list[tuple[int, int]]:
        """Return (beam, token) of the best candidates, in order."""
        totals = (scores + np.array([[beam.total] for beam in self.running])).reshape(-1)  # 1
        count = min(max(2, 1 + len(self.stopping.tokens)) * self.beams, totals.size)
        best = np.argpartition(-totals, count - 1)[:count]
        best = best[np.lexsort((best, -totals[best]))]
        return [divmod(int(index), scores.shape[1]) for index in best]

    def _may_improve(self) -> bool:
        if not self.running or len(self.finished) < self.beams:
            return bool(self.running)
        if self.early_stopping is True:
            return False
        length = len(self.running[0].ids)
        if self.early_stopping == "never" and self.length_penalty > 0:
            length = min(self.stopping.max_new_tokens, self.room)
        possible = self.running[0].total / length**self.length_penalty
        return possible > self.finished[-1].score(self.length_penalty)

    def seen(self, vocab_size: int) -> Array:
        """Return which tokens each beam has seen, (beams that run, V)."""
        seen = np.zeros((len(self.running), vocab_size), dtype=bool)
        for row, beam in zip(seen, self.running, strict=True):
            row[self.before + beam.ids] = True
        return seen

    def results(self, n: int) -> list[Generation]:
        """Return the best `n`, or as many as there are."""
        results = []
        for beam in self.finished[:n]:
            assert beam.finished is not None
            text = None
            if self.stopping.tokenizer is not None:
                text = self._text(beam.ids, beam.ids[-1], always=True)[0]
            results.append(
                Generation(beam.ids, beam.logprobs, beam.score(self.length_penalty), beam.finished, text)
            )
        return results

    def _text(self, ids: list[int], token: int, always: bool = False) -> tuple[str, bool]:
        """Return the new text without stop token and stop string, and whether a stop string is in it."""
        if not (always or self.stopping.strings):
            return "", False
        ids = ids[:-1] if token in self.stopping.tokens else ids
        return cut_at(continuation(self.stopping.tokenizer, self.before, ids), self.stopping.strings)
