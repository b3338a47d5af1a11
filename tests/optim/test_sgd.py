import io

import numpy as np
import pytest

from npformer.optim import SGD, Segment, sgd_step

VARIANTS = {
    "plain": {},
    "decay": {"weight_decay": 0.3},
    "momentum": {"momentum": 0.85},
    "momentum and decay": {"momentum": 0.85, "weight_decay": 0.3},
    "nesterov": {"momentum": 0.85, "nesterov": True},
    "nesterov and decay": {"momentum": 0.85, "nesterov": True, "weight_decay": 0.3},
}


def trained(run, dtype=np.float64, **keywords):
    theta = run["theta"].astype(dtype)
    optimizer = SGD(theta, lr=1.0, **keywords)
    for g, lr in zip(run["gradients"].astype(dtype), run["lr"], strict=True):
        optimizer.step(g, lr)
    return theta


@pytest.mark.parametrize("variant", VARIANTS)
def test_follows_a_slow_loop(variant, run, loops, error):
    assert error(trained(run, **VARIANTS[variant]), loops["sgd"](**run, **VARIANTS[variant])) <= 1e-14


@pytest.mark.extra
@pytest.mark.parametrize("variant", VARIANTS)
def test_follows_torch(variant, run, error):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    parameter = torch.nn.Parameter(torch.tensor(run["theta"]))
    theirs = torch.optim.SGD([parameter], lr=1.0, **VARIANTS[variant])
    for g, lr in zip(run["gradients"], run["lr"], strict=True):
        theirs.param_groups[0]["lr"] = lr
        parameter.grad = torch.tensor(g)
        theirs.step()
    assert error(trained(run, **VARIANTS[variant]), parameter.detach().numpy()) <= 1e-14


def test_every_variant_is_another_run(run, error):
    """So that none of the comparisons above could pass with an argument that is ignored."""
    ends = [trained(run, **keywords) for keywords in VARIANTS.values()]
    for i, one in enumerate(ends):
        for other in ends[:i]:
            assert error(one, other) > 1e-4


def test_two_steps_by_hand():
    theta, b = np.array([1.0]), np.zeros(1)
    g = np.array([0.5])
    # g = 0.5 + 0.1 · 1 = 0.6, b = 0.6, d = 0.6 + 0.5 · 0.6 = 0.9, θ = 1 - 0.2 · 0.9 = 0.82
    sgd_step(theta, g, b, lr=0.2, momentum=0.5, nesterov=True, weight_decay=0.1)
    np.testing.assert_allclose([theta[0], b[0]], [0.82, 0.6], rtol=1e-15)
    # g = 0.5 + 0.082 = 0.582, b = 0.3 + 0.582 = 0.882, d = 0.582 + 0.441 = 1.023, θ = 0.82 - 0.2046 = 0.6154
    sgd_step(theta, g, b, lr=0.2, momentum=0.5, nesterov=True, weight_decay=0.1)
    np.testing.assert_allclose([theta[0], b[0]], [0.6154, 0.882], rtol=1e-15)
    assert g[0] == 0.5


def test_is_sutskevers_nesterov_at_a_constant_rate():
    """v = μ v - ε ∇f(θ + μ v), θ = θ + v on f(θ) = c θ² / 2: our θ is their θ + μ v."""
    c, mu, rate = 1.7, 0.8, 0.1
    theta, v = 1.3, 0.0
    ours = np.array([theta])
    optimizer = SGD(ours, lr=rate, momentum=mu, nesterov=True)
    for _ in range(20):
        v = mu * v - rate * c * (theta + mu * v)
        theta += v
        optimizer.step(c * ours)
        np.testing.assert_allclose(ours[0], theta + mu * v, rtol=1e-13, atol=1e-15)


def test_segments_are_torchs_groups(run, loops, error):
    segments = [
        Segment(0, 5),
        Segment(5, 12, lr_scale=0.25, weight_decay=0.0),
        Segment(12, 23, weight_decay=0.9),
    ]
    ours = trained(run, momentum=0.7, weight_decay=0.2, segments=segments)
    for where, scale, decay in ((slice(0, 5), 1, 0.2), (slice(5, 12), 0.25, 0.0), (slice(12, 23), 1, 0.9)):
        theirs = loops["sgd"](
            run["theta"][where],
            run["gradients"][:, where],
            lr=[scale * lr for lr in run["lr"]],
            momentum=0.7,
            weight_decay=decay,
        )
        assert error(ours[where], theirs) <= 1e-14


@pytest.mark.parametrize("variant", VARIANTS)
def test_float32_stays_float32_and_is_close(variant, run, error):
    theta = trained(run, np.float32, **VARIANTS[variant])
    assert theta.dtype == np.float32
    assert 0 < error(theta, trained(run, **VARIANTS[variant])) <= 2e-6


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_resumed_run_is_the_same_bit_for_bit(momentum, run):
    whole = trained(run, momentum=momentum)
    theta = run["theta"].copy()
    optimizer = SGD(theta, lr=1.0, momentum=momentum)
    for g, lr in zip(run["gradients"][:20], run["lr"], strict=False):
        optimizer.step(g, lr)
    file = io.BytesIO()
    np.savez(file, **optimizer.state_dict())
    file.seek(0)
    resumed = SGD(theta, lr=1.0, momentum=momentum)
    with np.load(file, allow_pickle=False) as state:
        resumed.load_state_dict(state)
    assert resumed.t == 20
    for g, lr in zip(run["gradients"][20:], run["lr"][20:], strict=True):
        resumed.step(g, lr)
    np.testing.assert_array_equal(theta, whole)


BAD_NUMBERS = [
    ({"lr": float("nan")}, "lr"),
    ({"lr": -0.1}, "lr"),
    ({"lr": float("inf")}, "lr"),
    ({"lr": "0.1"}, "lr"),
    ({"momentum": -0.1}, "momentum"),
    ({"momentum": 1.1}, "momentum"),
    ({"weight_decay": -1.0}, "weight_decay"),
    ({"weight_decay": float("nan")}, "weight_decay"),
    ({"momentum": 0.0, "nesterov": True}, "nesterov"),
]


@pytest.mark.parametrize(("wrong", "name"), BAD_NUMBERS)
def test_bad_numbers_are_named_and_change_nothing(wrong, name):
    theta, b = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    keywords = {"lr": 0.1, "momentum": 0.9} | wrong
    with pytest.raises((ValueError, TypeError), match=f"^sgd_step: {name}: expected"):
        sgd_step(theta, np.ones(2), b, **keywords)
    with pytest.raises((ValueError, TypeError), match=f"^SGD: {name}: expected"):
        SGD(theta, **keywords)
    np.testing.assert_array_equal(theta, [1, 2])
    np.testing.assert_array_equal(b, [3, 4])


def test_bad_rate_or_gradient_of_a_step_changes_nothing():
    theta = np.array([1.0, 2.0])
    optimizer = SGD(theta, lr=0.1, momentum=0.9)
    for grad, lr, name in [
        (np.ones(2), float("nan"), "lr"),
        (np.ones(3), 0.1, "grad"),
        (np.ones(2, np.float32), 0.1, "grad"),
        (np.ones(4)[::2], 0.1, "grad"),
        (np.ones((1, 2)), 0.1, "grad"),
        ([1.0, 1.0], 0.1, "grad"),
        (theta, 0.1, "grad"),
    ]:
        with pytest.raises((ValueError, TypeError), match=f"^SGD.step: {name}: expected"):
            optimizer.step(grad, lr)
    assert optimizer.t == 0
    np.testing.assert_array_equal(theta, [1, 2])
    np.testing.assert_array_equal(optimizer.state_dict()["velocity"], [0, 0])


def test_momentum_without_a_velocity_is_refused():
    with pytest.raises(ValueError, match=r"^sgd_step: b: expected"):
        sgd_step(np.ones(2), np.ones(2), lr=0.1, momentum=0.9)


def test_state_that_does_not_fit_changes_nothing():
    optimizer = SGD(np.ones(3), lr=0.1, momentum=0.9)
    good = optimizer.state_dict()
    for wrong in (
        {"step": good["step"]},
        good | {"m": np.zeros(3)},
        good | {"velocity": np.ones(4)},
        good | {"velocity": np.ones(3, np.float32)},
        good | {"step": np.array(-1)},
        good | {"step": np.array(1.5)},
    ):
        with pytest.raises((ValueError, TypeError), match=r"^SGD.load_state_dict: state.*: expected"):
            optimizer.load_state_dict(wrong)
    assert optimizer.t == 0
    np.testing.assert_array_equal(optimizer.velocity, 0)
