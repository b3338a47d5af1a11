from __future__ import annotations

import ast
import math
from pathlib import Path

import numpy as np
import pytest

import npformer.functional
from npformer.functional._arguments import (
    as_dout,
    as_float,
    as_ids,
    as_mask,
    promote,
    require_axis,
    require_broadcastable,
    require_number,
    require_shape,
    require_size,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_floats_stay_what_they_are_and_are_not_copied(dtype):
    x = np.ones(3, dtype)
    assert as_float("op", "x", x) is x


@pytest.mark.parametrize("x", [[1, 2], [True, False], np.arange(2, dtype=np.uint8), 3, (), np.int32(4)])
def test_integers_become_float64(x):
    got = as_float("op", "x", x)
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, x)


@pytest.mark.parametrize(
    "x", [["a"], None, np.ones(1, np.float16), np.ones(1, np.complex64), np.array("2020-01-01", "M8[D]"), {}]
)
def test_anything_else_is_a_type_error(x):
    with pytest.raises(
        TypeError, match="^op: x: expected float32, float64, complex128 or integers, got dtype"
    ):
        as_float("op", "x", x)


def test_a_ragged_list_is_named():
    with pytest.raises(ValueError, match="^op: x: expected an array, got a ragged sequence"):
        as_float("op", "x", [[1.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match="^op: ids: expected an array, got a ragged sequence"):
        as_ids("op", "ids", [[1], [1, 2]], 5)
    with pytest.raises(ValueError, match="^op: mask: expected an array, got a ragged sequence"):
        as_mask("op", "mask", [[True], [True, False]], (2, 2))


def test_ids():
    np.testing.assert_array_equal(as_ids("op", "ids", [[0, 4]], 5), [[0, 4]])
    assert as_ids("op", "ids", [], 5).dtype.kind == "i"
    np.testing.assert_array_equal(as_ids("op", "ids", [-100, 1], 5, also=-100), [-100, 1])
    with pytest.raises(ValueError, match=r"^op: ids: expected ids in \[0, 5\) or -100, got 5 at \(1, 0\)"):
        as_ids("op", "ids", [[-100], [5]], 5, also=-100)
    with pytest.raises(ValueError, match=r"^op: ids: expected ids in \[0, 5\), got -1 at \(1,\)"):
        as_ids("op", "ids", [0, -1], 5)
    with pytest.raises(TypeError, match="^op: ids: expected integers, got dtype float64"):
        as_ids("op", "ids", [0.0], 5)


def test_masks():
    assert as_mask("op", "mask", [True, False], (3, 2)).shape == (2,)
    with pytest.raises(TypeError, match="^op: mask: expected booleans .*, got dtype int64"):
        as_mask("op", "mask", np.array([1, 0]), (2,))
    with pytest.raises(
        ValueError, match=r"^op: mask: expected a shape that broadcasts to \(3, 2\), got shape \(3,\)"
    ):
        as_mask("op", "mask", [True] * 3, (3, 2))


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1), (1, 3, 4), (2, 1, 1)])
def test_shapes_that_broadcast(shape):
    require_broadcastable("op", "x", np.ones(shape), (2, 3, 4))


@pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 2, 3, 4), (2, 3, 0), (5, 3, 4)])
def test_shapes_that_do_not_broadcast(shape):
    with pytest.raises(ValueError, match="^op: x: expected a shape that broadcasts to"):
        require_broadcastable("op", "x", np.ones(shape), (2, 3, 4))


def test_an_axis_of_length_one_is_not_stretched_by_the_argument():
    with pytest.raises(ValueError, match="broadcasts to"):
        require_broadcastable("op", "x", np.ones((2, 5)), (2, 1))


def test_shapes():
    require_shape("op", "x", np.ones((2, 3)), (2, 3))
    with pytest.raises(ValueError, match=r"^op: x: expected shape \(2, 3\) = \(a, b\), got shape \(3, 2\)"):
        require_shape("op", "x", np.ones((3, 2)), (2, 3), "(a, b)")
    with pytest.raises(ValueError, match=r"^op_backward: dout: expected shape \(2,\) = the output's shape"):
        as_dout("op", [1.0], (2,))


def test_axes():
    assert [require_axis("op", "axis", a, 3) for a in (0, 2, -1, -3, np.int64(1))] == [0, 2, 2, 0, 1]
    for axis in (3, -4):
        with pytest.raises(ValueError, match=r"^op: axis: expected an axis in \[-3, 3\)"):
            require_axis("op", "axis", axis, 3)
    for axis in (1.0, True, None):
        with pytest.raises(TypeError, match="^op: axis: expected an integer"):
            require_axis("op", "axis", axis, 3)


def test_numbers():
    got = require_number("op", "eps", np.float64(0.5), low=0)
    assert type(got) is float  # a NumPy scalar would widen float32
    assert require_number("op", "p", 1, 0, 1) == 1.0
    assert require_number("op", "scale", -2, -math.inf) == -2.0
    for x in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="^op: eps: expected a finite number >= 0.0, got"):
            require_number("op", "eps", x, 0.0)
    with pytest.raises(ValueError, match="^op: p: expected a finite number >= 0 and <= 1, got 2.0"):
        require_number("op", "p", 2, 0, 1)
    for x in (-math.inf, math.inf, math.nan):
        with pytest.raises(ValueError, match="^op: scale: expected a finite number, got"):
            require_number("op", "scale", x, -math.inf)
    for x in ("one", None, 1j, [1, 2]):
        with pytest.raises(TypeError, match="^op: eps: expected a real number, got"):
            require_number("op", "eps", x, 0)


def test_sizes():
    assert type(require_size("op", "n", np.int64(3))) is int
    with pytest.raises(ValueError, match="^op: n: expected an integer >= 0, got -1"):
        require_size("op", "n", -1)
    for n in (2.0, False, "2"):
        with pytest.raises(TypeError, match="^op: n: expected an integer, got"):
            require_size("op", "n", n)


def test_promotion():
    single, double = np.ones(2, np.float32), np.ones(2)
    a, b = promote(single, single)
    assert a is single
    assert b is single
    assert [x.dtype for x in promote(single, double)] == [np.float64] * 2
    assert [x.dtype for x in promote(single, also=double)] == [np.float64]
    assert [x.dtype for x in promote(single, double, 1j * double)] == [np.complex128] * 3


FORBIDDEN = {
    "vecdot",
    "vdot",
    "var",
    "std",
    "norm",
    "einsum",
    "abs",
}  # they drop or conjugate the imaginary part, or are slow


def test_no_op_uses_a_function_that_spoils_the_complex_step_or_the_speed():
    folder = Path(npformer.functional.__file__).parent
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np":
                assert node.attr not in FORBIDDEN, f"{path.name}:{node.lineno}: np.{node.attr}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "iscomplexobj", f"{path.name}:{node.lineno}"


def test_every_public_name_is_documented_with_an_example():
    for name in npformer.functional.__all__:
        thing = getattr(npformer.functional, name)
        assert thing.__doc__, name
        if not isinstance(thing, type):
            assert ">>>" in thing.__doc__, name
            for section in ("Parameters", "Returns", "Raises", "Examples"):
                assert f"\n    {section}\n    ---" in thing.__doc__, f"{name}: {section}"
