"""Right backwards pass and one-line mistakes are caught: at two seeds, at twenty with --thorough.

The ops are written anew here, as small as they can be: the referee must work for anybody's code.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import erf

from npformer.gradcheck import Verdict, check

SEEDS = pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 20), marks=pytest.mark.thorough)])


# --- softmax ---------------------------------------------------------------------------------------


def softmax(x):
    e = np.exp(x - x.real.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True)
    return y, y


SOFTMAX = {
    "right": lambda dy, y: y * (dy - (y * dy).sum(axis=-1, keepdims=True)),
    "sum missing": lambda dy, y: y * dy,
    "sum with the wrong sign": lambda dy, y: y * (dy + (y * dy).sum(axis=-1, keepdims=True)),
    "summed over everything": lambda dy, y: y * (dy - (y * dy).sum()),
    "over the wrong axis": lambda dy, y: y * (dy - (y * dy).sum(axis=0, keepdims=True)),
    "diagonal only": lambda dy, y: dy * y * (1 - y),
    "outer p forgotten": lambda dy, y: dy - (y * dy).sum(axis=-1, keepdims=True),
    "upstream ignored": lambda dy, y: y * (1 - (y * np.ones_like(dy)).sum(axis=-1, keepdims=True)),
    "sign": lambda dy, y: -y * (dy - (y * dy).sum(axis=-1, keepdims=True)),
    "scaled by 1.0005": lambda dy, y: 1.0005 * y * (dy - (y * dy).sum(axis=-1, keepdims=True)),
    "zero": lambda dy, y: np.zeros_like(y),
}


# --- layer norm ------------------------------------------------------------------------------------


def layer_norm(x, gamma, beta):
    d = x - x.mean(axis=-1, keepdims=True)
    rstd = 1 / np.sqrt((d * d).mean(axis=-1, keepdims=True) + 1e-5)
    x_hat = d * rstd
    return gamma * x_hat + beta, (x, x_hat, rstd, gamma)


def norm_backward(dx=None, dgamma=None, dbeta=None):
    def right_dx(g, x_hat, rstd):
        return rstd * (g - g.mean(-1, keepdims=True) - x_hat * (g * x_hat).mean(-1, keepdims=True))

    def backward(dy, cache):
        x, x_hat, rstd, gamma = cache
        return (
            right_dx(dy * gamma, x_hat, rstd) if dx is None else dx(dy, x, x_hat, rstd, gamma),
            (dy * x_hat).sum(0) if dgamma is None else dgamma(dy, x, x_hat),
            dy.sum(0) if dbeta is None else dbeta(dy),
        )

    return backward


def mean(x):
    return x.mean(axis=-1, keepdims=True)


LAYER_NORM = {
    "right": norm_backward(),
    "through the mean forgotten": norm_backward(
        lambda dy, x, h, r, g: r * (dy * g - h * mean(dy * g * h)),
    ),
    "through the variance forgotten": norm_backward(lambda dy, x, h, r, g: r * (dy * g - mean(dy * g))),
    "both forgotten": norm_backward(lambda dy, x, h, r, g: r * dy * g),
    "sign of the variance": norm_backward(
        lambda dy, x, h, r, g: r * (dy * g - mean(dy * g) + h * mean(dy * g * h))
    ),
    "gamma forgotten in dx": norm_backward(lambda dy, x, h, r, g: r * (dy - mean(dy) - h * mean(dy * h))),
    "gamma outside the sums": norm_backward(
        lambda dy, x, h, r, g: g * r * (dy - mean(dy) - h * mean(dy * h))
    ),
    "1/std forgotten": norm_backward(lambda dy, x, h, r, g: dy * g - mean(dy * g) - h * mean(dy * g * h)),
    "eps missing in dx": norm_backward(
        lambda dy, x, h, r, g: (
            (dy * g - mean(dy * g) - h * mean(dy * g * h)) / np.sqrt(mean((x - mean(x)) ** 2))
        )
    ),
    "ddof = 1": norm_backward(
        lambda dy, x, h, r, g: r * (dy * g - mean(dy * g) - h * (dy * g * h).sum(-1, keepdims=True) / 3)
    ),
    "dgamma with x": norm_backward(dgamma=lambda dy, x, h: (dy * x).sum(0)),
    "dgamma averaged": norm_backward(dgamma=lambda dy, x, h: (dy * h).mean(0)),
    "dbeta averaged": norm_backward(dbeta=lambda dy: dy.mean(0)),
    "dbeta not summed": norm_backward(dbeta=lambda dy: dy),
    "dbeta keeps its axis": norm_backward(dbeta=lambda dy: dy.sum(0, keepdims=True)),
    "dbeta summed over everything": norm_backward(dbeta=lambda dy: dy.sum()),
    "dgamma and dbeta swapped": norm_backward(
        dgamma=lambda dy, x, h: dy.sum(0), dbeta=lambda dy: (dy * np.cumsum(dy, -1)).sum(0)
    ),
}


# --- cross entropy ---------------------------------------------------------------------------------


def cross_entropy(logits, targets):
    p, _ = softmax(logits)
    valid = targets >= 0
    rows = np.arange(len(targets))
    loss = -np.log(p[rows, targets])[valid].sum() / valid.sum()
    return loss, (p, np.eye(p.shape[-1])[targets], valid)


CROSS_ENTROPY = {
    "right": lambda dy, c: dy * (c[0] - c[1]) * c[2][:, None] / c[2].sum(),
    "1/N missing": lambda dy, c: dy * (c[0] - c[1]) * c[2][:, None],
    "all rows counted": lambda dy, c: dy * (c[0] - c[1]) * c[2][:, None] / len(c[2]),
    "ignored rows get a gradient": lambda dy, c: dy * (c[0] - c[1]) / c[2].sum(),
    "one-hot forgotten": lambda dy, c: dy * c[0] * c[2][:, None] / c[2].sum(),
    "upstream ignored": lambda dy, c: (c[0] - c[1]) * c[2][:, None] / c[2].sum(),
}


# --- attention -------------------------------------------------------------------------------------


def attention(q, k, v):
    p, _ = softmax(q @ k.T / math.sqrt(q.shape[-1]))
    return p @ v, (q, k, v, p)


def attention_backward(
    dv=lambda p, dy: p.T @ dy,
    dp=lambda dy, v: dy @ v.T,
    ds=lambda p, dp: p * (dp - (p * dp).sum(-1, keepdims=True)),
    scale=lambda d: 1 / math.sqrt(d),
    dq=lambda ds, k: ds @ k,
    dk=lambda ds, q: ds.T @ q,
):
    def backward(dy, cache):
        q, k, v, p = cache
        scores = ds(p, dp(dy, v)) * scale(q.shape[-1])
        return dq(scores, k), dk(scores, q), dv(p, dy)

    return backward


ATTENTION = {
    "right": attention_backward(),
    "scale missing": attention_backward(scale=lambda d: 1.0),
    "scale twice": attention_backward(scale=lambda d: 1 / d),
    "softmax sum missing": attention_backward(ds=lambda p, dp: p * dp),
    "softmax over the wrong axis": attention_backward(
        ds=lambda p, dp: p * (dp - (p * dp).sum(0, keepdims=True))
    ),
    "dv without p": attention_backward(dv=lambda p, dy: np.ones_like(p).T @ dy),
    "dv with the scores' scale": attention_backward(dv=lambda p, dy: p.T @ dy / math.sqrt(2)),
    "dk with other rows of q": attention_backward(dk=lambda ds, q: ds.T @ q[::-1]),
    "sign of dq": attention_backward(dq=lambda ds, k: -(ds @ k)),
    "one wrong entry": attention_backward(dk=lambda ds, q: ds.T @ q * (1 + 1e-6 * np.eye(3, 2))),
}


# --- the rest --------------------------------------------------------------------------------------


def linear(x, w, b):
    return x @ w + b, (x, w)


LINEAR = {
    "right": lambda dy, c: (dy @ c[1].T, c[0].T @ dy, dy.sum(0)),
    "dw transposed": lambda dy, c: (dy @ c[1].T, dy.T @ c[0], dy.sum(0)),
    "dx zero": lambda dy, c: (0 * c[0], c[0].T @ dy, dy.sum(0)),
    "db averaged": lambda dy, c: (dy @ c[1].T, c[0].T @ dy, dy.mean(0)),
    "db missing": lambda dy, c: (dy @ c[1].T, c[0].T @ dy),
    "accumulated twice": lambda dy, c: (dy @ c[1].T, 2 * c[0].T @ dy, dy.sum(0)),
}


def embedding(ids, table):
    return table[ids], (ids, table.shape)


def scatter(dy, cache):
    d = np.zeros(cache[1])
    np.add.at(d, cache[0], dy)
    return d


def overwrite(dy, cache):
    d = np.zeros(cache[1])
    d[cache[0]] += dy
    return d


def padding_row_zeroed(dy, cache):
    d = scatter(dy, cache)
    d[0] = 0
    return d


EMBEDDING = {"right": scatter, "repeated ids overwritten": overwrite, "row 0 zeroed": padding_row_zeroed}


def gelu(x):
    return x * 0.5 * (1 + erf(x / math.sqrt(2))), x


def phi(x):
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def tanh_form(x):
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return 0.5 * (1 + np.tanh(u)) + 0.5 * x * (1 - np.tanh(u) ** 2) * inner


GELU = {
    "right": lambda dy, x: dy * (0.5 * (1 + erf(x / math.sqrt(2))) + x * phi(x)),
    "product rule": lambda dy, x: dy * 0.5 * (1 + erf(x / math.sqrt(2))),
    "tanh form": lambda dy, x: dy * tanh_form(x),
    "inner derivative": lambda dy, x: dy * (0.5 * (1 + erf(x / math.sqrt(2))) + x * math.sqrt(2) * phi(x)),
}


def dropout(x, rng):
    keep = rng.random(x.shape) >= 0.4
    return x * keep / 0.6, keep


DROPOUT = {
    "right": lambda dy, keep: dy * keep / 0.6,
    "1/(1-p) missing": lambda dy, keep: dy * keep,
    "divided by p": lambda dy, keep: dy * keep / 0.4,
    "mask not applied": lambda dy, keep: dy / 0.6,
    "mask redrawn": lambda dy, keep: dy * (np.random.default_rng(12345).random(dy.shape) >= 0.4) / 0.6,
}


def tanh(x):
    y = np.tanh(x)
    return y, y


TANH = {
    "right": lambda dy, y: dy * (1 - y * y),
    "derivative of the output": lambda dy, y: dy * (1 - np.tanh(y) ** 2),
}


def squared_error(x, target):
    return ((x - target) ** 2).mean(), (x, target)


SQUARED = {
    "right": lambda dy, c: (dy * 2 * (c[0] - c[1]) / c[0].size, dy * 2 * (c[1] - c[0]) / c[0].size),
    "the 2 missing": lambda dy, c: (dy * (c[0] - c[1]) / c[0].size, dy * (c[1] - c[0]) / c[0].size),
    "1/N missing": lambda dy, c: (dy * 2 * (c[0] - c[1]), dy * 2 * (c[1] - c[0])),
}


def point(op, seed):
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal
    return {
        "softmax": lambda: {"x": normal((2, 4))},
        "layer_norm": lambda: {"x": normal((2, 4)), "gamma": rng.uniform(0.5, 1.5, 4), "beta": normal(4)},
        "cross_entropy": lambda: {"logits": normal((3, 4)), "targets": np.array([2, -1, 2])},
        "attention": lambda: {"q": normal((4, 2)), "k": normal((3, 2)), "v": normal((3, 2))},
        "linear": lambda: {"x": normal((3, 2)), "w": normal((2, 4)), "b": normal(4)},
        "embedding": lambda: {"ids": np.array([2, 0, 2, 1]), "table": normal((4, 2))},
        "gelu": lambda: {"x": normal((2, 3))},
        "dropout": lambda: {"x": normal((2, 4)), "rng": np.random.default_rng(seed)},
        "tanh": lambda: {"x": normal(4)},
        "squared_error": lambda: {"x": normal(4), "target": normal(4)},
    }[op]()


OPS = {
    "softmax": (softmax, SOFTMAX),
    "layer_norm": (layer_norm, LAYER_NORM),
    "cross_entropy": (cross_entropy, CROSS_ENTROPY),
    "attention": (attention, ATTENTION),
    "linear": (linear, LINEAR),
    "embedding": (embedding, EMBEDDING),
    "gelu": (gelu, GELU),
    "dropout": (dropout, DROPOUT),
    "tanh": (tanh, TANH),
    "squared_error": (squared_error, SQUARED),
}
MISTAKES = [(op, name) for op, (_, backwards) in OPS.items() for name in backwards if name != "right"]


@SEEDS
@pytest.mark.parametrize("op", OPS)
def test_right_backwards_pass_at_every_seed(op, seeds):
    forward, backwards = OPS[op]
    for seed in seeds:
        check(forward, backwards["right"], point(op, seed), rng=np.random.default_rng(seed)).raise_if_failed()


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 5), marks=pytest.mark.thorough)])
@pytest.mark.parametrize("op", OPS)
def test_right_backwards_pass_in_float32(op, seeds):
    forward, backwards = OPS[op]
    for seed in seeds:
        narrow = {
            name: x.astype(np.float32) if isinstance(x, np.ndarray) and x.dtype == np.float64 else x
            for name, x in point(op, seed).items()
        }
        wide = {"cross_entropy": ["logits"], "embedding": ["table"]}  # these two create float64 themselves
        report = check(forward, backwards["right"], narrow, rng=np.random.default_rng(seed))
        for result in report.results:
            assert result.verdict in (Verdict.OK, Verdict.DTYPE), str(report)
            assert result.verdict is Verdict.OK or result.name in wide.get(op, []), str(report)


@SEEDS
@pytest.mark.parametrize(("op", "mistake"), MISTAKES)
def test_mistakes_are_caught_at_every_seed(op, mistake, seeds, numbers_once):
    forward, backwards = OPS[op]
    for seed in seeds:
        with numbers_once(forward):
            report = check(forward, backwards[mistake], point(op, seed), rng=np.random.default_rng(seed))
        assert not report.passed, f"seed {seed}\n{report}"
        assert report.verdict in (Verdict.WRONG, Verdict.SHAPE), f"seed {seed}\n{report}"


def test_there_are_as_many_mistakes_as_in_the_published_comparison():
    assert len(MISTAKES) >= 33


def test_what_torch_lets_pass():
    rng = np.random.default_rng(0)
    # a true gradient of about 1e-6 and an all-zero one given
    tiny = check(lambda x: (1e-6 * np.sin(x), x), lambda dy, x: 0 * x, [rng.standard_normal(5)])
    assert tiny.verdict is Verdict.WRONG
    # one wrong entry in 900
    w = rng.standard_normal((30, 30))

    def one_wrong(dy, w):
        d = dy * np.cos(w)
        d[17, 4] *= 1 + 1e-7
        return d

    report = check(lambda w: (np.sin(w), w), one_wrong, {"w": w})
    assert report.verdict is Verdict.WRONG
    assert report["w"].worst.index == (17, 4)


def test_a_gradient_that_is_exactly_zero_passes_with_rounding_noise():
    """The key bias: softmax does not see it."""
    rng = np.random.default_rng(0)

    def forward(q, k, b):
        p, _ = softmax(q @ (k + b).T)
        return p, (q, p)

    def backward(dy, cache):
        q, p = cache
        ds = p * (dy - (p * dy).sum(-1, keepdims=True))
        return (ds.T @ q).sum(0)  # about 1e-17

    for dtype in (np.float64, np.float32):
        q, k, b = (rng.standard_normal(s).astype(dtype) for s in ((3, 2), (4, 2), (2,)))
        report = check(forward, backward, [q, k, b], wrt="b")
        assert report.passed, str(report)
        assert [spot.identifier for spot in report.blind_spots if spot.input == "b"] == ["zero-gradient"]
