from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from npformer.scores import mean_and_std, pooled_deviations, pooled_std

GROUP = st.lists(st.integers(0, 1000).map(lambda k: k / 10), min_size=2, max_size=8)


@settings(max_examples=60, deadline=None)
@given(GROUP)
def test_mean_and_std_are_those_of_the_standard_library(values):
    mean, std = mean_and_std(values)
    assert mean == pytest.approx(statistics.fmean(values), rel=1e-14)
    assert std == pytest.approx(statistics.stdev(values), rel=1e-13, abs=1e-13)


@settings(max_examples=60, deadline=None)
@given(GROUP, GROUP)
@pytest.mark.filterwarnings("ignore")  # of groups that are nearly identical
def test_pooled_deviations_are_those_of_students_test(a, b):
    if pooled_std(a, b) == 0:
        return
    t = stats.ttest_ind(a, b, equal_var=True).statistic  # (ā - b̄) / (s √(1/n_a + 1/n_b))
    d = pooled_deviations(a, b)
    assert d == pytest.approx(t * math.sqrt(1 / len(a) + 1 / len(b)), rel=1e-11, abs=1e-11)
    assert pooled_deviations(b, a) == -d


def test_values():
    assert mean_and_std([90, 92, 97]) == pytest.approx((93, math.sqrt(13)), rel=1e-15)
    assert pooled_std([90, 92, 97], [80, 81]) == pytest.approx(math.sqrt(26.5 / 3), rel=1e-15)
    assert pooled_deviations([90, 92, 97], [80, 81]) == pytest.approx(12.5 / math.sqrt(26.5 / 3), rel=1e-15)


@settings(max_examples=60, deadline=None)
@given(GROUP, st.integers(-1000, 1000))
def test_powers_of_two_change_no_figure_however_large_the_numbers_are(values, power):
    mean, std = mean_and_std(values)
    scaled = np.ldexp(values, power)
    assert mean_and_std(scaled) == (math.ldexp(mean, power), math.ldexp(std, power))
    assert pooled_std(scaled, scaled[::-1]) == pooled_std(scaled[::-1], scaled)


def test_numbers_at_the_end_of_what_there_is(recwarn):
    assert mean_and_std([1e304, 10]) == pytest.approx((5e303, 1e304 / math.sqrt(2)), rel=1e-14)
    assert mean_and_std([1e308, 0, -1e308]) == pytest.approx((0, 1e308), rel=1e-14)
    assert mean_and_std([1.7e308, -1.7e308]).std == math.inf  # the true one is no float
    assert pooled_std([1e300, 1e300], [1e-300, 3e-300]) == pytest.approx(1e-300, rel=1e-14)
    assert pooled_std([1e300, 3e300], [1, 2]) == pytest.approx(1e300, rel=1e-14)
    assert not recwarn.list


def test_groups_without_any_spread():
    a, b = [0.1] * 3, [0.3] * 3  # the mean of three 0.1 is not 0.1
    assert mean_and_std(a).std == pooled_std(a, b) == 0
    assert pooled_deviations(b, a) == -pooled_deviations(a, b) == math.inf
    assert math.isnan(pooled_deviations(a, a))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="^mean_and_std: values: expected at least two numbers, got 1$"):
        mean_and_std([0.9])
    with pytest.raises(ValueError, match=r"^pooled_std: b\[0\]: expected a finite number, got inf$"):
        pooled_std([1, 2], [math.inf, 1])
    with pytest.raises(TypeError, match="^pooled_deviations: a: expected real numbers, got .*complex"):
        pooled_deviations(np.array([1j, 2]), [1, 2])
