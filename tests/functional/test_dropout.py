from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.functional import dropout, dropout_backward


def with_seed(seed, p=0.3):
    def forward(x):
        return dropout(x, p, np.random.default_rng(seed))

    return forward


@pytest.mark.parametrize("p", [0.0, 0.3, 0.9, 1.0])
def test_proof(proof, rng, p):
    proof(with_seed(3, p), dropout_backward, {"x": rng.standard_normal((3, 4, 5))}, rng).holds()


def test_a_wrong_backward_is_seen(proof, one_rng):
    x = {"x": one_rng.standard_normal((4, 5))}
    point = proof(with_seed(3), dropout_backward, x, one_rng)
    for wrong in (
        lambda dout, c: dout * c.keep,
        lambda dout, c: dout * c.keep / c.p,
        lambda dout, c: dout / (1 - c.p),
        lambda dout, c: dout * ~c.keep / (1 - c.p),
        lambda dout, c: dropout(dout, c.p, np.random.default_rng(4))[0],  # drawn again
    ):
        point.sees(wrong)


def test_what_is_kept_follows_from_the_draw():
    x = np.ones((50, 40), np.float32)
    out, cache = dropout(x, 0.25, np.random.default_rng(5))
    keep = np.random.default_rng(5).random(x.shape, dtype=np.float32) >= 0.25
    np.testing.assert_array_equal(cache.keep, keep)
    np.testing.assert_array_equal(out, np.where(keep, np.float32(1 / 0.75), 0))


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.lists(st.integers(0, 4), max_size=3), st.integers(0, 99))
def test_kept_elements_are_scaled_and_others_zero(p, shape, seed):
    x = np.random.default_rng(seed).uniform(1, 2, shape)
    out, (keep, _) = dropout(x, p, np.random.default_rng(seed))
    assert out.shape == np.shape(x)
    np.testing.assert_allclose(np.where(keep, out * (1 - p), x), x, rtol=1e-15)
    assert not out[~keep].any()


def test_the_mean_stays():
    out, cache = dropout(np.ones(1_000_000), 0.1, np.random.default_rng(0))
    assert abs(out.mean() - 1) < 4 * np.sqrt(0.1 / 0.9 / 1e6)
    assert cache.keep.dtype == np.bool_


def test_any_source_of_numbers_with_the_method_random():
    class Halves:
        def random(self, size=None, dtype=float):
            return np.full(size, 0.5, dtype)

    assert dropout([2.0], 0.5, Halves())[0] == [4.0]
    assert dropout([2.0], 0.6, Halves())[0] == [0.0]


def test_bad_input_is_named():
    draw = partial(dropout, rng=np.random.default_rng(0))
    for p in (-0.1, 1.5, np.nan, np.inf):
        with pytest.raises(ValueError, match="^dropout: p: expected a finite number >= 0.0 and <= 1.0, got"):
            draw([1.0], p)
    with pytest.raises(TypeError, match="^dropout: rng: expected a numpy.random.Generator, got int"):
        dropout([1.0], 0.5, 0)
    with pytest.raises(TypeError, match="^dropout: x: .* dtype object"):
        draw([None], 0.5)
    with pytest.raises(ValueError, match=r"^dropout_backward: dout: expected shape \(1,\)"):
        dropout_backward([1.0, 2.0], draw([1.0], 0.5)[1])
