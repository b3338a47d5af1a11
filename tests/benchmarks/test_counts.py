"""The formulas of a step's work against the work itself: replayed products, a model's parameters."""

from __future__ import annotations

import counts
import numpy as np
import pytest
from workload import Sizes, make_batch, make_weights

SIZES = [
    Sizes(L=1, d=8, h=2, d_ff=12, V=30, T=5, B=3),
    Sizes(L=3, d=16, h=4, d_ff=40, V=21, T=12, B=2),
]


@pytest.mark.parametrize("s", SIZES)
def test_parameters_are_those_of_the_model(s):
    assert counts.parameters(s) == sum(w.size for w in make_weights(s).values())


@pytest.mark.parametrize("s", SIZES)
def test_flops_are_those_of_the_products_of_a_step(s, monkeypatch):
    import by_products

    monkeypatch.setattr(by_products.Peer, "rate", lambda self, side: 1.0)
    peer = by_products.Peer(s, 1, 0.0)
    batch = make_batch(s, 0)
    n = len(batch.at)
    pieces = [piece for lane in peer.prepare(batch) for piece in lane]
    replayed = sum(2.0 * one.size * inner for piece in pieces for one, inner in peer.products(*piece))
    assert replayed == pytest.approx(counts.flops(s, n), rel=1e-12)
    assert replayed != pytest.approx(counts.flops(s._replace(T=s.T + 1), n), rel=1e-3)
    peer.executor.shutdown()


def test_what_is_kept_is_what_the_caches_hold():
    """The formula's activations of a layer against the arrays that its cache refers to, each once."""
    from npformer.nn import EncoderLayer

    s = Sizes(L=1, d=32, h=2, d_ff=64, V=30, T=16, B=2)
    layer = EncoderLayer("x", s.d, s.h, s.d_ff)
    params = {k: v.astype(np.float32) for k, v in layer.init(np.random.default_rng(0), 0.1, 0.1).items()}
    x = np.random.default_rng(0).standard_normal((s.B, s.T, s.d), np.float32)
    _, cache = layer.forward(params, x)
    found: dict[int, int] = {}

    def walk(value: object) -> None:
        if isinstance(value, np.ndarray):
            while isinstance(value.base, np.ndarray):
                value = value.base
            if not any(value is w for w in params.values()):
                found[id(value)] = value.nbytes
        elif isinstance(value, tuple):
            for part in value:
                walk(part)

    walk(cache)
    tokens = s.B * s.T
    expected = counts.FLOAT32 * tokens * (8 * s.d + 2 * s.d_ff + s.h * s.T)
    assert sum(found.values()) == pytest.approx(expected, rel=0.03)  # and a number or two a token
