"""Pairs, told from their tokens alone: in the rows here every token stands in one place only."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.objectives import NextSentence
from npformer.objectives.next_sentence import IS_NEXT, NOT_NEXT

CLS, SEP, PAD = 2, 3, 0
T = 24


def rows_of_sentences(n, seed, first=5):
    """Rows of two to six sentences with 17 tokens at most, no token twice; and the sentences of each."""
    rng = np.random.default_rng(seed)
    rows, sentences = np.full((n, T - 1), PAD), []
    for i in range(n):
        k = int(rng.integers(2, 7))
        lengths = rng.integers(1, 17 // k + 1, k)
        tokens = first + 32 * i + np.arange(lengths.sum())
        sentences.append([part.tolist() for part in np.split(tokens, np.cumsum(lengths)[:-1])])
        row = [CLS if i % 3 == 0 else SEP]
        for sentence in sentences[-1]:
            row += [*sentence, SEP]
        rows[i, : len(row) - 1] = row[:-1]
    return rows, sentences


def joined(sentences):
    return [token for sentence in sentences for token in sentence]


def segments_of(ids, mask, segment_ids):
    """A and B of a pair, after a look at everything around them."""
    ids, segments = ids[mask].tolist(), segment_ids[mask].tolist()
    middle = ids.index(SEP)
    assert ids[0] == CLS
    assert ids[-1] == SEP
    assert ids.count(SEP) == 2
    assert segments == [0] * (middle + 1) + [1] * (len(ids) - middle - 1)
    return ids[1:middle], ids[middle + 1 : -1]


def make(n, seed=0):
    rows, sentences = rows_of_sentences(n, seed)
    others, of_others = rows_of_sentences(n, seed + 1, first=5 + 32 * n)
    rngs = [np.random.default_rng((seed, i)) for i in range(n)]
    pairs = NextSentence(CLS, SEP, PAD).make_pairs(rows, others, rngs, T)
    return pairs, sentences, of_others


def test_the_classes_say_what_the_pairs_are():
    n = 1500
    pairs, sentences, others = make(n)
    assert pairs.at.tolist() == [T * i for i in range(n)]
    assert set(pairs.targets.tolist()) == {IS_NEXT, NOT_NEXT} == {0, 1}
    ends: list[int] = []
    for i in range(n):
        a, b = segments_of(pairs.ids[i], pairs.mask[i], pairs.segment_ids[i])
        cut = next(k for k in range(1, len(sentences[i])) if joined(sentences[i][:k]) == a)
        ends += [cut] if len(sentences[i]) == 5 else []
        follows = b == joined(sentences[i][cut:])
        from_another = any(b == joined(others[i][k:]) for k in range(1, len(others[i])))
        if not from_another and not follows:  # its last sentence alone was too long
            assert len(a) + len(b) == T - 3
            assert joined(others[i])[-len(others[i][-1]) :][: len(b)] == b
            from_another = True
        assert follows != from_another
        assert pairs.targets[i] == follows
    assert abs(pairs.targets.mean() - 0.5) <= 4 * np.sqrt(0.25 / n)
    counts = np.bincount(ends, minlength=5)[1:]
    assert np.abs(counts / len(ends) - 0.25).max() <= 4 * np.sqrt(0.25 * 0.75 / len(ends))


def test_whole_sentences_come_first_and_then_those_of_about_the_length():
    objective = NextSentence(CLS, SEP, PAD)
    row = np.array([CLS, 5, SEP, 6, 7, 8, SEP, 9, 10, 11, 12, PAD])
    tails = [[6, 7, 8, 9, 10, 11, 12], [9, 10, 11, 12]]
    cases = [(7, 9, tails[0]), (5, 9, tails[1]), (6, 6, tails[1]), (9, 3, tails[0][:3])]
    for length, room, expected in cases:
        assert objective.alike(row, length, room).tolist() == expected


def test_the_length_hardly_tells_the_class():
    pairs, *_ = make(1500)
    lengths = pairs.mask.sum(axis=1)
    best = max(((lengths >= n) == pairs.targets).mean() for n in range(T + 1))
    assert best <= 0.58


def test_pairs_do_not_depend_on_their_neighbours():
    rows, _ = rows_of_sentences(6, 0)
    others, _ = rows_of_sentences(6, 1)
    objective = NextSentence(CLS, SEP, PAD)
    whole = objective.make_pairs(rows, others, [np.random.default_rng(i) for i in range(6)], T)
    part = objective.make_pairs(rows[2:5], others[2:5], [np.random.default_rng(i) for i in range(2, 5)], T)
    np.testing.assert_array_equal(part.ids, whole.ids[2:5])
    np.testing.assert_array_equal(part.targets, whole.targets[2:5])


def test_a_row_of_one_sentence_and_a_long_one_are_refused():
    objective = NextSentence(CLS, SEP, PAD)
    row = np.array([[CLS, 7, 8, 9, PAD]])
    with pytest.raises(ValueError, match="a row of one sentence: expected two at least"):
        objective.make_pairs(row, row, [np.random.default_rng(0)], T)
    row = np.array([[CLS, 7, 8, SEP, 9, 10]])
    with pytest.raises(ValueError, match="a pair of 2 and 2 tokens: expected at most 3 in all"):
        objective.make_pairs(row, row, [np.random.default_rng(2)], 6)  # neighbours
