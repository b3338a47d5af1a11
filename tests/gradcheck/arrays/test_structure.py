"""The structure of an error that no relation explains."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.gradcheck import check

RNG = np.random.default_rng(5)
X = RNG.standard_normal((4, 5))
ROW, COLUMN = RNG.standard_normal((4, 1)), RNG.standard_normal(5)


@pytest.mark.parametrize(
    ("error", "identifier", "words"),
    [
        (ROW * np.ones(5), "row-constant", "Each row of the error is one number"),
        (np.ones((4, 1)) * COLUMN, "column-constant", "Each column of the error is one number"),
        (ROW * X, "row-multiple", "that row of x"),
        (ROW * np.sin(X), "row-multiple", "that row of the output"),
        (ROW * RNG.standard_normal(5), "unknown", "rank 1 of 4"),
        (RNG.standard_normal((4, 5)), "unknown", "spread over all 20 entries"),
        (np.eye(4, 5)[:, [1, 0, 2, 3, 4]] * [0, 1, 0, 0, 0], "unknown", "in 1 of 20 entries"),
        (X * [1, 0, 1, 0, 0], "unknown", "in the columns 0, 2 alone"),
    ],
)
def test_structure(error, identifier, words):
    report = check(lambda x: (np.sin(x), x), lambda d, x: d * np.cos(x) + error, [X])
    found = report["x"].hypotheses[0]
    assert found.identifier == identifier
    assert words in found.fact
