"""Which tokens of a text a masked language model must predict: single tokens, whole words, spans of words.

    token        each ordinary token is a target with probability `rate`
    whole_word   each word is, with all its pieces
    span         spans of whole words are, until they are `rate` of all: each of l = 1 .. 10 words with
                 p(l) ∝ 0.2 · 0.8^(l-1) (3.8 in the mean), from any word that is no target yet

A special token is never a target, and a span ends before it. Spans do not overlap; the last one ends with the
word that reaches the budget, since no word is ever cut.

Each strategy returns, for every place, whether it is chosen, and two uniform numbers: `how` decides between
[MASK], a random token and the token itself, `which` is the random token's. `how` is one number for all of a
span: it is masked, replaced or left as a whole. With words and spans, the numbers of a sequence follow from
its own Generator and tokens, whatever stands beside it and however much padding comes after it. (With single
tokens the batch's width matters too: they are drawn as they always were, and old runs stay repeatable.)

References
----------
Devlin et al.: BERT, arXiv:1810.04805, section 3.1; whole words: its repository, "Whole Word Masking models".
Joshi et al.: SpanBERT, arXiv:1907.10529, section 3.1.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..nn import SequenceRandom

Array = Any
Chosen = tuple[Array, Array, Array]  # chosen (B, T) bool; how, which (B, T) uniform in [0, 1)

GEOMETRIC, LONGEST = 0.2, 10  # of the lengths of spans, in words
# LENGTHS[l - 1] = p(a span has at most l words)
LENGTHS = [(1 - (1 - GEOMETRIC) ** n) / (1 - (1 - GEOMETRIC) ** LONGEST) for n in range(1, LONGEST + 1)]


def word_starts(ids: Array, ordinary: Array, continues: Array) -> Array:
    """Return where a word begins: at an ordinary token that does not continue one right before it.

    Parameters
    ----------
    ids : ndarray of int, shape (B, T)
    ordinary : ndarray of bool, shape (B, T)
        True = a real token that is no special one.
    continues : ndarray of bool, shape (V,)
        True = a token that continues a word ("##ing").

    Returns
    -------
    ndarray of bool, shape (B, T)

    Examples
    --------
    >>> ids = np.array([[0, 2, 1, 2, 2, 1]])  # 0 is special, 2 continues
    >>> word_starts(ids, ids != 0, np.array([False, False, True]))
    array([[False,  True,  True, False, False,  True]])
    """
    after_ordinary = np.zeros_like(ordinary)
    after_ordinary[:, 1:] = ordinary[:, :-1]
    starts: Array = ordinary & ~(continues[ids] & after_ordinary)
    return starts


def choose_tokens(ordinary: Array, starts: Array, rate: float, rngs: Sequence[np.random.Generator]) -> Chosen:
    """Choose each token by itself.

    Parameters
    ----------
    ordinary : ndarray of bool, shape (B, T)
    starts : ndarray of bool, shape (B, T)
        From `word_starts`; not looked at here.
    rate : float
    rngs : sequence of B Generators

    Returns
    -------
    chosen : ndarray of bool, shape (B, T)
    how, which : ndarray, shape (B, T)
    """
    B, T = ordinary.shape
    choose, how, which = np.moveaxis(SequenceRandom(rngs).random((B, 3, T)), 1, 0)
    return ordinary & (choose < rate), how, which


def choose_whole_words(
    ordinary: Array, starts: Array, rate: float, rngs: Sequence[np.random.Generator]
) -> Chosen:
    """Choose each word by the draw of its first token; parameters and result as in `choose_tokens`.

    A token is a target with probability `rate`, as before, but together with the rest of its word.

    Examples
    --------
    >>> starts = np.array([[True, False, True, False, False, True]])
    >>> choose_whole_words(starts | True, starts, 0.5, [np.random.default_rng(5)])[0]
    array([[False, False,  True,  True,  True, False]])
    """
    B, T = ordinary.shape
    choose, how, which = np.moveaxis(SequenceRandom(rngs).random((B, T, 3)), 2, 0)
    first = np.maximum.accumulate(np.where(starts, np.arange(T), 0), axis=1)  # of each token's word
    return ordinary & (np.take_along_axis(choose, first, axis=1) < rate), how, which


def choose_spans(ordinary: Array, starts: Array, rate: float, rngs: Sequence[np.random.Generator]) -> Chosen:
    """Choose spans of whole words; parameters and result as in `choose_tokens`."""
    chosen = np.zeros_like(ordinary)
    how, which = np.zeros((2, *ordinary.shape))
    for b, rng in enumerate(rngs):
        for start, stop in spans(ordinary[b], starts[b], rate, rng):
            chosen[b, start:stop] = True
            how[b, start:stop] = rng.random()
            which[b, start:stop] = rng.random(stop - start)
    return chosen, how, which


def spans(
    ordinary: Array, starts: Array, rate: float, rng: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Yield the spans [start, stop) of one sequence, in the order in which they are drawn.

    Parameters
    ----------
    ordinary, starts : ndarray of bool, shape (T,)
    rate : float
        The budget is this share of the ordinary tokens, rounded up or down at random so that it is right in
        the mean. (Rounded to the nearest, short sequences would have none, or far too many.)
    rng : Generator

    Examples
    --------
    >>> starts = np.array([False, True, False, True, True, True, False, True, True])  # a special token first
    >>> list(spans(np.arange(9) > 0, starts, 0.5, np.random.default_rng(7)))
    [(8, 9), (3, 5), (1, 3)]
    """
    n = int(np.count_nonzero(ordinary))
    budget = min(int(rate * n + rng.random()), n)  # of a rate of 1 the sum may be rounded up
    goes_on = np.append(ordinary[1:] & ~starts[1:], False)
    begin = np.flatnonzero(starts).tolist()  # of each word
    end = (np.flatnonzero(ordinary & ~goes_on) + 1).tolist()
    taken = [False] * len(begin)
    while budget > 0:
        first = int(rng.random() * len(begin))
        if taken[first]:
            continue
        longest = 1 + bisect.bisect_right(LENGTHS, rng.random())
        start = stop = begin[first]
        for word in range(first, min(first + longest, len(begin))):
            if taken[word] or begin[word] != stop or budget <= 0:
                break
            taken[word], stop = True, end[word]
            budget -= stop - begin[word]
        yield start, stop


STRATEGIES: dict[str, Callable[[Array, Array, float, Sequence[np.random.Generator]], Chosen]] = {
    "token": choose_tokens,
    "whole_word": choose_whole_words,
    "span": choose_spans,
}
