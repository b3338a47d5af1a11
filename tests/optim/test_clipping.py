import math

import numpy as np
import pytest

from npformer.optim import SGD, clip_by_global_norm, global_norm
from npformer.optim import _arguments as arguments


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_gradient_is_brought_to_the_norm(dtype):
    grad = np.random.default_rng(0).standard_normal(arguments.CHUNK + 5).astype(dtype)
    before = grad.copy()
    norm = clip_by_global_norm(grad, 2.0)
    assert grad.dtype == dtype
    assert norm == pytest.approx(math.sqrt(math.fsum(float(x) ** 2 for x in before)), rel=1e-14)
    factor = 2.0 / (norm + 1e-6)
    np.testing.assert_array_equal(grad, before * factor)
    assert global_norm(grad) == pytest.approx(2.0, rel=1e-7)


def test_short_gradient_keeps_its_bits():
    grad = np.array([0.3, -0.4])
    assert clip_by_global_norm(grad, 0.6) == pytest.approx(0.5, rel=1e-15)
    np.testing.assert_array_equal(grad, [0.3, -0.4])


def test_by_hand():
    grad = np.array([3.0, 0.0, -4.0])
    assert clip_by_global_norm(grad, 0.5) == 5.0
    np.testing.assert_allclose(grad, np.array([3, 0, -4]) * 0.5 / 5.000001, rtol=1e-15)


@pytest.mark.extra
@pytest.mark.parametrize("max_norm", [0.1, 3.0, 1e3, float("inf")])
def test_follows_torch(max_norm):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    grad = np.random.default_rng(1).standard_normal(23)
    parameters = [torch.nn.Parameter(torch.zeros(n)) for n in (5, 18)]
    for parameter, g in zip(parameters, np.split(grad, [5]), strict=True):
        parameter.data = parameter.data.double()
        parameter.grad = torch.tensor(g)
    theirs = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    assert clip_by_global_norm(grad, max_norm) == pytest.approx(float(theirs), rel=1e-14)
    np.testing.assert_allclose(grad, np.concatenate([p.grad.numpy() for p in parameters]), rtol=1e-14)


def test_zero_and_empty():
    grad = np.zeros(3)
    assert clip_by_global_norm(grad, 1.0) == 0.0
    np.testing.assert_array_equal(grad, 0)
    assert clip_by_global_norm(np.zeros(0), 1.0) == 0.0


@pytest.mark.parametrize(
    ("dtype", "size"),
    [(np.float32, 1e30), (np.float32, 1e-30), (np.float64, 1e200), (np.float64, 1e-200), (np.float64, 1e307)],
)
def test_squares_out_of_range_do_not_matter(dtype, size):
    grad = (np.array([3.0, -4.0, 12.0]) * size).astype(dtype)
    assert global_norm(grad) == pytest.approx(13 * size, rel=1e-6)
    if size > 1:
        clip_by_global_norm(grad, 1.0)
        np.testing.assert_allclose(grad, np.array([3, -4, 12]) / 13, rtol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_that_is_not_finite_is_reported_and_left_alone(bad, dtype):
    grad = np.array([1.0, bad, 2.0], dtype)
    assert not math.isfinite(clip_by_global_norm(grad, 0.1))
    np.testing.assert_array_equal(grad, np.array([1.0, bad, 2.0], dtype))


def test_clipping_after_the_update_would_be_seen():
    """The order matters even where the rate is constant: the update must see the clipped gradient."""
    right, late = np.zeros(2), np.zeros(2)
    grad = np.array([30.0, 40.0])
    SGD(late, lr=1.0).step(grad)
    clip_by_global_norm(grad, 1.0)
    SGD(right, lr=1.0).step(grad)
    np.testing.assert_allclose(right, [-0.6, -0.8], rtol=1e-7)
    np.testing.assert_array_equal(late, [-30, -40])


@pytest.mark.parametrize("max_norm", [0.0, -1.0, math.nan, -math.inf, "1", None])
def test_bad_norm_is_named_and_changes_nothing(max_norm):
    grad = np.array([3.0, 4.0])
    with pytest.raises((ValueError, TypeError), match=r"^clip_by_global_norm: max_norm: expected"):
        clip_by_global_norm(grad, max_norm)
    np.testing.assert_array_equal(grad, [3, 4])


@pytest.mark.parametrize(
    "grad", [np.ones((2, 2)), np.ones(4)[::2], np.ones(2, int), [1.0], np.ones(2, complex)]
)
def test_bad_gradient_is_named(grad):
    with pytest.raises((ValueError, TypeError), match=r"^clip_by_global_norm: grad: expected"):
        clip_by_global_norm(grad, 1.0)
    with pytest.raises((ValueError, TypeError), match=r"^global_norm: grad: expected"):
        global_norm(grad)


def test_parts_are_clipped_by_the_norm_of_the_whole():
    grad = np.random.default_rng(0).standard_normal(10)
    whole, parts = grad.copy(), grad.copy()
    norm = clip_by_global_norm(whole, 0.5)
    for part in (parts[:3], parts[3:]):
        assert clip_by_global_norm(part, 0.5, norm=norm) == norm
    assert np.array_equal(parts, whole)
