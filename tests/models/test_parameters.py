from __future__ import annotations

import numpy as np
import pytest

from npformer.models import Parameters

ARRAYS = {"a.weight": np.arange(6.0).reshape(2, 3), "b": np.array([10.0, 20.0]), "c": np.array([[7.0]])}


def test_names_are_views_of_one_vector():
    params = Parameters(ARRAYS)
    np.testing.assert_array_equal(params.flat, [0, 1, 2, 3, 4, 5, 10, 20, 7])
    params.flat *= 2
    np.testing.assert_array_equal(params["a.weight"], 2 * ARRAYS["a.weight"])
    params["b"] += 1
    np.testing.assert_array_equal(params.flat[params.layout["b"]], [21, 41])
    assert all(np.shares_memory(view, params.flat) for view in params.values())
    assert params.flat.flags.c_contiguous


def test_the_given_arrays_are_copied():
    given = {"a": np.zeros(3)}
    params = Parameters(given)
    params.flat += 1
    np.testing.assert_array_equal(given["a"], 0)


def test_frozen_parameters_lie_apart_and_have_no_gradient():
    params = Parameters(ARRAYS, frozen=["b"])
    np.testing.assert_array_equal(params.flat, [0, 1, 2, 3, 4, 5, 7])
    np.testing.assert_array_equal(params.frozen_flat, [10, 20])
    assert list(params) == list(ARRAYS)
    assert list(params.zeros_like()) == ["a.weight", "c"]
    assert params.zeros_like().flat.shape == params.flat.shape
    assert params.zeros_like().layout == params.layout
    assert params.astype(np.float32).frozen == {"b"}


def test_astype_and_copy_share_nothing():
    params = Parameters(ARRAYS)
    for other in (params.copy(), params.astype(np.complex128)):
        assert not np.shares_memory(other.flat, params.flat)
        np.testing.assert_array_equal(other.flat, params.flat)
    assert params.astype(np.float32).flat.dtype == np.float32


def test_a_value_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="broadcast"):
        Parameters(ARRAYS)["b"] = np.zeros(3)
    with pytest.raises(ValueError, match="frozen: expected names of parameters, got 'nobody'"):
        Parameters(ARRAYS, frozen=["nobody"])
