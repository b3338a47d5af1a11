"""Losses with their gradients: one function, and a model with named parameters."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.gradcheck import Verdict, check_params, check_value_and_grad

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 2))
PARAMS = {
    "hidden.weight": RNG.standard_normal((3, 4)),
    "hidden.bias": RNG.standard_normal(4),
    "out.weight": RNG.standard_normal((4, 2)),
}


def model(params):
    h = np.tanh(X @ params["hidden.weight"] + params["hidden.bias"])
    e = h @ params["out.weight"] - Y
    dh = 2 * e @ params["out.weight"].T * (1 - h * h)
    grads = {"hidden.weight": X.T @ dh, "hidden.bias": dh.sum(axis=0), "out.weight": 2 * h.T @ e}
    return (e * e).sum(), grads


def broken(change):
    def loss_and_grad(params):
        loss, grads = model(params)
        return loss, change(dict(grads), params)

    return loss_and_grad


def verdicts(report):
    return {result.name: result.verdict.name for result in report.results if not result.passed}


BREAKAGES = {
    "mean for sum": (lambda g, p: g | {"hidden.bias": g["hidden.bias"] / 5}, {"hidden.bias": "WRONG"}),
    "scaled": (lambda g, p: g | {"out.weight": g["out.weight"] * 1.0005}, {"out.weight": "WRONG"}),
    "zero": (lambda g, p: g | {"hidden.weight": 0 * g["hidden.weight"]}, {"hidden.weight": "WRONG"}),
    "one entry": (
        lambda g, p: g | {"hidden.weight": g["hidden.weight"] * (1 + 1e-5 * np.eye(3, 4))},
        {"hidden.weight": "WRONG"},
    ),
    "missing": (lambda g, p: {k: v for k, v in g.items() if k != "out.weight"}, {"out.weight": "SHAPE"}),
    "shape": (lambda g, p: g | {"hidden.bias": g["hidden.bias"][None]}, {"hidden.bias": "SHAPE"}),
    "aliased": (
        lambda g, p: g | {"hidden.bias": p["hidden.bias"]},
        {"hidden.bias": "WRONG"},
    ),
    "nan": (lambda g, p: g | {"hidden.bias": g["hidden.bias"] * np.nan}, {"hidden.bias": "NONFINITE"}),
    "float32": (
        lambda g, p: {k: v.astype(np.float32) for k, v in g.items()},
        dict.fromkeys(PARAMS, "PRECISION"),
    ),
}


@pytest.mark.parametrize("every_entry", [False, True])
def test_a_right_model_passes_at_every_seed(every_entry):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        params = {name: rng.standard_normal(p.shape) for name, p in PARAMS.items()}
        report = check_params(model, params, every_entry=every_entry, rng=rng)
        report.raise_if_failed()
        assert all(r.method == ("complex step" if every_entry else "9-point stencil") for r in report.results)


@pytest.mark.parametrize("every_entry", [False, True])
@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_model_fails(name, every_entry):
    change, expected = BREAKAGES[name]
    for seed in range(5):
        report = check_params(
            broken(change), PARAMS, every_entry=every_entry, rng=np.random.default_rng(seed)
        )
        assert verdicts(report) == expected, str(report)


def test_aliasing_is_found_even_where_the_numbers_are_right():
    def loss_and_grad(params):
        return (params["w"] ** 2).sum() / 2, {"w": params["w"]}

    report = check_params(loss_and_grad, {"w": PARAMS["hidden.weight"]})
    assert verdicts(report) == {"w": "ALIASED"}


def test_parameters_changed_in_place():
    def loss_and_grad(params):
        loss, grads = model(params)
        params["out.weight"] -= 0.1 * grads["out.weight"]  # updated too early
        return loss, grads

    params = {name: p.copy() for name, p in PARAMS.items()}
    report = check_params(loss_and_grad, params)
    assert verdicts(report) == {"out.weight": "INPUT_MUTATED"}, str(report)
    assert all(np.array_equal(params[name], PARAMS[name]) for name in params)


def test_nondeterministic():
    rng = np.random.default_rng(0)
    report = check_params(lambda p: (model(p)[0] + rng.random(), model(p)[1]), PARAMS)
    assert set(verdicts(report).values()) == {"NONDETERMINISTIC"}

    grads = {name: np.zeros_like(p) for name, p in PARAMS.items()}

    def accumulates(params):
        loss, new = model(params)
        for name, g in new.items():
            grads[name] += g
        return loss, {name: g.copy() for name, g in grads.items()}

    report = check_params(accumulates, PARAMS)
    assert set(verdicts(report).values()) == {"NONDETERMINISTIC"}
    assert "gradients of an earlier call are added to" in report["hidden.bias"].sentence


def test_code_that_is_not_analytic_falls_back_on_the_stencil():
    def loss_and_grad(params):
        w = params["w"]
        return np.abs(w).sum(), {"w": np.sign(w)}

    w = PARAMS["hidden.weight"]
    report = check_params(loss_and_grad, {"w": w}, every_entry=True)
    assert report.passed, str(report)
    assert report["w"].method == "9-point stencil"
    kink = check_params(loss_and_grad, {"w": np.where(w == w.max(), 0.0, w)}, every_entry=True)
    assert kink.verdict is Verdict.KINK
    assert kink.passed


def test_a_kink_that_the_complex_step_would_not_see():
    def loss_and_grad(params):
        w = params["w"]
        return np.where(w.real > 0, w, 0).sum(), {"w": 1.0 * (w.real >= 0)}

    w = PARAMS["hidden.weight"].copy()
    assert check_params(loss_and_grad, {"w": w}, every_entry=True)["w"].method == "complex step"
    w[1, 1] = 0.0
    report = check_params(loss_and_grad, {"w": w}, every_entry=True)
    assert report.verdict is Verdict.KINK
    assert report.passed


def test_float32_parameters():
    params = {name: p.astype(np.float32) for name, p in PARAMS.items()}
    assert check_params(model, params).passed
    wrong = broken(lambda g, p: g | {"hidden.bias": g["hidden.bias"] / 5})
    assert verdicts(check_params(wrong, params)) == {"hidden.bias": "WRONG"}


def test_the_loss_alone_may_be_given():
    calls = []

    def loss_and_grad(params):
        calls.append(1)
        return model(params)

    assert check_params(loss_and_grad, PARAMS, loss=lambda p: model(p)[0]).passed
    assert len(calls) == 2


def test_wrt_directions_strict_and_blind_spots():
    report = check_params(model, PARAMS, wrt=["hidden.bias"], directions=3)
    assert [result.name for result in report.results] == ["hidden.bias"]
    assert report["hidden.bias"].numeric.shape == (3,)
    assert report["hidden.bias"].shape == (4,)
    at_start = PARAMS | {"hidden.bias": np.zeros(4)}
    assert check_params(model, at_start).passed
    assert not check_params(model, at_start, strict=True).passed


@pytest.mark.parametrize(
    ("params", "more", "words"),
    [
        ({}, {}, "at least one parameter"),
        (PARAMS, {"wrt": "nope"}, "got 'nope'"),
        (PARAMS, {"directions": 0}, "directions: expected a positive number, got 0"),
        ({"ids": np.arange(3)}, {}, "real floating-point arrays"),
    ],
)
def test_bad_arguments_are_named(params, more, words):
    with pytest.raises(ValueError, match=words):
        check_params(model, params, **more)


def test_value_and_grad():
    def f(x, w):
        e = x @ w
        return (e**3).sum(), (3 * e**2 @ w.T, x.T @ (3 * e**2))

    report = check_value_and_grad(f, [X, PARAMS["hidden.weight"]], op="cubes")
    assert report.passed, str(report)
    assert [result.name for result in report.results] == ["x", "w"]
    wrong = check_value_and_grad(lambda x, w: (f(x, w)[0], f(x, w)[1][::-1]), {"x": X, "w": X[:3, :3].T})
    assert not wrong.passed
    half = check_value_and_grad(
        lambda x, w: (f(x, w)[0], {"w": f(x, w)[1][1] / 2}), [X, PARAMS["hidden.weight"]], wrt="w"
    )
    assert half.verdict is Verdict.WRONG
    aliased = check_value_and_grad(lambda x: ((x * x).sum() / 2, x), [X])
    assert aliased.verdict is Verdict.ALIASED


@pytest.mark.parametrize(
    ("f", "got"),
    [
        (lambda x: (x**2).sum(), "got float64"),
        (lambda x: (x**2, 2 * x), "got tuple of ndarray, ndarray, the first of shape"),
        (lambda x: (1.0, 2 * x, x), "got tuple of float, ndarray, ndarray"),
    ],
)
def test_what_is_no_loss_with_gradients_is_told(f, got):
    with pytest.raises(TypeError, match=rf"check_value_and_grad: f: expected \(loss, gradients\).* {got}"):
        check_value_and_grad(f, [X])


def test_a_list_of_two_is_a_loss_with_gradients():
    assert check_value_and_grad(lambda x: [(x**2).sum(), 2 * x], [X]).passed


def test_a_forgotten_decay_at_plain_numbers_is_wrong():
    x = np.array([[1.0, 2, 0], [3, 1, 4], [0, 5, 2], [2, 2, 1]])
    t, w, decay = np.array([1.0, 0, 2, 1]), np.array([0.5, -1.0, 0.25]), 1e-6

    def f(w):
        return ((x @ w - t) ** 2).sum() / 2 + decay / 2 * (w * w).sum(), x.T @ (x @ w - t)

    assert check_value_and_grad(f, {"w": w})["w"].verdict.name == "WRONG"


@pytest.mark.parametrize("every_entry", [False, True])
def test_a_faint_gradient_of_a_model_is_a_blind_spot(every_entry):
    """b wrong by 2 % is below the rounding of a loss of 1e3."""
    x, y = np.random.default_rng(3).standard_normal((2, 5, 3))

    def loss_and_grad(params):
        error = x @ params["w"] - y
        loss = 20 * (error**2).sum() + 1e-9 * (params["b"] * [1.0, -2.0, 0.5]).sum()
        return loss, {"w": 40 * x.T @ error, "b": 1.02e-9 * np.array([1.0, -2.0, 0.5])}

    params = {"w": np.eye(3) + 0.1, "b": np.array([0.3, -0.7, 1.1])}
    report = check_params(loss_and_grad, params, every_entry=every_entry)
    told = [spot.input for spot in report.blind_spots if spot.identifier == "faint-gradient"]
    assert told == ["b"], str(report)
    assert report["b"].passed  # which is why it has to be told
    assert not check_params(loss_and_grad, params, every_entry=every_entry, strict=True).passed


def test_the_direction_that_checks_the_complex_step_is_not_the_parameter():
    """Along x the slope of x/|x| is zero, whichever the code does for complex numbers."""
    x = np.random.default_rng(0).standard_normal(5)
    v = np.array([0.4, -1.0, 0.3, 2.0, 0.1])

    def loss_and_grad(params):
        x = params["x"]
        size = np.sqrt((x * x).sum())
        if np.iscomplexobj(x):  # takes another branch, where the gradient is zero
            return (x * 0).sum() + size.real, {}
        g = v @ x / size
        return g, {"x": v / size - x * (v @ x) / size**3}

    report = check_params(loss_and_grad, {"x": x}, every_entry=True)
    assert report.passed, str(report)
    assert report["x"].method == "9-point stencil"


def test_no_direction_is_the_parameter():
    x = np.random.default_rng(0).standard_normal(5)
    v = np.array([0.4, -1.0, 0.3, 2.0, 0.1])

    def loss_and_grad(params):
        x = params["x"]
        return v @ x / np.sqrt((x * x).sum()), {"x": 0 * x}  # right along x alone

    assert not check_params(loss_and_grad, {"x": x}, directions=1).passed
