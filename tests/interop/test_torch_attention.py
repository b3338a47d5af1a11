"""MultiheadAttention: keys and values of their own, what each gradient holds, mistakes."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.interop import from_torch_state_dict

B, T, S, D = 2, 3, 5, 6


@pytest.fixture
def module(states):
    return from_torch_state_dict(states["MultiheadAttention"], n_heads=3, batch_first=True)


def gradients(module, inputs, dy, **options):
    y, cache = module.forward(*inputs, **options)
    grads = module.params.zeros_like()
    return y, module.backward(dy, cache, grads), grads.flat


def test_each_input_that_is_given_has_a_gradient_of_its_own(module, rng):
    x, dy = rng.standard_normal((2, B, T, D))
    mask = np.triu(np.ones((T, T), bool), 1)
    y1, (d1, none, _), g1 = gradients(module, [x], dy, attn_mask=mask)
    y2, (d2, d2_kv, no_value), g2 = gradients(module, [x, x], dy, attn_mask=mask)
    y3, d3, g3 = gradients(module, [x, x, x], dy, attn_mask=mask)
    assert none is None
    assert no_value is None
    for y, dx, g in ((y2, d2 + d2_kv, g2), (y3, sum(d3), g3)):
        np.testing.assert_allclose(y, y1, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(dx, d1, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(g, g1, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(d3[1] + d3[2], d2_kv, rtol=1e-12, atol=1e-13)


def test_gradients_are_added_and_frozen_names_passed_over(module, rng):
    inputs = [rng.standard_normal((B, n, D)) for n in (T, S, S)]
    y, cache = module.forward(*inputs)
    once, twice = module.params.zeros_like(), module.params.zeros_like()
    module.backward(y, cache, once)
    for _ in range(2):
        module.backward(y, cache, twice)
    np.testing.assert_array_equal(twice.flat, 2 * once.flat)
    some = {"attention.value.weight": np.zeros((D, D))}
    module.backward(y, cache, some)
    np.testing.assert_array_equal(some["attention.value.weight"], once["attention.value.weight"])


def test_mistakes(module, states, rng):
    x = np.ones((B, T, D))
    for inputs, message in (
        ([x, None, x], "key: expected an array where there is a value, got None"),
        ([x, np.ones((B, S, D)), np.ones((B, T, D))], "value: expected 5 positions as key has, got 3"),
        ([x, np.ones((3, S, D))], "key: expected 2 sequences and 3 axes as the first input has, got 3 and 3"),
    ):
        with pytest.raises(ValueError, match=f"TorchAttention: {message}"):
            module.forward(*inputs)
    y, cache = module.forward(x, keep=False)
    with pytest.raises(ValueError, match=r"TorchAttention\.backward: cache: expected .* keep=True"):
        module.backward(y, cache, module.params.zeros_like())
    state = {
        "q_proj_weight": np.ones((D, D)),
        "k_proj_weight": np.ones((D, 4)),
        "v_proj_weight": np.ones((D, 5)),
        "out_proj.weight": np.ones((D, D)),
    }
    other = from_torch_state_dict(state, n_heads=2, batch_first=True)
    with pytest.raises(ValueError, match="key: expected an array of width 4, got None"):
        other.forward(x)
    with pytest.raises(ValueError, match="value: expected an array of width 5, got None"):
        other.forward(x, np.ones((B, S, 4)))
