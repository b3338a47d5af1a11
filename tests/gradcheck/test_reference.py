"""Which of the two derivatives becomes the reference, and the range of slopes at a kink."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.gradcheck.reference import reference

X = np.random.default_rng(0).standard_normal(5)
DOUT = np.random.default_rng(1).standard_normal(5)


def test_complex_step_where_it_agrees():
    found = reference(lambda x: np.exp(x), {"x": X}, "x", DOUT)
    assert found.method == "complex step"
    assert np.max(np.abs(found.gradient - DOUT * np.exp(X))) <= 1e-15


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.array([complex(v).real ** 2 for v in x]) + 0 * x,  # runs, and drops the imaginary part
        lambda x: np.array([v.real**2 for v in x]) + 0j * x.real,
        lambda x: x**3 if np.iscomplexobj(x) else x**2,  # another branch
        lambda x: np.where(np.arange(5) == 3, x.real, x) ** 2,  # wrong in one entry alone
        lambda x: x * np.conj(x),
    ],
)
def test_stencil_where_complex_code_does_something_else(f):
    def real_for_real(x):
        return f(x) if np.iscomplexobj(x) else np.asarray(f(x)).real

    found = reference(real_for_real, {"x": X}, "x", DOUT)
    assert found.method == "9-point stencil"


def test_each_output_may_take_its_own_side_at_a_kink():
    """At x = 0 of relu(x w), taking 0 everywhere is a right choice outside the two slopes of the sum."""
    w, dout = np.array([1.0, -2.0]), np.array([3.0, -1.0])
    found = reference(lambda x: np.maximum(x * w, 0), {"x": np.zeros(1)}, "x", dout)
    # output 0: slopes 0 or 3; output 1 (slope -2 to the left): 2 or 0
    assert found.kinks.tolist() == [True]
    assert found.low == pytest.approx([0], abs=1e-5)
    assert found.high == pytest.approx([5], abs=1e-5)


def test_a_function_too_fast_for_any_stencil_is_left_to_the_complex_step():
    x = 1e-8 * np.array([0.3, -1.0, 2.0])
    found = reference(lambda x: np.sin(1e8 * x), {"x": x}, "x", np.ones(3))
    assert found.method == "complex step"
    assert np.allclose(found.gradient, 1e8 * np.cos(1e8 * x), rtol=1e-12)


def attention_of_added_scores(q, k, v, keep):
    s = q @ k.T / np.sqrt(q.shape[-1]) + np.where(keep, 0, -1e9)
    e = np.exp(s - s.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 35])
def test_stairs_are_no_reason_to_leave_the_complex_step(seed):
    """A row whose scores are all -1e9 has seven digits left: a narrow stencil sees one step, or none."""
    rng = np.random.default_rng(seed)
    q, k, v = (rng.standard_normal((n, 3)) for n in (4, 5, 5))
    keep = rng.random((4, 5)) < 0.6
    keep[1] = False
    found = reference(
        attention_of_added_scores, {"q": q, "k": k, "v": v, "keep": keep}, "k", rng.standard_normal((4, 3))
    )
    assert found.method == "complex step"


def test_stairs_are_no_reason_to_believe_a_complex_step_that_lost_a_part():
    def stairs(x):
        kept = x.real if np.iscomplexobj(x) else x
        return np.sin(x + 1e9 - 1e9) + 0.01 * kept

    x = np.random.default_rng(0).standard_normal(5)
    assert reference(stairs, {"x": x}, "x", np.ones(5)).method == "9-point stencil"


def test_no_kink_where_the_outputs_are_zero():
    found = reference(lambda x: x**2, {"x": np.zeros(3)}, "x", np.ones(3))
    assert not found.kinks.any()
    assert reference(lambda x: np.abs(x) ** 1.0, {"x": np.zeros(3)}, "x", np.ones(3)).kinks.all()


@pytest.mark.parametrize("lost", [1e-6, 1e-7, 1e-8])
@pytest.mark.parametrize("real_only", [lambda x: np.linalg.norm(x) ** 2, lambda x: np.abs(x).sum()])
def test_a_small_part_that_the_complex_step_loses_makes_the_stencil_the_reference(real_only, lost):
    A = np.random.default_rng(2).standard_normal((4, 5))
    found = reference(lambda x: ((A @ x) ** 2).sum() + lost * real_only(x), {"x": X}, "x", np.ones(()))
    assert found.method == "9-point stencil"


@pytest.mark.parametrize("size", [2e-6, 1e-5, 1.0])
def test_a_variance_whose_imaginary_part_is_dropped(size):
    def norm(x):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)

    x, dout = size * np.random.default_rng(0).standard_normal((2, 6)), np.ones((2, 6))
    assert reference(norm, {"x": x}, "x", dout * np.arange(6)).method == "9-point stencil"


def test_two_steps_that_agree_by_luck_are_no_reason_to_leave_the_complex_step(monkeypatch):
    """An error estimate that is a thousand times too small: asked again, the stencil contradicts itself."""
    import npformer.gradcheck.reference as module

    def lucky(*args):
        d = right(*args)
        return d._replace(gradient=d.gradient * (1 + 1e-9), error=0 * d.error)

    right = module.stencil_gradient
    monkeypatch.setattr(module, "stencil_gradient", lucky)
    assert reference(lambda x: np.exp(x), {"x": X}, "x", DOUT).method == "complex step"


@pytest.mark.parametrize(
    "flat",
    [
        lambda x: np.sign(x),
        lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True),
        lambda x: np.asarray((x * x).sum() / np.linalg.norm(x) ** 2),
        lambda x: (x - x.mean()) / np.sqrt(np.var(x)),  # of two features: -1 and 1
    ],
)
@pytest.mark.parametrize("size", [1.0, 30.0])
def test_a_zero_gradient_is_no_reason_to_believe_a_complex_step_that_lost_a_part(flat, size):
    rows = size * np.array([[1.3], [-0.7]])
    dout = np.random.default_rng(1).standard_normal(np.shape(flat(rows)))
    found = reference(flat, {"x": rows}, "x", dout)
    assert found.method == "9-point stencil"
    assert np.max(np.abs(found.gradient)) <= 1e-12


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda x: np.sqrt(x), lambda x: 0.5 / np.sqrt(x)),
        (lambda x: np.log(x), lambda x: 1 / x),
        (lambda x: x * np.log(x), lambda x: np.log(x) + 1),
    ],
)
def test_the_complex_step_stands_where_the_stencil_leaves_the_domain(f, slope):
    x = np.array([1e-7, 1e-12, 1.0, 2.0])
    found = reference(f, {"x": x}, "x", np.ones(4))
    assert found.method == "complex step"
    assert np.allclose(found.gradient, slope(x), rtol=1e-12, atol=0)


def test_a_complex_step_that_nothing_supports_stands_for_nothing():
    at_zero = reference(lambda x: np.sqrt(x), {"x": np.array([0.0, 1.0])}, "x", np.ones(2))
    assert np.isfinite(at_zero.gradient).tolist() == [False, True]
    x = np.array([1e-9, 1.0, 2.0])

    def lost_at_one_entry(x):
        return np.sqrt(np.where(np.arange(3) == 0, x.real, x)) + np.where(np.arange(3) == 0, 0.1, 0) * x

    found = reference(lost_at_one_entry, {"x": x}, "x", np.ones(3))
    assert np.isfinite(found.gradient).tolist() == [False, True, True]
    alone = reference(lambda x: np.sqrt(x), {"x": np.array([1e-9])}, "x", np.ones(1))
    assert not np.isfinite(alone.gradient).any()


@pytest.mark.parametrize("size", [1e-5, 1e-6, 1e-7])
def test_a_norm_of_tiny_numbers(size):
    """They turn round within 1e-6, and the wider steps of a stencil see a jump."""

    def unit(x):
        return x / np.sqrt((x * x).sum())

    for seed in range(12):
        x = size * np.random.default_rng([seed, 9]).standard_normal(5)
        u = x / np.linalg.norm(x)
        exact = (DOUT - u * (DOUT @ u)) / np.linalg.norm(x)
        found = reference(unit, {"x": x}, "x", DOUT)
        assert found.method == "complex step"
        assert np.max(np.abs(found.gradient - exact)) <= 1e-12 * np.max(np.abs(exact))


@pytest.mark.parametrize("size", [1e-5, 3e-6, 1e-6])
def test_a_norm_of_tiny_numbers_where_no_complex_ones_go(size):
    for seed in range(12):
        x = size * np.random.default_rng([seed, 9]).standard_normal(5)
        u = x / np.linalg.norm(x)
        exact = (DOUT - u * (DOUT @ u)) / np.linalg.norm(x)
        found = reference(lambda x: x / np.linalg.norm(x), {"x": x}, "x", DOUT)
        assert found.method == "9-point stencil"
        assert np.all(np.abs(found.gradient - exact) <= 10 * found.error + 1e-11 * np.max(np.abs(exact)))
        assert np.max(found.error) <= 1e-5 * np.max(np.abs(exact))
