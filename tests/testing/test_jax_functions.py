"""JAX's functions before the same referee."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import npformer
from npformer.testing import from_jax

X = np.random.default_rng(0).standard_normal((3, 4))


@pytest.mark.extra
def test_a_custom_vjp_is_judged_and_its_mistake_named():
    jax = pytest.importorskip("jax", reason="needs jax: pip install '.[jax]'")

    @jax.custom_vjp
    def softmax(x):
        return jax.nn.softmax(x, -1)

    softmax.defvjp(lambda x: (softmax(x),) * 2, lambda p, dout: (p * dout,))
    report = npformer.check(*from_jax(softmax), [X])
    assert report.names == {"sum-term-missing"}
    assert report.results[0].name == "x"
    assert npformer.check(*from_jax(lambda x: jax.nn.softmax(x, -1)), [X]).passed


@pytest.mark.extra
def test_integers_are_passed_on_and_names_kept():
    jax = pytest.importorskip("jax", reason="needs jax: pip install '.[jax]'")
    forward, backward = from_jax(lambda table, ids: jax.numpy.tanh(table[ids]))
    ids = np.array([0, 2, 0])
    report = npformer.check(forward, backward, {"ids": ids, "table": X})
    assert report.passed
    assert [r.name for r in report.results] == ["table"]
    assert forward(X, ids)[0].dtype == np.float64


def test_without_jax_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ImportError, match="pip install jax"):
        from_jax(np.sin)
