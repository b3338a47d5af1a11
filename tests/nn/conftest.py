"""What the tests of the blocks share: generic parameters, and every gradient by the complex step."""

from __future__ import annotations

import numpy as np
import pytest

STEP = 1e-30


def generic_values(values, rng):
    """gamma in (0.5, 1.5), everything else random, biases too."""
    return {
        name: rng.uniform(0.5, 1.5, x.shape) if "gamma" in name else rng.standard_normal(x.shape) / 3
        for name, x in values.items()
    }


def complex_step_error(forward, params, inputs, run, seed=5, tolerance_scale=1e-3):
    """The worst error of a block's gradients over all parameters and inputs.

    ``forward(params, **inputs)`` returns (y, cache); ``run(params, dy, cache, grads)`` returns the inputs'
    gradients in order.
    """
    y, cache = forward(params, **inputs)
    dy = np.random.default_rng(seed).standard_normal(y.shape)
    grads = {name: np.zeros_like(x) for name, x in params.items()}
    dinputs = dict(zip(inputs, run(params, dy, cache, grads), strict=True))
    found = {**grads, **dinputs}
    exact = {}
    p = {k: v.astype(complex) for k, v in params.items()}
    z = {k: v.astype(complex) for k, v in inputs.items()}
    for name, given in found.items():
        exact[name], x = np.empty(given.shape), (z if name in z else p)[name]
        for where in np.ndindex(given.shape):
            x[where] += 1j * STEP
            exact[name][where] = (forward(p, **z)[0].imag * dy).sum() / STEP
            x[where] = x[where].real
    scale = max(np.abs(x).max() for x in exact.values())
    errors = {
        name: np.abs(found[name] - x).max() / max(np.abs(x).max(), tolerance_scale * scale)
        for name, x in exact.items()
    }
    return max(errors.values())


@pytest.fixture
def generic_block():
    return generic_values


@pytest.fixture
def block_error():
    return complex_step_error
