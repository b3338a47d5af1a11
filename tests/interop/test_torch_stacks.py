"""Encoder, decoder and Transformer: what the stored values do not show. Layouts, maps, dropout, mistakes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from npformer.interop import from_torch_state_dict

B, T, S, D = 2, 3, 5, 6


def masks(rng):
    return {
        "src_key_padding_mask": np.arange(S) >= np.array([[5], [3]]),
        "tgt_mask": np.triu(np.ones((T, T), bool), 1),
        "memory_mask": rng.standard_normal((B * 2, T, S)),
    }


def test_one_sequence_alone_is_a_batch_of_one(states, rng):
    module = from_torch_state_dict(states["Transformer"], n_heads=2)
    src, tgt, dy = (rng.standard_normal((n, D)) for n in (S, T, T))
    given = masks(rng)
    given["src_key_padding_mask"] = given["src_key_padding_mask"][1:]
    given["memory_mask"] = given["memory_mask"][:2]
    results = []
    for alone in (True, False):
        a, b, c = ((x if alone else x[:, None]) for x in (src, tgt, dy))
        padding = given["src_key_padding_mask"]
        y, cache = module.forward(
            a, b, **{**given, "src_key_padding_mask": padding[0] if alone else padding}, need_weights=True
        )
        grads = module.params.zeros_like()
        dsrc, dtgt = module.backward(c, cache, grads)
        assert (y.ndim, dsrc.ndim, dtgt.ndim) == ((2, 2, 2) if alone else (3, 3, 3))
        maps = cache.attention_weights.values()
        results.append([*(x.reshape(-1) for x in (y, dsrc, dtgt, *maps)), grads.flat])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_attention_maps_by_head_and_averaged(states, rng):
    module = from_torch_state_dict(states["Transformer"], n_heads=2, batch_first=True)
    src, tgt = rng.standard_normal((B, S, D)), rng.standard_normal((B, T, D))
    given = masks(rng)
    y, nothing = module.forward(src, tgt, **given)
    assert nothing.attention_weights == {}
    _, by_head = module.forward(src, tgt, **given, need_weights=True, average_attn_weights=False)
    _, average = module.forward(src, tgt, **given, need_weights=True, keep=False)
    assert {name: P.shape for name, P in by_head.attention_weights.items()} == {
        "encoder.0.attention.weights": (B, 2, S, S),
        "encoder.1.attention.weights": (B, 2, S, S),
        "decoder.0.attention.weights": (B, 2, T, T),
        "decoder.0.cross_attention.weights": (B, 2, T, S),
    }
    for name, P in by_head.attention_weights.items():
        np.testing.assert_allclose(P.sum(axis=-1), 1, rtol=1e-14)
        np.testing.assert_array_equal(average.attention_weights[name], P.mean(axis=1))
    assert (by_head.attention_weights["encoder.1.attention.weights"][1, ..., 3:] == 0).all()
    assert (np.triu(by_head.attention_weights["decoder.0.attention.weights"], 1) == 0).all()


def test_a_row_without_keys_is_zero_and_has_no_gradient(states, rng):
    module = from_torch_state_dict(states["TransformerEncoder"], n_heads=2, batch_first=True, norm_first=True)
    x = rng.standard_normal((B, S, D))
    y, cache = module.forward(x, src_key_padding_mask=np.array([[True] * S, [False] * S]), need_weights=True)
    assert all((P[0] == 0).all() for P in cache.attention_weights.values())
    grads = module.params.zeros_like()
    dx = module.backward(rng.standard_normal(y.shape), cache, grads)
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    assert np.isfinite(grads.flat).all()


@pytest.mark.parametrize("kind", ["TransformerEncoder", "TransformerDecoder", "Transformer"])
def test_float32_stays_float32(kind, states, rng):
    inputs = [rng.standard_normal((B, n, D)) for n in (S, T)][: 1 + (kind != "TransformerEncoder")]
    options = {"n_heads": 2, "batch_first": True, "dropout": 0.1}
    results = []
    for dtype in (np.float32, np.float64):
        module = from_torch_state_dict({k: x.astype(dtype) for k, x in states[kind].items()}, **options)
        y, cache = module.forward(*(x.astype(dtype) for x in inputs), rng=np.random.default_rng(3))
        grads = module.params.zeros_like()
        dx = module.backward(np.ones_like(y), cache, grads)
        arrays = [y, *(dx if isinstance(dx, tuple) else (dx,)), grads.flat]
        assert all(x.dtype == dtype for x in arrays)
        results.append(arrays)
    for single, double in zip(*results, strict=True):
        np.testing.assert_allclose(single, double, atol=1e-5 * np.abs(double).max())


def test_dropout_needs_a_generator_and_every_place_of_it_matters(states, rng):
    x = rng.standard_normal((B, S, D))
    plain, _ = from_torch_state_dict(states["TransformerEncoder"], n_heads=2, batch_first=True).forward(x)
    module = from_torch_state_dict(states["TransformerEncoder"], n_heads=2, batch_first=True, dropout=0.5)
    np.testing.assert_array_equal(module.forward(x)[0], plain)

    class Counting:
        def __init__(self):
            self.shapes = []

        def random(self, size, dtype=np.float64):
            self.shapes.append(size)
            return np.full(size, 0.9, dtype)

    source = Counting()
    module.forward(x, rng=source)
    assert source.shapes == 2 * [(B, 2, S, S), (B, S, D), (B, S, 7), (B, S, D)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([(B, S, D + 1), (B, T, D)], "TorchEncoder: src: expected shape (B, T, 6) or (T, 6), got (2, 5, 7)"),
        ([(B, S, D), (3, T, D)], "TorchDecoder: memory: expected 3 sequences and 3 axes as the first input"),
        ([(S, D), (B, T, D)], "TorchDecoder: memory: expected 2 sequences and 3 axes as the first input"),
    ],
)
def test_mistakes_in_the_inputs(arguments, message, states):
    module = from_torch_state_dict(states["Transformer"], n_heads=2, batch_first=True)
    with pytest.raises(ValueError, match=re.escape(message)):
        module.forward(*map(np.ones, arguments))
    with pytest.raises(
        TypeError, match="src: expected an array or tensor of float32 or float64, got dtype int"
    ):
        module.forward(np.ones((B, S, D), int), np.ones((B, T, D)))
    with pytest.raises(
        ValueError, match=re.escape("tgt_mask: expected shape (3, 3) or (4, 3, 3), got (2, 3)")
    ):
        module.forward(np.ones((B, S, D)), np.ones((B, T, D)), tgt_mask=np.ones((2, 3), bool))


def test_a_forward_that_kept_nothing_has_no_backward(states):
    for kind, inputs in (("TransformerEncoder", 1), ("TransformerDecoder", 2), ("Transformer", 2)):
        module = from_torch_state_dict(states[kind], n_heads=2)
        y, cache = module.forward(*inputs * [np.ones((S, B, D))], keep=False)
        with pytest.raises(ValueError, match=r"Torch\w+\.backward: cache: expected .* keep=True"):
            module.backward(y, cache, module.params.zeros_like())
