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
    with pytest.raises(ValueError, match=r"Parameters: b: expected shape \(2,\), got \(3,\)"):
        Parameters(ARRAYS)["b"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"a.weight: expected shape \(2, 3\), got \(3,\)"):
        Parameters(ARRAYS)["a.weight"] = np.zeros(3)  # NumPy would broadcast it
    with pytest.raises(ValueError, match="frozen: expected names of parameters, got 'nobody'"):
        Parameters(ARRAYS, frozen=["nobody"])
    with pytest.raises(ValueError, match="transposed: expected names of parameters, got 'nobody'"):
        Parameters(ARRAYS, transposed=["nobody"])


def test_for_decoding_changes_the_order_in_memory_alone():
    arrays = {**ARRAYS, "narrow.weight": np.arange(6.0).reshape(3, 2), "square.weight": np.eye(2) + [0, 5]}
    params = Parameters(arrays, np.float32, frozen=["square.weight"])
    laid_out = params.for_decoding()
    assert list(laid_out) == list(params)
    assert laid_out.layout == params.layout
    for name, value in arrays.items():
        np.testing.assert_array_equal(laid_out[name], value)
        assert not np.shares_memory(laid_out[name], params[name])
    # more outputs than inputs, and what is no weight, stay as they are
    assert laid_out.transposed == {"narrow.weight", "square.weight"}
    np.testing.assert_array_equal(laid_out.flat, [0, 1, 2, 3, 4, 5, 10, 20, 7, 0, 2, 4, 1, 3, 5])
    np.testing.assert_array_equal(laid_out.frozen_flat, [1, 0, 5, 6])
    assert laid_out.flat.dtype == np.float32
    assert laid_out.frozen == params.frozen
    # what is made of it lies as it does, so that vectors fit
    assert laid_out.copy().transposed == laid_out.transposed
    np.testing.assert_array_equal(laid_out.copy().flat, laid_out.flat)
    zeros = laid_out.zeros_like()
    assert zeros.transposed == {"narrow.weight"}
    assert zeros.layout == laid_out.layout
    zeros["narrow.weight"] += arrays["narrow.weight"]
    np.testing.assert_array_equal(zeros.flat[-6:], [0, 2, 4, 1, 3, 5])
