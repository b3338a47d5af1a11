"""The decoder's gradient, added to the tied embedding in blocks of classes."""

import numpy as np
import pytest

from npformer.models import heads


@pytest.mark.parametrize("classes", [1, 4, 7, 23, 1024])
def test_blocks_of_classes_give_the_whole_product(monkeypatch, classes):
    monkeypatch.setattr(heads, "CLASSES", classes)
    V, d, n = 23, 6, 5  # 23 = 3 · 7 + 2: the last block is a short one
    rng = np.random.default_rng(0)
    head = heads.MaskedLMHead(d, V, activation="gelu", eps=1e-5)
    params = {name: rng.standard_normal(np.shape(x)) for name, x in head.init(rng, 0.02).items()}
    params["embeddings.token"] = rng.standard_normal((V, d))
    before = {name: rng.standard_normal(x.shape) for name, x in params.items()}
    grads = {name: x.copy() for name, x in before.items()}
    _, cache = head.forward(params, rng.standard_normal((n, d)))
    dlogits = rng.standard_normal((n, V))
    head.backward(params, dlogits, cache, grads)
    added = grads["embeddings.token"] - before["embeddings.token"]
    np.testing.assert_allclose(added, dlogits.T @ cache.unembedding.t, rtol=0, atol=1e-13)


def test_nothing_to_predict_has_no_gradient():
    rng = np.random.default_rng(0)
    head = heads.MaskedLMHead(6, 23, activation="gelu", eps=1e-5)
    params = {**head.init(rng, 0.02), "embeddings.token": rng.standard_normal((23, 6))}
    grads = {name: np.zeros_like(x) for name, x in params.items()}
    logits, cache = head.forward(params, np.zeros((0, 6)))
    assert head.backward(params, logits, cache, grads).shape == (0, 6)
    assert not any(x.any() for x in grads.values())


def test_every_gradient_of_the_pair_head_by_complex_step():
    rng = np.random.default_rng(0)
    head = heads.PairHead(heads.Pooler(5), 5)
    params = {**head.pooler.init(rng, 0.5), **head.init(rng, 0.5)}
    assert set(params) == {"pooler.weight", "pooler.bias", "pair.weight", "pair.bias"}
    params = {name: rng.standard_normal(x.shape) for name, x in params.items()}
    first = rng.standard_normal((3, 5))
    logits, cache = head.forward(params, first)
    u = first @ params["pooler.weight"] + params["pooler.bias"]
    np.testing.assert_allclose(logits, np.tanh(u) @ params["pair.weight"] + params["pair.bias"], rtol=1e-14)
    assert head.forward(params, first, keep=False)[1] is None
    dlogits = rng.standard_normal(logits.shape)
    grads = {name: np.zeros_like(x) for name, x in params.items()}
    found = {"first": head.backward(params, dlogits, cache, grads), **grads}
    values = {name: x.astype(complex) for name, x in {"first": first, **params}.items()}
    for name, given in found.items():
        for where in np.ndindex(given.shape):
            values[name][where] += 1e-30j
            numeric = (head.forward(values, values["first"])[0].imag * dlogits).sum() / 1e-30
            assert abs(given[where] - numeric) <= 1e-13
            values[name][where] = values[name][where].real


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("options", [{}, {"bias": "c"}, {"softcap": 1.5}])
@pytest.mark.parametrize("classes", [3, 1024])
def test_every_gradient_of_the_unembedding_by_complex_step(monkeypatch, tied, options, classes):
    monkeypatch.setattr(heads, "CLASSES", classes)
    V, d = 7, 4
    rng = np.random.default_rng(0)
    head = heads.Unembedding(d, V, "w", tied=tied, **options)
    params = {name: rng.standard_normal(np.shape(x)) for name, x in head.init(rng, 1.0).items()}
    assert ("w" in params) == (not tied)
    params["w"] = rng.standard_normal((V, d) if tied else (d, V))
    t = rng.standard_normal((2, 3, d))
    logits, cache = head.forward(params, t)
    np.testing.assert_array_equal(head.forward(params, t, keep=False)[0], logits)
    assert head.forward(params, t, keep=False)[1] is None
    dlogits = rng.standard_normal(logits.shape)
    before = dlogits.copy()
    grads = {name: np.zeros_like(x) for name, x in params.items()}
    found = {"t": head.backward(params, dlogits, cache, grads), **grads}
    np.testing.assert_array_equal(dlogits, before)
    for name, given in found.items():
        values = {"t": t.astype(complex), **{k: v.astype(complex) for k, v in params.items()}}
        for where in np.ndindex(given.shape):
            values[name][where] += 1e-30j
            numeric = (head.forward(values, values["t"])[0].imag * dlogits).sum() / 1e-30
            values[name][where] = values[name][where].real
            assert given[where] == pytest.approx(numeric, rel=1e-12, abs=1e-13), (name, where)


@pytest.mark.parametrize("activation", ["gelu", "silu"])
def test_every_gradient_of_the_replaced_token_head_by_complex_step(activation):
    rng = np.random.default_rng(0)
    head = heads.ReplacedTokenHead(5, activation=activation)
    params = {name: rng.standard_normal(np.shape(x)) for name, x in head.init(rng, 1.0).items()}
    hidden = rng.standard_normal((2, 3, 5))
    logits, cache = head.forward(params, hidden)
    assert logits.shape == (2, 3)
    assert head.forward(params, hidden, keep=False)[1] is None
    dlogits = rng.standard_normal(logits.shape)
    grads = {name: np.zeros_like(x) for name, x in params.items()}
    found = {"hidden": head.backward(params, dlogits, cache, grads), **grads}
    for name, given in found.items():
        values = {"hidden": hidden.astype(complex), **{k: v.astype(complex) for k, v in params.items()}}
        for where in np.ndindex(given.shape):
            values[name][where] += 1e-30j
            numeric = (head.forward(values, values["hidden"])[0].imag * dlogits).sum() / 1e-30
            values[name][where] = values[name][where].real
            assert given[where] == pytest.approx(numeric, rel=1e-12, abs=1e-13), (name, where)


def test_the_unembedding_by_hand():
    rng = np.random.default_rng(1)
    E, t = rng.standard_normal((5, 3)), rng.standard_normal((2, 3))
    plain, _ = heads.Unembedding(3, 5, "E").forward({"E": E}, t)
    np.testing.assert_allclose(plain, t @ E.T, rtol=1e-14)
    untied, _ = heads.Unembedding(3, 5, "W", tied=False).forward({"W": E.T}, t)
    np.testing.assert_allclose(untied, plain, rtol=1e-14)
    capped, _ = heads.Unembedding(3, 5, "E", softcap=0.7).forward({"E": E}, t)
    np.testing.assert_allclose(capped, 0.7 * np.tanh(plain / 0.7), rtol=1e-14)
    assert np.abs(capped).max() < 0.7
