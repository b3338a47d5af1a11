"""A right op wrapped to misbehave: each way has its own verdict, in words."""

from __future__ import annotations

import numpy as np
import pytest

import npformer
from npformer.functional import softmax, softmax_backward
from npformer.gradcheck import Verdict

X = np.random.default_rng(0).standard_normal((3, 5))
SHARED = np.random.default_rng(3)


def mutating_dout(dout, cache):
    dx = softmax_backward(dout, cache)
    dout *= 2
    return dx


def not_finite_in_a_row(dout, cache):
    dx = softmax_backward(dout, cache)
    dx[1] = np.nan
    return dx


def dropped(x, rng):
    kept = 2 * (rng.random(x.shape) < 0.5)
    return x * kept, kept


class Calls:
    """A backward that works once."""

    def __init__(self):
        self.used = set()

    def backward(self, dout, cache):
        first = id(cache) not in self.used
        self.used.add(id(cache))
        return softmax_backward(dout, cache) * (1 if first else 2)


kept_caches = []  # so that no two have the same id


def keeping(x):
    p, cache = softmax(x)
    kept_caches.append(cache)
    return p, cache


CASES = {
    "mutates dout": (softmax, mutating_dout, Verdict.DOUT_MUTATED, "changed dout in place"),
    "returns dout": (lambda x: (x.copy(), 0), lambda dout, _: dout, Verdict.ALIASED, "memory with dout"),
    "returns a view of its input": (
        lambda x: (x * x / 2, x),
        lambda dout, x: np.multiply(x, dout, out=x),
        Verdict.NONDETERMINISTIC,
        "shares its memory with the input x",
    ),
    "redraws its mask in the backward": (
        lambda x: dropped(x, np.random.default_rng(5)),
        lambda dout, _: dropped(dout, SHARED)[0],
        Verdict.NONDETERMINISTIC,
        "randomness drawn in the backward",
    ),
    "random in the forward": (
        lambda x: dropped(x, SHARED),
        lambda dout, kept: dout * kept,
        Verdict.NONDETERMINISTIC,
        "The forward called twice",
    ),
    "float32": (
        softmax,
        lambda dout, cache: softmax_backward(dout, cache).astype(np.float32),
        Verdict.PRECISION,
        "is float32, the input float64",
    ),
    "NaN at one row": (softmax, not_finite_in_a_row, Verdict.NONFINITE, "first at (1, 0)"),
    "a second call gives more": (
        keeping,
        Calls().backward,
        Verdict.NONDETERMINISTIC,
        "the first call used up or changed its cache",
    ),
    "a term without dout": (
        softmax,
        lambda dout, cache: softmax_backward(dout, cache) + 0.1,
        Verdict.WRONG,
        "With dout = 0 the gradient of x is not 0 but 0.1",
    ),
    "the square of dout": (
        softmax,
        lambda dout, cache: softmax_backward(dout * abs(dout), cache),
        Verdict.WRONG,
        "not linear in dout",
    ),
    "the size of dout": (
        softmax,
        lambda dout, cache: softmax_backward(abs(dout), cache),
        Verdict.WRONG,
        "not linear in dout",
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_each_has_its_own_words(kind):
    forward, backward, verdict, words = CASES[kind]
    report = npformer.check(forward, backward, {"x": X})
    assert report.verdict is verdict, str(report)
    assert not report.passed
    assert words in " ".join(str(report).split()), str(report)


def test_a_right_one_has_none_of_them():
    report = npformer.check(softmax, softmax_backward, {"x": X})
    assert report.passed
    assert not any(words in str(report) for *_, words in CASES.values())


def test_a_gradient_in_a_tuple_of_its_own_is_told():
    x = np.random.default_rng(0).standard_normal((3, 4))
    report = npformer.check(lambda x: x * x, lambda d, x: ((2 * d * x,),), [x])
    assert "The gradient of x is a tuple, not an array." in str(report)
    ragged = npformer.check(lambda x: x * x, lambda d, x: [[1.0], [1.0, 2.0]], [x])
    assert not ragged.passed


def test_a_backward_that_takes_no_other_dout_is_judged_at_its_own():
    def backward(d, x):
        assert (d == 1).all(), "for a loss"
        return 2 * x

    x = np.random.default_rng(0).standard_normal((3, 4))
    assert npformer.check(lambda x: x * x, backward, [x], dout=np.ones((3, 4))).passed
