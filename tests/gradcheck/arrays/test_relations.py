"""Each relation is found where it holds, named, and stated as a fact; where none holds nothing is claimed."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.gradcheck import check

RNG = np.random.default_rng(3)
X, W, B = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 5)), RNG.standard_normal(5)


def linear(x, w, b):
    return x @ w + b, (x, w)


def right(dy, cache):
    x, w = cache
    return {"x": dy @ w.T, "w": x.T @ dy, "b": dy.sum(0)}


def first(name, wrong, inputs=(X, W, B), forward=linear, backward=right):
    report = check(forward, lambda dy, c: {**backward(dy, c), name: wrong(dy, c)}, list(inputs))
    assert not report.passed
    return report[name].hypotheses[0]


LINEAR = [
    ("b", "averaged-not-summed", lambda dy, c: dy.mean(0)),
    ("b", "not-summed", lambda dy, c: dy),
    ("b", "summed-over-everything", lambda dy, c: dy.sum()),
    ("b", "keepdims-left-in", lambda dy, c: dy.sum(0, keepdims=True)),
    ("b", "upstream-ignored", lambda dy, c: np.ones_like(dy).sum(0)),
    ("w", "transposed", lambda dy, c: dy.T @ c[0]),
    ("w", "sign-flipped", lambda dy, c: -(c[0].T @ dy)),
    ("w", "accumulated-twice", lambda dy, c: 2 * c[0].T @ dy),
    ("w", "zero-gradient", lambda dy, c: 0 * c[1]),
    ("w", "scaled", lambda dy, c: 1.0005 * c[0].T @ dy),
    ("x", "gradient-missing", lambda dy, c: None),
    ("x", "float32-inside", lambda dy, c: (dy @ c[1].T).astype(np.float32).astype(np.float64)),
    ("x", "factor-extra", lambda dy, c: dy @ c[1].T * c[0]),
    ("x", "values-permuted", lambda dy, c: (dy @ c[1].T).T.reshape(3, 4)),
    ("x", "not-finite-rows", lambda dy, c: np.where(np.arange(3)[:, None] == 1, np.nan, dy @ c[1].T)),
]


@pytest.mark.parametrize(("name", "identifier", "wrong"), LINEAR, ids=[f"{n}-{i}" for n, i, _ in LINEAR])
def test_linear(name, identifier, wrong):
    found = first(name, wrong)
    assert found.identifier == identifier
    assert found.fact
    assert found.share == 1.0


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (3.0, "3, the number of rows"),
        (1 / 15, "1/15, with 15 the number of entries of dout"),
        (np.sqrt(5), "√5"),
        (1.5, "3/2"),
    ],
)
def test_a_constant_factor_is_said_to_equal_what_is_at_hand(factor, words):
    found = first("w", lambda dy, c: factor * c[0].T @ dy)
    assert found.identifier == "scaled"
    assert words in found.fact


def test_swapped_gradients():
    report = check(
        lambda x, y: (x * np.sin(y), (x, y)),
        lambda d, c: (d * c[0] * np.cos(c[1]), d * np.sin(c[1])),
        [X, RNG.standard_normal(X.shape)],
    )
    assert report.names == {"swapped-gradients"}


def test_paths_of_a_residual():
    def forward(x):
        return x + np.sin(x), x

    for identifier, wrong in (
        ("skip-missing", lambda d, x: d * np.cos(x)),
        ("skip-doubled", lambda d, x: d * (2 + np.cos(x))),
        ("branch-missing", lambda d, x: d * 1.0),
    ):
        assert check(forward, wrong, [X]).names == {identifier}


def test_rows_of_a_table():
    ids = np.array([4, 0, 4, 2])

    def forward(ids, table):
        return table[ids], (ids, table.shape)

    def scatter(d, cache):
        out = np.zeros(cache[1])
        np.add.at(out, cache[0], d)
        return out

    def overwrite(d, cache):
        out = np.zeros(cache[1])
        out[cache[0]] += d
        return out

    def without_row_2(d, cache):
        out = scatter(d, cache)
        out[2] = 0
        return out

    table = RNG.standard_normal((6, 3))
    assert check(forward, scatter, [ids, table]).passed
    assert check(forward, overwrite, [ids, table]).names == {"overwritten-not-accumulated"}
    report = check(forward, without_row_2, [ids, table])
    assert report.names == {"row-zeroed"}
    assert "row 2" in report["table"].hypotheses[0].fact


def test_masks_of_dropout():
    keep = RNG.random(X.shape) < 0.6

    def forward(x):
        return x * keep / 0.6, x

    other = np.roll(keep, 1)
    for identifier, mask in (
        ("mask-redrawn", other),
        ("mask-inverted", ~keep),
        ("mask-not-applied", np.ones_like(keep)),
    ):
        assert check(forward, lambda d, x, mask=mask: d * mask / 0.6, [X]).names == {identifier}


def test_an_error_without_a_relation_is_unknown_and_has_a_place():
    def wrong(dy, c):
        d = c[0].T @ dy
        d[2, 1] += 0.1
        d[2, 3] -= 0.2
        return d

    found = first("w", wrong)
    assert found.identifier == "unknown"
    assert found.share == 0.0
    assert "2 of 20 entries, in the rows 2 alone" in found.fact


@pytest.mark.parametrize(
    ("forward", "backward", "wrong", "name"),
    [
        (lambda a, b: a - b, lambda d, a, b: (d.copy(), d.copy()), "b", "sign-flipped"),
        (lambda a, b: a - b, lambda d, a, b: (-d, -d), "a", "sign-flipped"),
        (lambda a, b: a * b, lambda d, a, b: (d * b, d * b), "b", "gradient-of-another"),
        (lambda a, b: a @ b, lambda d, a, b: (d @ b.T, d @ b.T), "b", "gradient-of-another"),
        (lambda a, b: a @ b.T, lambda d, a, b: (d @ b, d @ b), "b", "gradient-of-another"),
    ],
)
def test_nothing_is_swapped_where_one_gradient_is_right(forward, backward, wrong, name):
    report = check(forward, backward, [RNG.standard_normal((4, 4)), RNG.standard_normal((4, 4))])
    assert [r.name for r in report.results if not r.passed] == [wrong]
    assert report[wrong].hypotheses[0].identifier == name
    assert all(h.identifier != "swapped-gradients" for h in report[wrong].hypotheses)


def test_three_gradients_in_another_order_are_swapped():
    inputs = list(RNG.standard_normal((3, 3, 4)))
    turned = check(lambda a, b, c: a * b * c, lambda d, a, b, c: (d * a * c, d * a * b, d * b * c), inputs)
    assert turned.names == {"swapped-gradients"}


def test_a_gradient_that_was_returned_is_not_called_missing():
    report = check(lambda x, t: ((x - t) ** 2).mean(), lambda d, x, t: 2 * d * (x - t) / x.size, [X[0], X[1]])
    assert not report.passed
    assert all("say so by wrt" in r.sentence and not r.hypotheses for r in report.results)


@pytest.mark.parametrize(
    ("forward", "backward", "name"),
    [
        (lambda x: np.sin(x), lambda d, x: d.copy(), "local-derivative-missing"),
        (lambda x: np.clip(x, -1, 1), lambda d, x: d.copy(), "local-derivative-missing"),
        (lambda x: np.maximum(x, 0), lambda d, x: d.copy(), "local-derivative-missing"),
        (lambda x: np.cumsum(x, -1), lambda d, x: d.copy(), "local-derivative-missing"),
        (lambda x: np.maximum(x, 0), lambda d, x: np.maximum(d, 0) * (x > 0), "mask-of-dout"),
        (lambda x: np.clip(x, -1, 1), lambda d, x: d * (x < 1), "mask-incomplete"),
        (lambda x: x + np.tanh(x @ X.T @ X), lambda d, x: d.copy(), "branch-missing"),
    ],
)
def test_the_commonest_slips_of_a_function_of_each_entry(forward, backward, name):
    assert check(forward, backward, [2 * RNG.standard_normal((4, 4))]).names == {name}


def test_a_branch_with_weights_that_are_inputs():
    def backward(d, x, w):
        return d.copy(), x.T @ d

    assert check(lambda x, w: x + x @ w, backward, [X, RNG.standard_normal((4, 4))]).names == {
        "branch-missing"
    }


@pytest.mark.parametrize("reg", [1e-6, 1e-7, 1e-8])
def test_a_small_mistake_is_not_float32(reg):
    """A forgotten regulariser, and an eps outside the root that the backward takes for one inside."""

    def mean(a):
        return a.mean(-1, keepdims=True)

    gamma = RNG.uniform(0.5, 1.5, 6)

    def norm(x):
        c = x - mean(x)
        s = np.sqrt(mean(c * c)) + reg
        return c / s * gamma, (c / s, s)

    def norm_backward(d, cache):
        h, s = cache
        return (d * gamma - mean(d * gamma) - h * mean(d * gamma * h)) / s

    forgotten = check(
        lambda w: 0.5 * ((X @ w) ** 2).sum() + 0.5 * reg * (w * w).sum(),
        lambda d, w: d * (X.T @ (X @ w)),
        [W],
    )
    assert forgotten.names == {"row-multiple"}
    outside = check(norm, norm_backward, [RNG.standard_normal((4, 6))])
    assert outside["x"].verdict.name == "WRONG"
    assert "a number plus a number times that row of" in outside["x"].hypotheses[0].fact


def test_float32_inside_is_noise_that_changes_with_the_point():
    def single(x):
        return x.astype(np.float32).astype(np.float64)

    report = check(
        lambda x, w, b: (x @ w + b, (x, w)),
        lambda d, c: (single(d) @ single(c[1].T) * 1.1 / 1.1, single(c[0].T) @ d, single(d).sum(0)),
        [X, W, B],
    )
    assert {r.verdict.name for r in report.results} == {"PRECISION"}
    assert report.names == {"float32-inside"}
