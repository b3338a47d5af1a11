from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.scores import PrecisionRecall, accuracy, class_scores, confusion_matrix, macro_f1, matthews

ALL = [accuracy, confusion_matrix, class_scores, macro_f1, matthews]
TRUTH = list("aabbbccccdab")
PREDICTED = list("abbbacccaeac")


@st.composite
def labelled(draw, low=-2, high=3):
    truth = draw(st.lists(st.integers(low, high), min_size=1, max_size=25))
    return truth, draw(st.lists(st.integers(low, high), min_size=len(truth), max_size=len(truth)))


def test_values_of_scikit_learn():  # computed by scikit-learn 1.9.1
    labels, matrix = confusion_matrix(TRUTH, PREDICTED)
    assert labels == tuple("abcde")
    assert matrix.tolist() == [[2, 1, 0, 0, 0], [1, 2, 1, 0, 0], [1, 0, 3, 0, 0], [0, 0, 0, 0, 1], [0] * 5]
    assert accuracy(TRUTH, PREDICTED) == pytest.approx(0.5833333333333334, rel=1e-15)
    scores = class_scores(TRUTH, PREDICTED)
    assert list(scores) == list("abcde")
    assert [s.precision for s in scores.values()] == pytest.approx([0.5, 2 / 3, 0.75, 0, 0], rel=1e-15)
    assert [s.recall for s in scores.values()] == pytest.approx([2 / 3, 0.5, 0.75, 0, 0], rel=1e-15)
    assert [s.f1 for s in scores.values()] == pytest.approx([4 / 7, 4 / 7, 0.75, 0, 0], rel=1e-15)
    assert macro_f1(TRUTH, PREDICTED) == pytest.approx(0.37857142857142856, rel=1e-15)
    assert matthews(TRUTH, PREDICTED) == pytest.approx(0.43137254901960786, rel=1e-15)
    assert matthews([1, 1, 1, 1, 0, 0, 0, 0, 0, 1], [1, 1, 0, 1, 0, 0, 1, 0, 0, 1]) == pytest.approx(0.6)


@pytest.mark.extra
@settings(max_examples=60, deadline=None)
@given(labelled())
@pytest.mark.filterwarnings("ignore")  # of a single label
def test_follows_scikit_learn(both):
    theirs = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn: pip install '.[scores]'")
    truth, predicted = both
    labels, matrix = confusion_matrix(truth, predicted)
    np.testing.assert_array_equal(matrix, theirs.confusion_matrix(truth, predicted, labels=labels))
    assert accuracy(truth, predicted) == pytest.approx(theirs.accuracy_score(truth, predicted), abs=1e-15)
    per_class = theirs.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    ours = [(s.precision, s.recall, s.f1, s.n_true) for s in class_scores(truth, predicted).values()]
    np.testing.assert_allclose(ours, np.transpose(per_class), rtol=1e-14)
    macro = theirs.f1_score(truth, predicted, average="macro", zero_division=0)
    assert macro_f1(truth, predicted) == pytest.approx(macro, abs=1e-14)
    assert matthews(truth, predicted) == pytest.approx(theirs.matthews_corrcoef(truth, predicted), abs=1e-14)


@settings(max_examples=60, deadline=None)
@given(labelled(0, 1))
def test_matthews_of_two_classes(both):
    n = Counter(zip(*both, strict=True))  # (true, predicted)
    TP, FN, FP, TN = n[1, 1], n[1, 0], n[0, 1], n[0, 0]
    below = (TP + FP) * (TP + FN) * (TN + FP) * (TN + FN)
    expected = (TP * TN - FP * FN) / math.sqrt(below) if below else 0
    assert matthews(*both) == pytest.approx(expected, abs=1e-14)


@settings(max_examples=60, deadline=None)
@given(labelled(), st.randoms())
def test_what_holds_for_any_labels(both, random):
    truth, predicted = both
    names = dict(zip(range(-2, 4), random.sample("uvwxyz", 6), strict=True))
    renamed = [names[k] for k in truth], [names[k] for k in predicted]
    for score in (accuracy, macro_f1, matthews):
        assert score(*renamed) == pytest.approx(score(*both), abs=1e-14)
        assert score(predicted, truth) == pytest.approx(score(truth, predicted), abs=1e-14)
        assert score(truth, truth) == 1 or (score is matthews and len({*truth}) == 1)
    assert -1 - 1e-15 <= matthews(*both) <= 1
    assert sum(class_scores(*both).values(), PrecisionRecall(0, 0, 0)).f1 == pytest.approx(accuracy(*both))


def test_a_single_class_on_one_side_has_no_correlation():
    assert matthews([1, 1, 1], [1, 0, 1]) == matthews([1, 0, 1], [1, 1, 1]) == matthews([1, 1], [1, 1]) == 0


def test_matthews_of_many_examples_does_not_overflow():
    truth = np.repeat([0, 1, 2], 40_000)
    assert matthews(truth, truth) == 1
    assert matthews(truth, np.roll(truth, 40_000)) == pytest.approx(-0.5)


def test_arrays_and_numpys_scalars_are_labels():
    arrays = np.array(TRUTH), np.array(PREDICTED)
    assert confusion_matrix(*arrays).labels == tuple("abcde")
    assert matthews(list(arrays[0]), arrays[1]) == matthews(TRUTH, PREDICTED)
    assert class_scores(np.array([3, 5]), [np.int32(5), np.int64(5)])[5].f1 == pytest.approx(2 / 3)
    assert accuracy(np.array([True, False]), [1, 1]) == 0.5


@pytest.mark.parametrize("score", ALL, ids=lambda f: f.__name__)
def test_bad_input_is_named(score):
    name = f"^{score.__name__}: "
    with pytest.raises(ValueError, match=name + "predicted: expected 2 labels, as truth, got 3$"):
        score(["a", "b"], ["a", "b", "a"])
    with pytest.raises(ValueError, match=name + "truth: expected at least one label, got none$"):
        score([], [])
    with pytest.raises(ValueError, match=name + r"predicted: .* got an array of shape \(2, 1\)$"):
        score([0, 1], np.zeros((2, 1), int))
    with pytest.raises(TypeError, match=name + r"predicted\[1\]: expected a string or an integer, got 0.5$"):
        score([0, 1], [0, 0.5])
    with pytest.raises(TypeError, match=name + r"truth\[0\]: expected a string or an integer, got None$"):
        score([None], ["a"])
    with pytest.raises(TypeError, match=name + "truth: .* alone, got 'a' and 1$"):
        score(["a", 1], ["a", "b"])
    with pytest.raises(TypeError, match=name + "predicted: expected strings, as truth, got integers$"):
        score(["1", "0"], [1, 0])
    with pytest.raises(TypeError, match=name + "truth: expected a sequence of labels, got str$"):
        score("ab", "ab")
    with pytest.raises(TypeError, match=name + "truth: expected a sequence of labels, got set$"):
        score({"a", "b"}, ["a", "b"])
