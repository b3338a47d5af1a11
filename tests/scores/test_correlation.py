from __future__ import annotations

import csv
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from npformer.scores import pearson, ranks, spearman

TIED = st.integers(-3, 3)
ANY = st.floats(-1e3, 1e3).map(lambda v: round(v, 3))


@st.composite
def pairs_of(draw, numbers):
    x = draw(st.lists(numbers, min_size=2, max_size=20))
    return x, draw(st.lists(numbers, min_size=len(x), max_size=len(x)))


@settings(max_examples=100, deadline=None)
@given(pairs_of(st.one_of(TIED, ANY)))
def test_follows_scipy(both):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constants
        theirs = stats.pearsonr(*both)[0], stats.spearmanr(*both)[0]
    assert pearson(*both) == pytest.approx(theirs[0], abs=1e-11, nan_ok=True)
    assert spearman(*both) == pytest.approx(theirs[1], abs=1e-13, nan_ok=True)
    np.testing.assert_array_equal(ranks(both[0]), stats.rankdata(both[0]))


def test_values():
    assert pearson([1, 2, 3, 4], [1, 3, 2, 5]) == pytest.approx(11 / math.sqrt(175), rel=1e-15)
    # ranks 1 2.5 2.5 4 and 2 1 3.5 3.5, all around 2.5
    assert spearman([1, 5, 5, 9], [0, -1, 2, 2]) == pytest.approx(2.25 / math.sqrt(4.5 * 4.5), rel=1e-15)


@settings(max_examples=60, deadline=None)
@given(pairs_of(TIED))
def test_what_holds_for_any_numbers(both):
    x, y = map(np.array, both)
    for score in (pearson, spearman):
        r = score(x, y)
        assert math.isnan(r) or -1 <= r <= 1
        assert score(y, x) == pytest.approx(r, nan_ok=True)
        assert score(5 - 3 * x, y) == pytest.approx(-r, abs=1e-14, nan_ok=True)
    assert spearman(np.exp(x), y) == pytest.approx(spearman(x, y), abs=1e-14, nan_ok=True)


def test_a_constant_gives_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for score in (pearson, spearman):
            assert math.isnan(score([0.1] * 3, [1, 2, 3]))  # whose mean is not 0.1
            assert math.isnan(score([1, 2, 3], [0.1] * 3))


def test_numbers_far_from_zero_close_together_huge_or_tiny():
    x, y = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0])
    r = pearson(x, y)
    assert pearson(1e8 + x, y) == pytest.approx(r, rel=1e-14)
    assert pearson(x * 1e300, y * 1e-300) == pytest.approx(r, rel=1e-14)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pearson([1e308, -1e308, 0], y) == pytest.approx(pearson([1, -1, 0], y), rel=1e-14)
        assert pearson([5e-324, 0, 1e-323], y) == pytest.approx(pearson([1, 0, 2], y), rel=1e-14)
    assert pearson([1.0, np.nextafter(1, 2)], [0, 1]) == pytest.approx(1)
    assert pearson(np.float32(x), y.astype(int)) == r


def test_similarities_of_sentences(shared_data):
    with open(shared_data / "stsb_en" / "dev.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    judged = [float(row[2]) for row in rows]
    lengths = [abs(len(row[0]) - len(row[1])) for row in rows]  # both have many ties
    assert pearson(judged, lengths) == pytest.approx(stats.pearsonr(judged, lengths)[0], abs=1e-14)
    assert spearman(judged, lengths) == pytest.approx(stats.spearmanr(judged, lengths)[0], abs=1e-14)


@pytest.mark.parametrize("score", [pearson, spearman])
def test_bad_input_is_named(score):
    name = f"^{score.__name__}: "
    with pytest.raises(ValueError, match=name + "y: expected 2 numbers, as x, got 3$"):
        score([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=name + "x: expected at least two numbers, got 1$"):
        score([1], [1])
    with pytest.raises(ValueError, match=name + r"y\[1\]: expected a finite number, got nan$"):
        score([1, 2], [1, math.nan])
    with pytest.raises(ValueError, match=name + r"x: expected numbers, shape \(n,\), got shape \(2, 1\)$"):
        score([[1], [2]], [1, 2])
    with pytest.raises(ValueError, match=name + "x: .* a ragged sequence$"):
        score([[1], [2, 3]], [1, 2])
    with pytest.raises(TypeError, match=name + "y: expected real numbers, got dtype <U1$"):
        score([1, 2], ["1", "2"])
    with pytest.raises(TypeError, match=name + "x: expected real numbers, got dtype object$"):
        score([1, None], [1, 2])
