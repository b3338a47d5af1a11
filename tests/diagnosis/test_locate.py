"""What no known mistake explains is at least told of the right step of the derivation."""

from __future__ import annotations

import numpy as np
import pytest

import npformer
from npformer.diagnosis import sample_inputs
from npformer.diagnosis.program import program
from npformer.diagnosis.recognise import other_forms, recognise
from npformer.diagnosis.textbook import FORMS
from npformer.functional import layer_norm, layer_norm_backward
from npformer.teaching.museum import student


def first(report, name):
    return next(r for r in report.results if r.name == name).hypotheses[0]


def layer_norm_with(dx):
    """A student's layer norm whose dx is computed by a function of the usual quantities."""

    def forward(x, gamma, beta):
        x_hat = layer_norm(x, gamma, beta)[1].x_hat
        return gamma * x_hat + beta, (x, x_hat, gamma)

    def backward(dout, cache):
        x, x_hat, gamma = cache
        _, dgamma, dbeta = layer_norm_backward(dout, layer_norm(x, gamma, np.zeros_like(gamma))[1])
        rstd = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        g = dout * gamma
        a, b = g.mean(axis=-1, keepdims=True), (g * x_hat).mean(axis=-1, keepdims=True)
        return dx(rstd, g, x_hat, a, b), dgamma, dbeta

    return forward, backward


@pytest.mark.parametrize(
    ("dx", "identifier", "step"),
    [
        # a strange number in each row's mean: few free numbers
        (lambda r, g, x, a, b: r * (g - np.cos(7 * a) - x * b), "wrong-mean_dx_hat", "5"),
        (lambda r, g, x, a, b: r * (g - a - x * np.cos(7 * b)), "wrong-mean_dx_hat_x_hat", "4"),
        # strange numbers everywhere
        (lambda r, g, x, a, b: r * np.cbrt(g - a - x * b), "wrong-dx", "4, 5"),
    ],
)
def test_a_strange_line_is_located(dx, identifier, step):
    forward, backward = layer_norm_with(dx)
    inputs = sample_inputs("layer_norm")
    report = npformer.check(forward, backward, inputs, op="layer_norm")
    said = first(report, "x")
    assert said.step == step, said
    assert said.identifier in (identifier, f"wrong-through_{'mean' if step == '5' else 'var'}"), said
    assert said.share == (0 if step == "4, 5" else 1)  # few numbers explain all, many are only a place


def test_one_line_that_two_gradients_share():
    forward, _ = student("mse_loss")

    def backward(dout, d):
        dd = dout / d.size * np.sinh(d)
        return dd, -dd

    report = npformer.check(forward, backward, sample_inputs("mse_loss"), op="mse_loss")
    for result in report.results:
        assert (result.hypotheses[0].identifier, result.hypotheses[0].step) == ("wrong-dd", "2")


def test_an_exposed_intermediate_that_is_wrong_is_told_of():
    forward, _ = student("softmax")
    inputs = sample_inputs("layer_norm")

    def given(x, gamma, beta):
        return layer_norm(x, gamma, beta)

    def backward(dout, cache, intermediates=None):
        dx, dgamma, dbeta = layer_norm_backward(dout, cache)
        if intermediates is not None:
            intermediates["dx_hat"] = np.cosh(dout * cache.gamma)
        return dx + 0.1 * np.cosh(dx), dgamma, dbeta

    report = npformer.check(given, backward, inputs, op="layer_norm")
    said = first(report, "x")
    assert said.identifier == "wrong-dx_hat"
    assert "first intermediate that is wrong" in said.fact


@pytest.mark.parametrize("broken", ["x_hat", "rstd", None])
def test_a_quantity_in_the_cache_that_is_not_what_its_name_says(broken):
    def forward(x, gamma, beta):
        d = x - x.mean(-1, keepdims=True)
        rstd = 1 / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5)
        cache = {"x_hat": d * rstd, "rstd": rstd, "gamma": gamma}
        out = gamma * cache["x_hat"] + beta
        if broken:
            cache[broken] = np.sinh(cache[broken])
        return out, cache

    def backward(dout, cache):
        x_hat, dx_hat = cache["x_hat"], dout * cache["gamma"]
        through_var = x_hat * (dx_hat * x_hat).mean(-1, keepdims=True)
        dx = cache["rstd"] * (dx_hat - dx_hat.mean(-1, keepdims=True) - through_var)
        return dx, (dout * x_hat).sum((0, 1)), dout.sum((0, 1))

    report = npformer.check(forward, backward, sample_inputs("layer_norm"))
    if broken is None:
        assert report.passed
    else:
        said = first(report, "x")
        assert said.identifier == f"wrong-{broken}"
        assert f"The cache's {broken} is not" in said.fact


@pytest.mark.parametrize("name", FORMS)
def test_the_other_forms_are_the_same_gradient(name):
    op = name.split(",")[0]
    forward, _ = student(op)
    inputs = sample_inputs(op, 2)
    out, cache = forward(**inputs)
    dout = np.random.default_rng(0).standard_normal(np.shape(out))
    known = recognise(op, inputs, np.asarray(out), dout, cache, forward)
    assert known is not None
    forms = {form.op: form for form in other_forms(known)}
    largest = max(np.max(np.abs(known.values[target])) for target in program(op).gradients.values())
    for given, target in program(op).gradients.items():  # (that of a bias of one number is zero)
        value, other = known.values[target], forms[name].values[program(name).gradients[given]]
        assert np.max(np.abs(value - other)) <= 1e-14 * largest


def test_a_freed_line_of_many_numbers_hides_no_later_mistake():
    """With other numbers in dx_hat, or in c, nearly any gradient is had: the mistake may be later."""
    rng = np.random.default_rng(0)

    def wrong(dout, cache):
        x_hat, rstd, gamma = cache
        dx, dgamma, dbeta = layer_norm_backward(dout, cache)
        return dx * np.tanh(3 * rstd), dgamma, dbeta

    inputs = {
        "x": rng.standard_normal((5, 6)),
        "gamma": rng.standard_normal(6),
        "beta": rng.standard_normal(6),
    }

    def softmax(x):
        e = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
        return e, e

    for said in (
        first(npformer.check(layer_norm, wrong, inputs), "x"),
        first(npformer.check(softmax, lambda d, p: d - p * d.sum(-1, keepdims=True), [inputs["x"]]), "x"),
    ):
        assert said.identifier == "unknown", said
        assert "or a later line" in said.fact


def test_a_factor_cubed_is_named():
    rng = np.random.default_rng(0)

    def wrong(dout, cache):
        dx, dgamma, dbeta = layer_norm_backward(dout, cache)
        return dx * cache.rstd**2, dgamma, dbeta

    inputs = {
        "x": rng.standard_normal((5, 6)),
        "gamma": rng.standard_normal(6),
        "beta": rng.standard_normal(6),
    }
    assert npformer.check(layer_norm, wrong, inputs).names == {"factor-cubed"}
