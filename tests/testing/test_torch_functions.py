"""PyTorch's functions before the same referee."""

from __future__ import annotations

import numpy as np
import pytest

import npformer
from npformer.testing import from_torch

X = np.random.default_rng(0).standard_normal((3, 4))


@pytest.mark.extra
def test_an_autograd_function_is_judged_and_its_mistake_named():
    torch = pytest.importorskip("torch", reason="needs torch: pip install '.[parity]'")

    class Softmax(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            p = torch.softmax(x, -1)
            ctx.save_for_backward(p)
            return p

        @staticmethod
        def backward(ctx, dout):
            (p,) = ctx.saved_tensors
            return p * dout

    report = npformer.check(*from_torch(Softmax.apply), [X])
    assert report.names == {"sum-term-missing"}
    assert report.results[0].name == "x"
    assert npformer.check(*from_torch(lambda x: torch.softmax(x, -1)), [X]).passed


@pytest.mark.extra
def test_a_module_with_dropout_draws_the_same_mask_every_time():
    torch = pytest.importorskip("torch", reason="needs torch: pip install '.[parity]'")
    assert npformer.check(*from_torch(torch.nn.Dropout(0.4)), [X]).passed
    layer = torch.nn.LayerNorm(4, dtype=torch.float64)
    assert npformer.check(*from_torch(layer), [X]).passed


@pytest.mark.extra
def test_inputs_by_name_and_an_input_that_is_not_used():
    torch = pytest.importorskip("torch", reason="needs torch: pip install '.[parity]'")
    forward, backward = from_torch(lambda x, w, unused: torch.tanh(x @ w))
    w = np.random.default_rng(1).standard_normal((4, 2))
    report = npformer.check(forward, backward, {"w": w, "unused": w, "x": X})
    assert report.passed
    assert {r.name for r in report.results} == {"x", "w", "unused"}
    assert not report["unused"].given.any()


@pytest.mark.extra
def test_an_input_that_is_not_used_has_zeros_of_its_own_dtype():
    torch = pytest.importorskip("torch", reason="needs torch: pip install '.[parity]'")
    x = X.astype(np.float32)
    report = npformer.check(*from_torch(lambda x, unused: torch.tanh(x)), {"x": x, "unused": x[:2]})
    assert report["unused"].given.dtype == np.float32
    assert report.passed, str(report)
