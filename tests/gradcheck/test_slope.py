"""The step that is chosen, its error estimate, and kinks."""

from __future__ import annotations

import math
import random

import pytest

from npformer.gradcheck.slope import slope, wide_slope

EPS = 2.0**-52


def change(f, x):
    return lambda t: f(x + t) - f(x)


SMOOTH = {
    "exp": (math.exp, math.exp, 0.3),
    "a fast sine": (lambda x: math.sin(40 * x), lambda x: 40 * math.cos(40 * x), 0.3),
    "near a pole": (lambda x: 1 / x, lambda x: -1 / x**2, 0.05),
    "near the end of its domain": (
        lambda x: math.sqrt(x) if x >= 0 else math.nan,
        lambda x: 0.5 / math.sqrt(x),
        1e-4,
    ),
    "a large entry": (lambda x: x * x, lambda x: 2 * x, 12345.678),
    "steep exponential": (lambda x: math.exp(1e3 * x), lambda x: 1e3 * math.exp(1e3 * x), 1e-3),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_functions(name):
    f, derivative, x = SMOOTH[name]
    found = slope(change(f, x), noise=EPS * abs(f(x)), at=x)
    off = abs(found.value - derivative(x))
    assert off <= 1.5e-11 * abs(derivative(x))
    assert off <= 10 * found.error
    assert found.jump == 0


def test_usually_twelve_evaluations_none_of_them_twice():
    calls = []

    def f(x):
        calls.append(x)
        return math.exp(x) / (1 + math.exp(x))

    for i in range(50):
        x = i / 10 - 2.5
        slope(lambda t, x=x: f(x + t) - math.exp(x) / (1 + math.exp(x)), noise=EPS / 2)
    assert len(calls) == len(set(calls)) <= 50 * 13


@pytest.mark.parametrize("distance", [0.0, 1e-13, 1e-9])
def test_a_kink_within_reach(distance):
    found = slope(change(lambda x: max(x, 0.0) * 3 + x, distance), noise=EPS)
    assert found.left == pytest.approx(1, abs=1e-6)
    assert found.right == pytest.approx(4, abs=1e-6)


@pytest.mark.parametrize("distance", [0.08, 0.01, 1e-3, 1e-5, 1e-6, -1e-6, -1e-3, -0.05])
def test_a_kink_nearby_is_stepped_around(distance):
    found = slope(change(lambda x: max(x, 0.0), distance), noise=EPS * abs(distance))
    assert found.jump == 0
    assert found.value == pytest.approx(1.0 if distance > 0 else 0.0, abs=1e-8)


def test_a_curved_kink():
    found = slope(change(lambda x: math.exp(x) * abs(x), 0.0), noise=EPS)
    assert found.left == pytest.approx(-1, abs=1e-5)
    assert found.right == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("s", [lambda t: math.nan, lambda t: math.inf if t > 0 else 0.0])
def test_nothing_finite(s):
    found = slope(s, noise=EPS)
    assert math.isnan(found.value)
    assert found.error == math.inf


def test_a_step_has_no_derivative_and_says_so():
    found = slope(lambda t: 1.0 if t > 0 else 0.0, noise=EPS)
    assert found.error > 1


def test_noise_is_seen():
    found = slope(lambda t: t + 1e-8 * random.Random(t).uniform(-1, 1), noise=EPS)
    assert 1e-9 < found.error < 1e-5
    assert abs(found.value - 1) <= 10 * found.error


def test_the_smallest_of_several_differences_is_not_taken_for_the_error():
    """Of differences that are all rounding one is small by luck."""
    for seed in range(200):

        def s(t, seed=seed):
            return math.sin(1 + t) - math.sin(1) + 1e-9 * random.Random(seed + t).uniform(-1, 1)

        found = slope(s, noise=EPS)
        assert abs(found.value - math.cos(1)) <= 10 * found.error


def test_the_stencil_of_the_chosen_step_gives_the_chosen_value():
    for f, _, x in SMOOTH.values():
        found = slope(change(f, x), noise=EPS * abs(f(x)), at=x)
        assert wide_slope(change(f, x), found.step) == found.value


def test_a_jump_that_is_seen_from_afar_is_no_slope():
    """Beside a slope of 1e6 the values of the wide steps are all nothing, and agree in that."""
    width = 1e-6
    found = slope(lambda t: math.tanh((t + 2 * width) / width) - math.tanh(2.0), 1e-16, scale=1e6)
    assert found.value == pytest.approx((1 - math.tanh(2.0) ** 2) / width, rel=1e-6)
    at_the_step = slope(lambda t: float(t > 0) - float(t < 0), 1e-16, scale=1e6)
    assert at_the_step.error > 1e3  # nobody knows
    assert abs(at_the_step.value) < 1e3  # nor does it count as a scale for others
