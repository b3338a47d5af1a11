import io

import numpy as np
import pytest

from npformer.optim import Adam, AdamW, Segment, adam_step, adamw_step
from npformer.optim import _arguments as arguments

CLASSES = {"Adam": Adam, "AdamW": AdamW}
VARIANTS = {
    "no decay": {"weight_decay": 0.0},
    "decay": {"weight_decay": 0.2},
    "other betas and eps": {"betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.05},
    "no momentum": {"betas": (0.0, 0.9), "weight_decay": 0.0},
}


def trained(name, run, dtype=np.float64, **keywords):
    theta = run["theta"].astype(dtype)
    optimizer = CLASSES[name](theta, lr=1.0, **keywords)
    for g, lr in zip(run["gradients"].astype(dtype), run["lr"], strict=True):
        optimizer.step(g, lr)
    return theta


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_follows_a_slow_loop(name, variant, run, loops, error):
    theirs = loops["adam"](**run, **VARIANTS[variant], decoupled=name == "AdamW")
    assert error(trained(name, run, **VARIANTS[variant]), theirs) <= 1e-14


@pytest.mark.extra
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_follows_torch(name, variant, run, error):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    parameter = torch.nn.Parameter(torch.tensor(run["theta"]))
    theirs = getattr(torch.optim, name)([parameter], lr=1.0, **VARIANTS[variant])
    for g, lr in zip(run["gradients"], run["lr"], strict=True):
        theirs.param_groups[0]["lr"] = lr
        parameter.grad = torch.tensor(g)
        theirs.step()
    assert error(trained(name, run, **VARIANTS[variant]), parameter.detach().numpy()) <= 1e-14


@pytest.mark.extra
@pytest.mark.parametrize("name", CLASSES)
def test_defaults_are_torchs(name):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    theirs = getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(1))]).defaults
    ours = CLASSES[name](np.ones(1))
    assert (ours.lr, ours.betas, ours.eps) == (theirs["lr"], theirs["betas"], theirs["eps"])
    assert ours.segments[0][2] == theirs["weight_decay"]


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("mistake", [{"corrected": False}, {"eps_inside": True}, {"decoupled": "the other"}])
def test_the_usual_mistakes_would_be_seen(name, mistake, run, loops, error):
    decoupled = name == "AdamW"
    keywords = {"weight_decay": 0.2, "decoupled": decoupled} | mistake
    if keywords["decoupled"] == "the other":
        keywords["decoupled"] = not decoupled
    seen = error(trained(name, run, weight_decay=0.2), loops["adam"](**run, **keywords))
    assert seen > 1e-8  # a million times what the comparisons above allow


@pytest.mark.parametrize("step", [adam_step, adamw_step])
def test_the_gradient_is_only_read(step):
    g = np.array([0.5, -1.0])
    step(np.ones(2), g, np.zeros(2), np.zeros(2), 1, weight_decay=0.3)
    np.testing.assert_array_equal(g, [0.5, -1.0])


def test_two_steps_of_adam_by_hand():
    theta, m, v = np.array([2.0]), np.zeros(1), np.zeros(1)
    keywords = {"lr": 0.1, "betas": (0.5, 0.75), "eps": 0.5, "weight_decay": 0.5}
    # g = 1 + 0.5 · 2 = 2, m = 1, v = 1, m̂ = 1 / 0.5 = 2, v̂ = 1 / 0.25 = 4, θ = 2 - 0.1 · 2 / (2 + 0.5)
    adam_step(theta, np.array([1.0]), m, v, 1, **keywords)
    np.testing.assert_allclose([theta[0], m[0], v[0]], [1.92, 1, 1], rtol=1e-15)
    # g = -2.96 + 0.96 = -2, m = 0.5 - 1, v = 0.75 + 1, m̂ = -0.5 / 0.75, v̂ = 1.75 / 0.4375 = 4
    adam_step(theta, np.array([-2.96]), m, v, 2, **keywords)
    np.testing.assert_allclose([theta[0], m[0], v[0]], [1.92 + 0.1 / 1.5 / 2.5, -0.5, 1.75], rtol=1e-15)


def test_two_steps_of_adamw_by_hand():
    theta, m, v = np.array([2.0]), np.zeros(1), np.zeros(1)
    keywords = {"lr": 0.1, "betas": (0.5, 0.75), "eps": 0.5, "weight_decay": 0.5}
    # m = 1, v = 1, m̂ = 2, v̂ = 4, θ = 2 - 0.1 · 2 / 2.5 - 0.1 · 0.5 · 2
    adamw_step(theta, np.array([2.0]), m, v, 1, **keywords)
    np.testing.assert_allclose([theta[0], m[0], v[0]], [1.82, 1, 1], rtol=1e-15)
    # m = -0.5, v = 1.75, m̂ = -2/3, v̂ = 4, θ = 1.82 + 0.1 / 1.5 / 2.5 - 0.1 · 0.5 · 1.82
    adamw_step(theta, np.array([-2.0]), m, v, 2, **keywords)
    np.testing.assert_allclose([theta[0], m[0], v[0]], [1.729 + 0.1 / 1.5 / 2.5, -0.5, 1.75], rtol=1e-15)


@pytest.mark.parametrize("name", CLASSES)
def test_segments_are_torchs_groups(name, run, loops, error):
    segments = [
        Segment(0, 5),
        Segment(5, 12, lr_scale=0.25, weight_decay=0.0),
        Segment(12, 23, weight_decay=0.9),
    ]
    ours = trained(name, run, weight_decay=0.2, segments=segments)
    for where, scale, decay in ((slice(0, 5), 1, 0.2), (slice(5, 12), 0.25, 0.0), (slice(12, 23), 1, 0.9)):
        theirs = loops["adam"](
            run["theta"][where],
            run["gradients"][:, where],
            lr=[scale * lr for lr in run["lr"]],
            weight_decay=decay,
            decoupled=name == "AdamW",
        )
        assert error(ours[where], theirs) <= 1e-14


@pytest.mark.parametrize("name", CLASSES)
def test_size_of_the_pieces_changes_no_bit(name, run, monkeypatch):
    whole = trained(name, run, weight_decay=0.2)
    monkeypatch.setattr(arguments, "CHUNK", 7)  # 23 = 3 · 7 + 2
    np.testing.assert_array_equal(trained(name, run, weight_decay=0.2), whole)


@pytest.mark.parametrize("name", CLASSES)
def test_vectors_longer_than_a_piece(name):
    rng = np.random.default_rng(5)
    n = 2 * arguments.CHUNK + 3
    theta, g = rng.standard_normal((2, n))
    expected = theta - 0.1 * np.sign(g)  # the first step, without eps and decay
    CLASSES[name](theta, lr=0.1, eps=0.0, weight_decay=0.0).step(g)
    np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_float32_stays_float32_and_is_close(name, variant, run, error):
    theta = trained(name, run, np.float32, **VARIANTS[variant])
    assert theta.dtype == np.float32
    assert 0 < error(theta, trained(name, run, **VARIANTS[variant])) <= 2e-6


def test_state_is_in_the_dtype_of_the_parameters():
    state = AdamW(np.ones(3, np.float32)).state_dict()
    assert (state["m"].dtype, state["v"].dtype, state["step"].dtype) == (np.float32, np.float32, np.int64)


@pytest.mark.parametrize("name", CLASSES)
def test_resumed_run_is_the_same_bit_for_bit(name, run):
    whole = trained(name, run)
    theta = run["theta"].copy()
    optimizer = CLASSES[name](theta)
    for g, lr in zip(run["gradients"][:20], run["lr"], strict=False):
        optimizer.step(g, lr)
    file = io.BytesIO()
    np.savez(file, **optimizer.state_dict())
    file.seek(0)
    resumed = CLASSES[name](theta)
    with np.load(file, allow_pickle=False) as state:
        resumed.load_state_dict(state)
    for g, lr in zip(run["gradients"][20:], run["lr"][20:], strict=True):
        resumed.step(g, lr)
    if name == "AdamW":
        resumed_defaults = trained(name, run, weight_decay=0.01)
        np.testing.assert_array_equal(theta, resumed_defaults)
    np.testing.assert_array_equal(theta, whole)


@pytest.mark.parametrize("name", CLASSES)
def test_saved_state_does_not_follow_later_steps(name):
    optimizer = CLASSES[name](np.ones(3))
    optimizer.step(np.ones(3))
    state = optimizer.state_dict()
    before = {key: x.copy() for key, x in state.items()}
    optimizer.step(np.ones(3))
    for key, x in state.items():
        np.testing.assert_array_equal(x, before[key])
    optimizer.load_state_dict(state)
    optimizer.step(np.ones(3))
    np.testing.assert_array_equal(state["m"], before["m"])


BAD_NUMBERS = [
    ({"lr": float("nan")}, "lr"),
    ({"lr": -0.1}, "lr"),
    ({"lr": None}, "lr"),
    ({"betas": (1.0, 0.9)}, r"betas\[0\]"),
    ({"betas": (0.9, 1.0)}, r"betas\[1\]"),
    ({"betas": (0.9, -0.1)}, r"betas\[1\]"),
    ({"betas": (0.9, float("nan"))}, r"betas\[1\]"),
    ({"betas": 0.9}, "betas"),
    ({"eps": -1e-8}, "eps"),
    ({"eps": float("nan")}, "eps"),
    ({"weight_decay": -1.0}, "weight_decay"),
]


@pytest.mark.parametrize(("name", "step"), [("Adam", adam_step), ("AdamW", adamw_step)])
@pytest.mark.parametrize(("wrong", "argument"), BAD_NUMBERS)
def test_bad_numbers_are_named_and_change_nothing(name, step, wrong, argument):
    vectors = np.arange(1.0, 9.0).reshape(4, 2)
    with pytest.raises((ValueError, TypeError), match=f"^{name.lower()}_step: {argument}: expected"):
        step(*vectors, 1, **wrong)
    with pytest.raises((ValueError, TypeError), match=f"^{name}: {argument}: expected"):
        CLASSES[name](vectors[0], **wrong)
    np.testing.assert_array_equal(vectors, np.arange(1.0, 9.0).reshape(4, 2))


@pytest.mark.parametrize("t", [0, -1, 1.0, True, None])
@pytest.mark.parametrize("step", [adam_step, adamw_step])
def test_bad_step_number(step, t):
    with pytest.raises((ValueError, TypeError), match=r"_step: t: expected an integer >= 1"):
        step(*np.ones((4, 2)), t)


BAD_VECTORS = {
    "another size": np.ones(3),
    "another dtype": np.ones(2, np.float32),
    "integers": np.ones(2, int),
    "complex": np.ones(2, complex),
    "not contiguous": np.ones(4)[::2],
    "a matrix": np.ones((2, 1)),
    "a list": [1.0, 1.0],
}


@pytest.mark.parametrize("bad", BAD_VECTORS)
@pytest.mark.parametrize("argument", ["g", "m", "v"])
@pytest.mark.parametrize("step", [adam_step, adamw_step])
def test_bad_vectors_are_named_and_change_nothing(step, argument, bad):
    vectors = {"theta": np.ones(2), "g": np.ones(2), "m": np.ones(2), "v": np.ones(2)}
    with pytest.raises((ValueError, TypeError), match=f"_step: {argument}: expected"):
        step(**(vectors | {argument: BAD_VECTORS[bad]}), t=1)
    for x in vectors.values():
        np.testing.assert_array_equal(x, 1)


@pytest.mark.parametrize("step", [adam_step, adamw_step])
def test_read_only_and_shared_vectors_are_refused(step):
    theta, g, m, v = np.ones((4, 2))
    frozen = theta.copy()
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="theta: expected a vector that may be written to"):
        step(frozen, g, m, v, 1)
    step(theta, frozen, m, v, 1)  # the gradient is only read
    both = np.ones(3)
    with pytest.raises(ValueError, match="shares memory"):
        step(both[:2], g, both[1:], v, 1)


@pytest.mark.parametrize("name", CLASSES)
def test_a_step_that_fails_leaves_everything_as_it_was(name):
    theta = np.array([1.0, 2.0])
    optimizer = CLASSES[name](theta, segments=[Segment(0, 1), Segment(1, 2)])
    for grad, lr, argument in [
        (np.ones(2), float("nan"), "lr"),
        (np.ones(2), -1.0, "lr"),
        (np.ones(3), 0.1, "grad"),
        (theta, 0.1, "grad"),
        (optimizer.m, 0.1, "grad"),
    ]:
        with pytest.raises((ValueError, TypeError), match=f"^{name}.step: {argument}: expected"):
            optimizer.step(grad, lr)
    np.testing.assert_array_equal(theta, [1, 2])
    state = optimizer.state_dict()
    assert state["step"] == 0
    assert not state["m"].any()
    assert not state["v"].any()


@pytest.mark.parametrize("name", CLASSES)
def test_state_that_does_not_fit_changes_nothing(name):
    optimizer = CLASSES[name](np.ones(3))
    optimizer.step(np.ones(3))
    good = optimizer.state_dict()
    other = {key: x + 1 for key, x in good.items()}
    for wrong in (
        {key: x for key, x in other.items() if key != "v"},
        other | {"velocity": np.zeros(3)},
        other | {"v": np.ones(4)},
        other | {"v": np.ones(3, np.float32)},
        other | {"step": np.array(-1)},
        other | {"step": np.array([1, 2])},
    ):
        with pytest.raises((ValueError, TypeError), match=rf"^{name}.load_state_dict: state.*: expected"):
            optimizer.load_state_dict(wrong)
        for key, x in optimizer.state_dict().items():
            np.testing.assert_array_equal(x, good[key])


def test_adam_and_adamw_agree_without_decay(run):
    np.testing.assert_array_equal(
        trained("Adam", run, weight_decay=0.0), trained("AdamW", run, weight_decay=0.0)
    )
