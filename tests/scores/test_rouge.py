from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.scores import PrecisionRecall, rouge, rouge_l, rouge_l_sum, rouge_n, rouge_words

# texts, and what rouge-score 0.1.2 gives: the ratios of these counts
FOX = (
    "The quick brown fox isn't lazy.\nIt jumped over 13 dogs; the dogs slept!",
    "It isn't lazy, the brown fox.\nOver the dogs it jumped, over and over.\nThe dogs slept.",
)
DOG = "The cat sat.\nThe dog ran off.", "Off ran the dog!\nSat a cat"
TEST = "A  naïve test: don't stop, don't.\n\nReally", "don't stop the TEST \n a really naïve one\n"
TIE = "c a\nc", "a c"  # the LCS of the first line is "c" or "a": after "c", none is left for the second
OF_ROUGE_SCORE = [
    (FOX, {"rouge1": (13, 18, 15), "rouge2": (7, 17, 14), "rouge3": (3, 16, 13), "rougeL": (9, 18, 15)}),
    (FOX, {"rougeLsum": (9, 18, 15)}),
    (DOG, {"rouge1": (6, 7, 7), "rouge2": (1, 6, 6), "rouge3": (0, 5, 5), "rougeL": (2, 7, 7)}),
    (DOG, {"rougeLsum": (3, 7, 7)}),  # "the" is in an LCS of both sentences, and once in the prediction
    (TEST, {"rouge1": (8, 10, 10), "rouge2": (3, 9, 9), "rouge3": (1, 8, 8), "rougeL": (4, 10, 10)}),
    (TEST, {"rougeLsum": (7, 10, 10)}),
    (TIE, {"rouge1": (2, 2, 3), "rouge2": (1, 1, 2), "rougeL": (2, 2, 3), "rougeLsum": (1, 2, 3)}),
]
SCORES = {
    "rouge1": functools.partial(rouge_n, n=1),
    "rouge2": functools.partial(rouge_n, n=2),
    "rouge3": functools.partial(rouge_n, n=3),
    "rougeL": rouge_l,
    "rougeLsum": rouge_l_sum,
}
# few words, so that much is in common, in several ways; and any text
FEW = st.lists(st.sampled_from(["a", "b", "c", "A", "d-e", "é", "\n", "."]), max_size=24).map(" ".join)
TEXT = st.one_of(FEW, st.text(max_size=30))


@pytest.mark.parametrize(("texts", "expected"), OF_ROUGE_SCORE)
def test_values_of_rouge_score(texts, expected):
    for name, counts in expected.items():
        assert SCORES[name](*texts) == counts, name


def agree(scorer, reference, prediction):
    for name, theirs in scorer.score(reference, prediction).items():
        ours = SCORES[name](reference, prediction)
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx(tuple(theirs), abs=1e-15), name


@pytest.fixture(scope="module")
def scorer():
    theirs = pytest.importorskip(
        "rouge_score.rouge_scorer", reason="needs rouge-score: pip install '.[scores]'"
    )
    return theirs.RougeScorer(list(SCORES))


@pytest.mark.extra
@settings(max_examples=200, deadline=None)
@given(reference=TEXT, prediction=TEXT)
def test_follows_rouge_score(scorer, reference, prediction):
    agree(scorer, reference, prediction)


@pytest.mark.extra
def test_follows_rouge_score_on_real_texts(scorer, shared_data):
    text = (shared_data / "state_union" / "state_union.txt").read_text(encoding="utf-8")
    sentences = [s for s in text.replace("\n", " ").split(". ") if s]
    parts = ["\n".join(sentences[i : i + 6]) for i in range(0, 240, 6)]
    for reference, prediction in itertools.pairwise(parts):
        agree(scorer, reference, prediction)


def subsequences(words):
    return {c for n in range(len(words) + 1) for c in itertools.combinations(words, n)}


@settings(max_examples=60, deadline=None)
@given(*[st.lists(st.sampled_from("abc"), max_size=7)] * 2)
def test_rouge_l_is_the_longest_of_all_common_subsequences(a, b):
    longest = max(map(len, subsequences(a) & subsequences(b)))
    assert rouge_l(" ".join(a), " ".join(b)) == (longest, len(b), len(a))


@settings(max_examples=60, deadline=None)
@given(FEW, FEW)
def test_what_holds_for_any_texts(a, b):
    one, two = rouge_n(a, b, 1), rouge_n(a, b, 2)
    assert two.n_correct <= one.n_correct
    assert rouge_l(a, b).n_correct <= one.n_correct
    assert rouge_l_sum(a, b).n_correct <= one.n_correct
    assert rouge_l_sum(a.replace("\n", " "), b.replace("\n", " ")) == rouge_l(a, b)  # a sentence each
    for name, score in SCORES.items():
        assert score(a, a).f1 == (score(a, a).n_true > 0)
        if name != "rougeLsum":  # whose union is over the sentences of one side
            assert score(b, a).n_correct == score(a, b).n_correct


def test_words():
    assert rouge_words("  Don't -- 2.5€, naïve_İ\tÜBER\n") == ["don", "t", "2", "5", "na", "ve", "i", "ber"]
    assert rouge_words("Привет, мир") == []


def test_empty_texts_have_nothing_in_common():
    for score in SCORES.values():
        for texts in (("", ""), ("", "x y z"), ("x y z", ""), ("...", "\n\n"), ("мир", "мир")):
            found = score(*texts)
            assert found.precision == found.recall == found.f1 == 0
    assert rouge_n("x", "x", 2) == PrecisionRecall(0, 0, 0)


def test_means_over_texts():
    references, predictions = zip(FOX, DOG, ("one two", "two"), strict=True)
    means = rouge(references, predictions)
    assert list(means) == ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    for name, mean in means.items():
        each = [SCORES[name](*texts) for texts in (FOX, DOG, ("one two", "two"))]
        assert mean == pytest.approx(np.mean([(s.precision, s.recall, s.f1) for s in each], axis=0))
    assert means["rougeL"].precision == pytest.approx((9 / 18 + 2 / 7 + 1) / 3, rel=1e-15)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="^rouge: references: expected at least one text, got none$"):
        rouge([], [])
    with pytest.raises(ValueError, match="^rouge: predictions: expected 2 texts, as references, got 1$"):
        rouge(["a", "b"], ["a"])
    with pytest.raises(TypeError, match="^rouge: references: expected a sequence of texts, got str$"):
        rouge("a", "a")
    with pytest.raises(TypeError, match=r"^rouge: predictions\[1\]: expected a string, got None$"):
        rouge(["a", "b"], ["a", None])
    with pytest.raises(ValueError, match="^rouge_n: n: expected an integer >= 1, got 0$"):
        rouge_n("a", "a", 0)
    with pytest.raises(TypeError, match="^rouge_n: n: expected an integer, got 1.5$"):
        rouge_n("a", "a", 1.5)
    for name, score in {"rouge_l": rouge_l, "rouge_l_sum": rouge_l_sum}.items():
        with pytest.raises(TypeError, match=rf"^{name}: reference: expected a string, got \['a'\]$"):
            score(["a"], "a")
        with pytest.raises(TypeError, match=f"^{name}: prediction: expected a string, got None$"):
            score("a", None)
    with pytest.raises(TypeError, match="^rouge_words: text: expected a string, got 3$"):
        rouge_words(3)
