"""Alignment and uniformity by their definitions, with loops."""

from __future__ import annotations

import math

import numpy as np

from npformer.objectives import alignment, uniformity


def test_by_the_definitions():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 6, 4))
    a, b = ([v / math.sqrt(v @ v) for v in part] for part in (x, y))
    distances = [float((p - q) @ (p - q)) for p, q in zip(a, b, strict=True)]
    assert math.isclose(alignment(x, y), sum(distances) / 6, rel_tol=1e-13)
    terms = [math.exp(-2 * float((a[i] - a[j]) @ (a[i] - a[j]))) for i in range(6) for j in range(i)]
    assert math.isclose(uniformity(x), math.log(sum(terms) / len(terms)), rel_tol=1e-13)


def test_the_extremes():
    x = np.random.default_rng(1).standard_normal((5, 3))
    assert alignment(x, 3 * x) < 1e-15
    assert math.isclose(alignment(x, -x), 4, rel_tol=1e-15)
    assert abs(uniformity(np.ones((4, 3)))) < 1e-14
    assert uniformity(np.eye(3)) == -4.0
    assert alignment(np.empty((0, 3)), np.empty((0, 3))) == uniformity(np.ones((1, 3))) == 0.0


def test_rows_of_zeros_stay():
    assert alignment([[0.0, 0.0]], [[2.0, 0.0]]) == 1.0
    assert uniformity([[0.0, 0.0], [0.0, 0.0]]) == 0.0
    assert math.isclose(uniformity([[0.0, 0.0], [3.0, 0.0]]), -2.0, rel_tol=1e-15)
