"""A branch beside the identity: where the norm stands, what `at` leaves out, and `step`."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.nn import FeedForward, LayerNorm, Residual, RMSNorm

AT = np.array([1, 3, 4])


def make(norm, placement, dropout=0.0):
    return Residual(FeedForward("ff", 4, 5), norm("norm", 4, 1e-5), placement, dropout)


def parameters(block, generic_block, rng):
    return generic_block({**block.branch.init(rng, 1.0, 1.0), **block.norm.init(rng, 1.0)}, rng)


@pytest.mark.parametrize("placement", ["pre", "post"])
@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
def test_every_gradient_by_complex_step(placement, norm, generic_block, block_error):
    rng = np.random.default_rng(0)
    block = make(norm, placement, dropout=0.3)
    params = parameters(block, generic_block, rng)
    error = block_error(
        lambda p, x: block.forward(p, x, rng=np.random.default_rng(3)),
        params,
        {"x": rng.standard_normal((2, 3, 4))},
        lambda p, dy, cache, grads: (block.backward(p, dy, cache, grads),),
    )
    assert error <= 1e-13


@pytest.mark.parametrize("placement", ["pre", "post"])
def test_the_formula_and_step(placement, generic_block):
    rng = np.random.default_rng(1)
    block = make(LayerNorm, placement)
    params, x = parameters(block, generic_block, rng), rng.standard_normal((2, 3, 4))

    def norm(z):
        return block.norm.forward(params, z)[0]

    def branch(z):
        return block.branch.forward(params, z)[0]

    expected = x + branch(norm(x)) if placement == "pre" else norm(x + branch(x))
    np.testing.assert_array_equal(block.forward(params, x)[0], expected)
    np.testing.assert_array_equal(block.step(params, x, branch), expected)
    assert block.forward(params, x, keep=False)[1] is None


class Picks:
    """A branch that returns the rows at some positions, as attention does."""

    def forward(self, params, x, at, keep=True):
        return x.reshape(-1, x.shape[-1])[at] * 2.0, x.shape

    def backward(self, params, dy, shape, grads):
        dx = np.zeros(shape)
        dx.reshape(-1, shape[-1])[AT] = 2.0 * dy
        return dx


@pytest.mark.parametrize("placement", ["pre", "post"])
def test_at_adds_the_rows_of_those_positions(placement, generic_block, block_error):
    rng = np.random.default_rng(2)
    block = Residual(Picks(), LayerNorm("norm", 4, 1e-5), placement, 0.3)
    params = generic_block(block.norm.init(rng, 1.0), rng)
    error = block_error(
        lambda p, x: block.forward(p, x, rng=np.random.default_rng(3), at=AT),
        params,
        {"x": rng.standard_normal((2, 3, 4))},
        lambda p, dy, cache, grads: (block.backward(p, dy, cache, grads),),
    )
    assert error <= 1e-13
