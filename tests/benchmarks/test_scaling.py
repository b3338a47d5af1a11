"""The exponents of the scaling benchmark."""

from __future__ import annotations

import pytest
import scaling


def test_an_exponent_is_found_and_curvature_shows_in_the_upper_half():
    x = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    assert scaling.exponent(x, [7 * a**1.5 for a in x]) == pytest.approx(1.5, abs=1e-12)
    curved = [10 * a + a * a for a in x]
    assert 1 < scaling.exponent(x, curved) < scaling.exponent(x[3:], curved[3:]) < 2


def test_figures_of_a_step_that_is_nothing_but_its_products():
    """Times that are the FLOPs at one rate have the formula's exponents; others have others."""
    axis = scaling.all_axes()[0]
    at_one_rate = {
        p: {
            "seconds": scaling.flops(p.s) / 1e11,
            "fastest": 1.0,
            "peak_mb": 50.0 + scaling.kept_mb(p),
            "start_mb": 50.0,
        }
        for p in axis.points
    }
    fit = scaling.figures(axis, at_one_rate)["all"]
    assert fit["time"] == pytest.approx(fit["flops"], abs=1e-12)
    assert fit["memory"] == pytest.approx(fit["kept"], abs=1e-12)
    for point in axis.points:
        at_one_rate[point]["seconds"] *= point.s.T
    fit = scaling.figures(axis, at_one_rate)["all"]
    assert fit["time"] == pytest.approx(fit["flops"] + 1, abs=1e-12)


def test_every_axis_grows_one_thing():
    for axis in scaling.all_axes() + scaling.short_axes():
        assert len(axis.values) == len(axis.points) > 1
        assert axis.values == sorted(axis.values)
        for value, point in zip(axis.values, axis.points, strict=True):
            assert value == (point.threads if axis.letter == "threads" else getattr(point.s, axis.letter))
