"""`generic_like` keeps what belongs to a function's domain and leaves nothing to hide behind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npformer
from npformer.functional import layer_norm, layer_norm_backward
from npformer.gradcheck import generic_like
from npformer.gradcheck.blind_spots import of_inputs


@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 99), st.sampled_from([np.float32, np.float64]))
def test_only_what_shapes_do_is_left(rows, columns, seed, dtype):
    point = {
        "x": np.zeros((rows, columns), dtype),
        "gamma": np.ones(columns, dtype),
        "p": np.full(columns, 0.25, dtype),
        "ids": np.arange(rows),
        "mask": np.ones((rows, columns), bool),
        "eps": 1e-5,
    }
    found = generic_like(point, np.random.default_rng(seed))
    assert {spot.identifier for spot in of_inputs(found)} <= {"equal-sizes"}
    assert all(found[name].shape == x.shape for name, x in point.items() if isinstance(x, np.ndarray))
    assert all(found[name].dtype == x.dtype for name, x in point.items() if isinstance(x, np.ndarray))
    assert found["eps"] == 1e-5
    assert (found["gamma"] > 0).all()
    assert (found["p"] > 0).all()
    assert (found["p"] < 1).all()
    assert set(found["ids"]) <= set(range(rows))
    assert found["mask"].any(axis=-1).all()


def test_a_mistake_that_initialisation_hides_shows():
    def forgotten(dout, cache):
        dx, dgamma, dbeta = layer_norm_backward(dout, cache)
        return dx / cache.gamma.mean(), dgamma, dbeta

    point = {"x": np.random.default_rng(0).standard_normal((3, 5)), "gamma": np.ones(5), "beta": np.zeros(5)}
    assert npformer.check(layer_norm, forgotten, point).passed
    assert not npformer.check(layer_norm, forgotten, generic_like(point)).passed


def test_bounds_stay_in_the_dtype_and_constants_in_their_place():
    for x in (-np.ones(3), np.full(3, 6e4, np.float16)):
        drawn = generic_like({"x": x})["x"]
        assert np.isfinite(drawn).all()
        assert (np.sign(drawn) == np.sign(x)).all()
        assert len(set(drawn)) == 3
    mask = np.where(np.tri(3) > 0, 0, -np.inf)
    assert np.array_equal(generic_like({"mask": mask})["mask"], mask)
    with pytest.raises(TypeError, match="generic_like: inputs: expected a mapping .* got list"):
        generic_like([np.ones(3)])
