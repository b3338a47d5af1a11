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
