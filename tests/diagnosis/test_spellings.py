"""Mistakes as people make them, in their own words: named whatever the code looks like."""

from __future__ import annotations

import numpy as np
import pytest

import npformer
from npformer import functional

RNG = np.random.default_rng(3)
X = RNG.standard_normal((3, 4, 8))
LAYER_NORM = [X, RNG.uniform(0.5, 1.5, 8), RNG.standard_normal(8)]
LOGITS, TARGETS = RNG.standard_normal((6, 4)), np.array([0, 1, 2, 3, 3, 1])


def mean(z, axis=-1):
    return z.mean(axis, keepdims=True)


def layer_norm(x, gamma, beta, eps=1e-5):
    m = mean(x)
    s = np.sqrt(mean((x - m) ** 2) + eps)
    xh = (x - m) / s
    return gamma * xh + beta, (x, s, xh, gamma)


def with_dx(dx):
    """A backward of layer norm that is right but for dx."""
    return lambda d, c: (dx(d * c[3], d, *c), (d * c[2]).sum((0, 1)), d.sum((0, 1)))


@pytest.mark.parametrize(
    ("dx", "name"),
    [
        (lambda g, d, x, s, xh, gamma: (g - mean(g)) / s, "variance-term-missing"),
        (lambda g, d, x, s, xh, gamma: (d - mean(d) - xh * mean(d * xh)) / s, "gamma-forgotten"),
        (lambda g, d, x, s, xh, gamma: (g - 8 * mean(g) - xh * 8 * mean(g * xh)) / s, "sum-for-mean"),
        (lambda g, d, x, s, xh, gamma: (g - mean(g) - x * mean(g * x)) / s, "x-for-x_hat"),
        (lambda g, d, x, s, xh, gamma: (g - mean(g, 0) - xh * mean(g * xh, 0)) / s, "wrong-axis"),
        (lambda g, d, x, s, xh, gamma: (g - mean(g) - xh * mean(g * xh)) / s**2, "factor-squared"),
    ],
)
def test_layer_norm(dx, name, numbers_once):
    with numbers_once(layer_norm):
        assert npformer.check(layer_norm, with_dx(dx), LAYER_NORM).names == {name}


@pytest.mark.parametrize("B", [2, 3])
def test_a_bias_summed_over_one_axis_of_two(B):
    def linear(x, w, b):
        return x @ w + b, (x, w)

    def backward(d, c):
        x, w = c
        return d @ w.T, np.tensordot(x, d, ((0, 1), (0, 1))), d.sum(0)

    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape) for shape in ((B, 3, 4), (4, 5), (5,))]
    assert npformer.check(linear, backward, inputs).names == {"summed-over-too-few-axes"}


@pytest.mark.parametrize(
    ("dlogits", "name"),
    [
        (lambda d, p, y: -d * y / p / 6, "gradient-of-the-probabilities"),
        (lambda d, p, y: d * (p - y), "mean-divisor-missing"),
        (lambda d, p, y: d * p / 6, "one-hot-missing"),
    ],
)
def test_cross_entropy(dlogits, name):
    def forward(logits, targets):
        e = np.exp(logits - logits.real.max(-1, keepdims=True))
        p = e / e.sum(-1, keepdims=True)
        return -np.log(p[np.arange(6), targets]).mean(), (p, np.eye(4)[targets])

    report = npformer.check(forward, lambda d, c: dlogits(d, *c), [LOGITS, TARGETS])
    assert report.names == {name}


def probabilities(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def first_of(report, name):
    return report[name].hypotheses[0].identifier


def test_the_ops_own_gradient_is_no_mistake_of_it():
    """-log(p + 1e-12) is off by 1e-11; a mistake that changes nothing at this point must not be told."""
    x, n = LOGITS, np.arange(len(LOGITS))
    report = npformer.check(
        lambda x, y: -np.log(probabilities(x)[n, y] + 1e-12).mean(),
        lambda d, x, y: d * (probabilities(x) - np.eye(4)[y]) / len(x),
        [x, TARGETS],
    )
    assert first_of(report, "x") == "another-forward"


def test_smoothing_that_the_backward_leaves_out():
    def forward(x, y, s=0.1):
        log_p = np.log(probabilities(x))
        t = (1 - s) * np.eye(4)[y] + s / 4
        return -(t * log_p).sum() / len(y), (log_p, y)

    def backward(d, cache):
        log_p, y = cache
        return d * (np.exp(log_p) - np.eye(4)[y]) / len(y)

    assert first_of(npformer.check(forward, backward, [LOGITS, TARGETS]), "x") == "smoothing-ignored"


def test_a_factor_near_one_is_not_called_a_factor_of_one():
    report = npformer.check(lambda x: x**2, lambda d, x: 2 * d * x * (1 + 1e-11), [X])
    assert not report.passed
    assert first_of(report, "x") == "unknown"


def test_another_logarithm():
    x = RNG.uniform(0.5, 2, 5)
    report = npformer.check(lambda x: np.log10(x), lambda d, x: d / x, [x])
    assert "ln 10" in report["x"].hypotheses[0].fact


Q, K, V = RNG.standard_normal((3, 2, 6, 4))
PADDED = RNG.random((2, 1, 6)) < 0.8
PADDED[..., :2] = True


def softmax_of(z):
    e = np.exp(z - np.maximum(z.real.max(-1, keepdims=True), -1e30))
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def band(T, window):
    """Queries and keys less than a window apart, on both sides."""
    return np.array([[abs(t - s) < window for s in range(T)] for t in range(T)])


def local_attention(q, k, v, mask, cap=1.7, size=3):
    """A window on both sides, and scores under a cap."""
    z = q @ k.swapaxes(1, 2) / 2
    z = cap * np.tanh(z / cap)
    P = softmax_of(np.where(mask & band(q.shape[1], size), z, -np.inf))
    return P @ v, (q, k, v, z, P, mask, cap, size)


def with_scores(weights=None, slope=None):
    """A backward of local attention that is right but for its weights, or its slope."""

    def backward(d, cache):
        q, k, v, z, P, mask, cap, size = cache
        P = P if weights is None else softmax_of(weights(z, mask, cap, size))
        dP = d @ v.swapaxes(1, 2)
        dz = P * (dP - (P * dP).sum(-1, keepdims=True))
        dz = dz * (1 - (z / cap) ** 2 if slope is None else slope(q @ k.swapaxes(1, 2) / 2, z, cap)) / 2
        return dz @ k, dz.swapaxes(1, 2) @ q, P.swapaxes(1, 2) @ d

    return backward


def test_right_attention_in_a_window_and_under_a_cap():
    npformer.check(local_attention, with_scores(), [Q, K, V, PADDED]).raise_if_failed()


@pytest.mark.parametrize(
    ("backward", "name"),
    [
        (with_scores(lambda z, m, cap, n: np.where(m & band(6, n + 1), z, -np.inf)), "window-off-by-one"),
        (with_scores(lambda z, m, cap, n: np.where(m & band(6, n - 1), z, -np.inf)), "window-off-by-one"),
        (with_scores(lambda z, m, cap, n: np.where(m, z, -np.inf)), "window-ignored"),
        (with_scores(lambda z, m, cap, n: np.where(band(6, n), z, -np.inf)), "mask-ignored"),
        (with_scores(lambda z, m, cap, n: np.where(m & band(6, n), z, -cap)), "softcap-after-the-mask"),
        (with_scores(slope=lambda z_0, z, cap: 1.0), "softcap-slope-missing"),
        (with_scores(slope=lambda z_0, z, cap: 1 - z**2), "softcap-not-divided"),
        (with_scores(slope=lambda z_0, z, cap: 1 - np.tanh(z_0) ** 2), "inner-division-missing"),
        (with_scores(slope=lambda z_0, z, cap: cap / np.cosh(z_0 / cap) ** 2), "inner-derivative-missing"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_attention_in_a_window_and_under_a_cap(backward, name, numbers_once):
    with numbers_once(local_attention):
        report = npformer.check(local_attention, backward, [Q, K, V, PADDED])
    assert not report.passed
    assert first_of(report, "q") == name, str(report)


@pytest.mark.parametrize("forward_interleaved", [True, False])
def test_pairs_turned_as_the_other_kind(forward_interleaved):
    """Of a function that takes positions, and knows both kinds of pairs."""

    def turn(x, positions, interleaved, sign=1):
        d = x.shape[-1]
        angle = positions[:, None] * 10000.0 ** (-np.arange(0, d, 2) / d)
        c, s = np.cos(angle), sign * np.sin(angle)
        a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else np.split(x, 2, axis=-1)
        turned = a * c - b * s, b * c + a * s
        return np.stack(turned, -1).reshape(x.shape) if interleaved else np.concatenate(turned, -1)

    inputs = {"x": X, "positions": np.array([3, 0, 5, 1])}
    for kind in (forward_interleaved, not forward_interleaved):
        report = npformer.check(
            lambda x, positions: turn(x, positions, forward_interleaved),
            lambda d, x, positions, kind=kind: turn(d, positions, kind, sign=-1),
            inputs,
        )
        assert report.names == ({"other-pairs"} if kind != forward_interleaved else set()), str(report)


@pytest.mark.parametrize("name", [None, "gamma-forgotten", "other-pairs"])
def test_query_key_norm_and_rotation_of_npformers_own(name, numbers_once):
    """Thirteen gradients, three of them None, beside options that are numbers."""
    d, h, d_k, T = 3, 2, 4, 4
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(shape) / 2 for shape in ((d, 8), (d, 8), (d, 2), (2, 2))]
    inputs = {"x_q": rng.standard_normal((1, T, d)), "x_kv": None}
    inputs |= dict(zip(("w_q", "w_k", "w_v", "w_o"), weights, strict=True))
    inputs |= {f"gamma_{one}": rng.uniform(0.5, 1.5, d_k) for one in "qk"}
    inputs |= {"n_heads": h, "causal": True, "positions_q": np.arange(T), "positions_kv": np.arange(T)}
    inputs |= {"rotary_base": 50.0, "rotary_interleaved": True, "norm_eps": 1e-3}

    def backward(dout, cache):
        if name == "gamma-forgotten":
            cache = cache._replace(k_norm=cache.k_norm._replace(gamma=np.ones(d_k)))
        if name == "other-pairs":
            halves = functional.rotary(np.ones((1, h, T, d_k)), np.arange(T), 50.0)[1]
            cache = cache._replace(q_rotary=halves, k_rotary=halves)
        return functional.multi_head_attention_backward(dout, cache)

    with numbers_once(functional.multi_head_attention):
        report = npformer.check(functional.multi_head_attention, backward, inputs)
    assert report.names == ({name} if name else set()), str(report)


def test_pairs_exchanged_with_the_angles_of_the_right_ones():
    cached = {"interleaved": False}
    report = npformer.check(
        functional.rotary,
        lambda dout, cache: functional.rotary_backward(dout, cache._replace(**cached)),
        {"x": X, "positions": np.arange(4), "base": 100.0, "interleaved": True},
    )
    assert report.names == {"other-pairs"}, str(report)
