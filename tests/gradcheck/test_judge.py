"""The tolerance: from the reference's error and the scale of the tensor, never a constant."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.gradcheck import Verdict
from npformer.gradcheck.judge import judge
from npformer.gradcheck.verdicts import Reference

N = np.random.default_rng(0).standard_normal(6)


def verdict(given, numeric=N, *, error=0.0, method="complex step", scale_all=1.0, x=None, noise=0.0, **more):
    numeric = np.asarray(numeric, dtype=np.float64)
    reference = Reference(
        method, numeric, np.full(numeric.shape, error), numeric, numeric, np.zeros(numeric.shape, bool)
    )
    x = np.zeros(numeric.shape) if x is None else x
    return judge(
        "x", x, given, reference, scale_all=scale_all, noise=noise, dout_single=False, **more
    ).verdict.name


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_the_scale_is_the_tensors_own(size):
    numeric = size * N
    assert verdict(numeric * (1 + 1e-14), numeric, scale_all=size) == "OK"
    assert verdict(numeric * 1.0005, numeric, scale_all=size) == "WRONG"
    assert verdict(0 * numeric, numeric, scale_all=size) == "WRONG"


def test_a_small_tensor_beside_a_large_one_is_not_judged_by_its_rounding():
    assert verdict(N * 0 + 1e-17, N * 0, scale_all=1.0) == "OK"
    assert verdict(N * 0 + 1e-17, N * 0, scale_all=1e-6) == "WRONG"
    assert verdict(1e-6 * N * 1.0005, 1e-6 * N, scale_all=1.0) == "WRONG"


def test_the_stencil_is_trusted_as_far_as_its_error():
    off = N + 1e-9
    assert verdict(off, method="9-point stencil", error=1e-13) == "WRONG"
    assert verdict(off, method="9-point stencil", error=1e-9) == "OK"
    assert verdict(N, method="9-point stencil", error=1e-3) == "CANNOT_TELL"
    assert verdict(-N, method="9-point stencil", error=1e-3) == "WRONG"  # that much can be told
    assert verdict(off, method="complex step", error=1e-9) == "WRONG"


def test_float32_inputs():
    x = N.astype(np.float32)
    assert verdict(N.astype(np.float32), x=x) == "OK"
    assert verdict((N * 1.0005).astype(np.float32), x=x) == "WRONG"


def test_float32_code_differentiated_in_float32():
    x = N.astype(np.float32)
    off = (N + 5e-5).astype(np.float32)
    assert verdict(off, x=x, error=2e-5, method="9-point stencil") == "OK"
    assert verdict(off, x=x, error=1e-8, method="9-point stencil") == "WRONG"


def test_a_zero_that_rounds_can_be_told():
    assert verdict(0 * N, 0 * N, error=1e-14, method="9-point stencil", scale_all=0.0, noise=1.0) == "OK"


def test_precision():
    assert verdict(N.astype(np.float32)) == "PRECISION"
    assert verdict(N.astype(np.float32).astype(np.float64)) == "PRECISION"
    noisy = N * (1 + 6e-8 * np.random.default_rng(1).uniform(-1, 1, 6))
    other_noise = N * 6e-8 * np.random.default_rng(2).uniform(-1, 1, 6)
    assert verdict(noisy, error_nearby=lambda: other_noise) == "PRECISION"
    assert verdict(noisy, error_nearby=lambda: 1.001 * (noisy - N)) == "WRONG"  # a small mistake in a formula
    assert verdict(noisy) == "WRONG"
    assert verdict((1.1 * N).astype(np.float32)) == "WRONG"
    assert verdict(N * (1 + 6e-8)) == "WRONG"  # a factor, not rounding
    one = N.copy()
    one[2] *= 1 + 6e-8
    assert verdict(one) == "WRONG"


@pytest.mark.parametrize("small", [1e-6, 1e-7, 1e-9])
def test_a_small_term_forgotten_among_integers_is_no_float32(small):
    """Integers and halves fit into float32, without having been rounded to it."""
    plain, w = np.array([-1.5, -39.5, -8.75]), np.array([0.5, -1.0, 0.25])
    assert verdict(plain, plain + small * w, scale_all=40.0) == "WRONG"
    assert verdict(plain, plain * (1 + 1e-12), method="9-point stencil", error=1e-12, scale_all=40.0) == "OK"
    tenths = plain + 0.1
    assert verdict(tenths.astype(np.float32).astype(float), tenths, scale_all=40.0) == "PRECISION"


@pytest.mark.parametrize("size", [1e3, 1e9, 1e30])
def test_large_inputs_excuse_little(size):
    told = {"method": "9-point stencil", "error": 1e-13, "x": np.full(6, -size), "noise": 1.0}
    assert verdict(N * (1 + 1e-9), **told) == "WRONG"
    assert verdict(1e-8 * N * 1.02, 1e-8 * N, **told, scale_all=1e-8) == "WRONG"


def test_slopes_that_scatter_far_below_float32_are_not_called_so():
    """A gradient near zero beside outputs of 1: the error is large for it, not for float32."""
    size = 1e-10
    told = {"method": "9-point stencil", "error": 5e-15, "scale_all": size, "noise": 1.0}
    assert verdict(size * N, size * N, **told) == "CANNOT_TELL"
    noisy = {"method": "9-point stencil", "error": 1e-6, "scale_all": 1.0, "noise": 1.0}
    assert verdict(N, **noisy) == "PRECISION"


def test_not_finite():
    given = N.copy()
    given[1] = np.nan
    assert verdict(given) == "NONFINITE"
    assert verdict(given, given) == "CANNOT_TELL"
    assert verdict(N, given) == "CANNOT_TELL"


def test_missing_and_misshapen():
    assert verdict(None) == "SHAPE"
    assert verdict(N[:, None]) == "SHAPE"


def test_the_gravest_verdict_comes_first():
    assert [v.name for v in sorted(Verdict, key=lambda v: v.rank)][0] == "NONDETERMINISTIC"
    assert sorted(Verdict, key=lambda v: v.rank)[-1] is Verdict.OK
    for v in Verdict:
        assert v.words
        assert v.words[0].islower()
