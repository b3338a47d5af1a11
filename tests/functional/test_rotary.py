from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.functional import rotary, rotary_backward

T, D = 5, 6


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(
    "positions", [np.arange(T), np.array([[0, 1, 2.5, 7, 40], [3, 3, -2, 0, 1]])[:, None]]
)
def test_proof(proof, rng, positions, interleaved):
    forward = partial(rotary, positions=positions, base=100.0, interleaved=interleaved)
    proof(forward, rotary_backward, {"x": rng.standard_normal((2, 3, T, D))}, rng).holds()


def test_a_wrong_backward_is_seen(proof, one_rng):
    forward = partial(rotary, positions=np.arange(T), base=100.0)
    p = proof(forward, rotary_backward, {"x": one_rng.standard_normal((2, T, D))}, one_rng)
    p.sees(lambda dout, c: rotary_backward(dout, c._replace(sin_signed=-c.sin_signed)))
    p.sees(lambda dout, c: dout)
    p.sees(lambda dout, c: rotary_backward(dout, c._replace(interleaved=True)))


@pytest.mark.parametrize("interleaved", [False, True])
def test_the_formula_as_complex_numbers(interleaved, one_rng):
    """A pair (a, b) is a + ib, and turning is multiplication by exp(i · angle)."""
    x = one_rng.standard_normal((3, T, D))
    pairs = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., : D // 2], x[..., D // 2 :])
    theta = np.array([50.0 ** (-2 * i / D) for i in range(D // 2)])
    expected = (pairs[0] + 1j * pairs[1]) * np.exp(1j * np.arange(T)[:, None] * theta)
    out = rotary(x, np.arange(T), 50.0, interleaved=interleaved)[0]
    got = (
        out[..., 0::2] + 1j * out[..., 1::2] if interleaved else out[..., : D // 2] + 1j * out[..., D // 2 :]
    )
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(st.integers(-50, 50), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_products_depend_on_the_distance_alone(shift, half, interleaved, seed):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((2, T, 2 * half))
    turn = partial(rotary, interleaved=interleaved)
    here = turn(q, np.arange(T))[0] @ turn(k, np.arange(T))[0].T
    there = turn(q, np.arange(T) + shift)[0] @ turn(k, np.arange(T) + shift)[0].T
    np.testing.assert_allclose(there, here, rtol=0, atol=1e-12)
    out, cache = turn(q, np.arange(T) + shift)
    np.testing.assert_allclose(rotary_backward(out, cache), q, rtol=0, atol=1e-14)  # turned back
    np.testing.assert_allclose((out**2).sum(-1), (q**2).sum(-1), rtol=1e-13)


def test_position_zero_changes_nothing(one_rng):
    x = one_rng.standard_normal((2, T, D))
    np.testing.assert_array_equal(rotary(x, 0)[0], x)


def test_far_positions_keep_their_digits_in_float32(one_rng):
    """Angles in float32 would be off by 1e-3 at position 100,000."""
    x = one_rng.standard_normal((3, 8)).astype(np.float32)
    positions = np.array([100_003, 99_991, 1_000_003])
    narrow, wide = rotary(x, positions)[0], rotary(x.astype(np.float64), positions)[0]
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, wide, rtol=0, atol=5e-7)
    far = rotary(x, positions.astype(np.float32))[0]  # whole numbers that float32 holds exactly
    np.testing.assert_array_equal(far, narrow)


def test_the_layout_of_x_is_kept(one_rng):
    """Heads split by a view stay joinable by a view."""
    x = one_rng.standard_normal((2, T, 3, D)).swapaxes(1, 2)
    out, cache = rotary(x, np.arange(T))
    assert out.swapaxes(1, 2).flags.c_contiguous
    assert rotary_backward(x, cache).swapaxes(1, 2).flags.c_contiguous


def test_bad_input_is_named():
    x = np.ones((2, 3, 4))
    for bad in (np.ones((3, 5)), np.ones((3, 0)), 1.0):
        with pytest.raises(
            ValueError, match=r"^rotary: x: expected shape \(\.\.\., T, d\) with d even, got shape"
        ):
            rotary(bad, 0)
    with pytest.raises(ValueError, match=r"^rotary: positions: expected a shape that broadcasts to \(2, 3\)"):
        rotary(x, np.arange(4))
    with pytest.raises(TypeError, match="^rotary: positions: expected real numbers, got dtype complex128"):
        rotary(x, np.array([1j]))
    for base in (0, -1.0):
        with pytest.raises(ValueError, match="^rotary: base: expected a"):
            rotary(x, 0, base)
    with pytest.raises(ValueError, match="^rotary_backward: dout: expected shape"):
        rotary_backward(np.ones(4), rotary(x, 0)[1])
