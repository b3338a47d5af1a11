"""Products shared among threads are those of `functional.linear`, for any shapes and numbers of threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer._threads import Team
from npformer.functional import linear
from npformer.nn import _products

size = st.integers(1, 9)


@settings(deadline=None)
@given(
    st.lists(size, max_size=2), size, st.lists(st.tuples(size, st.booleans()), min_size=1, max_size=3), size
)
def test_every_input_and_column_once(
    leading: list[int], d_in: int, outs: list[tuple[int, bool]], threads: int
) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((*leading, d_in))
    maps = [
        (rng.standard_normal((d_in, d)), rng.standard_normal(d) if has_bias else None) for d, has_bias in outs
    ]
    maps += [(np.asfortranarray(weight), bias) for weight, bias in maps]
    with pytest.MonkeyPatch.context() as patch, Team(threads) as team:
        patch.setattr(_products, "SHARED", 0)
        shared = _products.linears(x, maps, team)
    for y, (weight, bias) in zip(shared, maps, strict=True):
        np.testing.assert_allclose(y, linear(x, weight, bias)[0], atol=1e-13)


def test_a_transposed_matrix_and_float32() -> None:
    rng = np.random.default_rng(1)
    x, E = (rng.standard_normal(shape, dtype=np.float32) for shape in ((1, 1, 64), (9001, 64)))
    with Team(2) as team:
        (y,) = _products.linears(x, [(E.T, None)], team)
    assert y.dtype == np.float32
    assert y.shape == (1, 1, 9001)
    np.testing.assert_allclose(y, linear(x, E.T)[0], atol=1e-5)


def test_small_products_are_not_shared() -> None:
    class Nobody:
        threads = 2

        def run(self, work: object) -> None:
            raise AssertionError("shared")

    x = np.ones((1, 8))
    _products.linears(x, [(np.ones((8, 8)), None)], Nobody())  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="shared"):
        _products.linears(x, [(np.ones((8, _products.SHARED)), None)], Nobody())  # type: ignore[arg-type]
