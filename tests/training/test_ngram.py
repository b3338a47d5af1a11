"""The n-gram is Witten and Bell's formula, computed another way."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from npformer.training.ngram import NGramWittenBell

V = 7


def by_the_formula(text: list[int], history: list[int], w: int, never: set[int]) -> float:
    """p(w | history) by recursion over plain dictionaries."""
    counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    k = len(history)
    for i in range(k, len(text)):
        if text[i] not in never:
            counts[tuple(text[i - k : i])][text[i]] += 1
    lower = by_the_formula(text, history[1:], w, never) if history else (w not in never) / (V - len(never))
    seen = counts[tuple(history)]
    total, n = sum(seen.values()), len(seen)
    return (seen[w] + n * lower) / (total + n) if total else lower


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities(order):
    rng = np.random.default_rng(order)
    text = rng.integers(1, 5, 60)  # 5 and 6 are never seen, 0 never comes
    held_out = rng.integers(1, V, 30)
    model = NGramWittenBell(text, V, order, never=[0])
    at = np.arange(30)
    p = model.probabilities(held_out, at)
    for i in at:
        history = held_out[max(0, i - order + 1) : i].tolist()
        expected = [by_the_formula(text.tolist(), history, w, {0}) for w in range(V)]
        assert np.allclose(p[i], expected, rtol=1e-12, atol=0)
    assert np.allclose(p.sum(axis=1), 1, rtol=1e-14)
    assert (p[:, 0] == 0).all()
    loss, accuracy = model.score(held_out, at)
    assert math.isclose(loss, -np.log(p[at, held_out]).mean(), rel_tol=1e-12)
    assert accuracy == (p.argmax(axis=1) == held_out).mean()


def test_a_longer_context_helps_where_there_is_something_to_learn():
    text = np.tile([1, 2, 3, 1, 2, 4], 50)
    losses = [
        NGramWittenBell(text[:200], V, order).score(text, np.arange(200, 300))[0] for order in (1, 2, 3, 4)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.1


def test_large_vocabularies_and_little_text():
    V = 1 << 20
    text = np.array([1, V - 1, V - 2, 1, V - 1])
    p = NGramWittenBell(text, V, 5).probabilities(text, [2, 4])
    assert p[0].argmax() == V - 2
    assert p[1].argmax() == V - 1
    empty = NGramWittenBell(np.array([], dtype=np.int64), 4, 3).probabilities(np.array([1, 2, 3]), [2])
    assert (empty == 0.25).all()


def test_bad_arguments():
    text = np.arange(4)
    with pytest.raises(ValueError, match="order: expected at least 1, got 0"):
        NGramWittenBell(text, 4, 0)
    with pytest.raises(ValueError, match=r"ids: expected ids in \[0, 3\), got 0 to 3"):
        NGramWittenBell(text, 3, 2)
    with pytest.raises(ValueError, match="never: expected some, not all"):
        NGramWittenBell(text, 4, 2, never=range(4))
    with pytest.raises(ValueError, match="ids: expected a vector of integers"):
        NGramWittenBell(text[None], 4, 2)
    with pytest.raises(ValueError, match="expected tokens that can occur, got 0, which never does"):
        NGramWittenBell(text, 4, 2, never=[0]).score(text, [0])
