"""The parts that cases are made of."""

from __future__ import annotations

import numpy as np
import pytest

from npformer import functional
from npformer.proof.cases.case import GRADIENTS, Draw, FixedRandom, KeepRandom, ReplayedRandom


@pytest.fixture
def draw() -> Draw:
    return Draw(np.random.default_rng(0))


def linear_case(draw: Draw, **inputs: np.ndarray):
    return draw.case("linear", "", {"x": draw.normal(4, 5), "weight": draw.weight(5, 3), **inputs})


def test_a_fixed_source_starts_anew_every_time(draw: Draw) -> None:
    make = draw.random()
    first, second = make(), make()
    np.testing.assert_array_equal(first.random((3, 2)), second.random((3, 2)))
    assert len(first.drawn) == 1
    assert not np.array_equal(first.random((3, 2)), first.drawn[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stored_masks_are_kept_exactly(dtype: type) -> None:
    keep = np.random.default_rng(0).random((4, 5)) < 0.5
    for p in (1e-9, 0.3, 0.999):
        np.testing.assert_array_equal(KeepRandom([keep]).random((4, 5), dtype=dtype) >= p, keep)


def test_a_stored_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(4, 5\), the stored mask's shape, got \(5, 4\)"):
        KeepRandom([np.ones((4, 5), dtype=bool)]).random((5, 4))


def test_a_stored_mask_makes_the_same_dropout_as_the_source_it_came_from(draw: Draw) -> None:
    x, source = draw.normal(3, 4), FixedRandom(7)
    out, _ = functional.dropout(x, 0.4, source)
    again, _ = functional.dropout(x, 0.4, KeepRandom([source.drawn[0] >= 0.4]))
    np.testing.assert_array_equal(again, out)


def test_stored_numbers_are_drawn_again_as_they_were() -> None:
    u = np.random.default_rng(0).random((2, 3))
    source = ReplayedRandom([u])
    np.testing.assert_array_equal(source.random((2, 3), dtype=np.float64), u)
    assert len(source.drawn) == 1
    for size, dtype in (((3, 2), np.float64), ((2, 3), np.float32)):
        with pytest.raises(ValueError, match=r"ReplayedRandom: expected float64 \(2, 3\), got float"):
            ReplayedRandom([u]).random(size, dtype=dtype)


def test_what_a_case_keeps_is_what_its_dropout_keeps(draw: Draw) -> None:
    q, k, v = draw.normal(2, 3, 4, 2), draw.normal(2, 3, 5, 2), draw.normal(2, 3, 5, 5)
    v[:] = np.eye(5)  # so that the output is the weights
    inputs = {"q": q, "k": k, "v": v}
    drawn = {"scaled_dot_product_attention": (2, 3, 4, 5), "flash_attention": (2, 3)}
    for op, shape in drawn.items():
        case = draw.case(op, "", inputs, dropout_p=0.4, dropout=True)
        (u,), (keep,) = case.kept()
        assert u.shape == shape
        np.testing.assert_array_equal(case.forward(**inputs)[0] != 0, keep)
    assert draw.case("flash_attention", "", inputs).kept() == ([], [])


def test_a_missing_gradient_is_noticed(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    case = linear_case(draw, bias=draw.normal(3))
    _, cache = case.forward(**case.inputs)
    true = functional.linear_backward
    monkeypatch.setattr(functional, "linear_backward", lambda dout, cache: (*true(dout, cache)[:2], None))
    with pytest.raises(ValueError, match="dbias: expected a gradient, got None"):
        case.backward(case.dout, cache)


def test_a_gradient_for_nothing_is_noticed(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    case = linear_case(draw)
    _, cache = case.forward(**case.inputs)
    true = functional.linear_backward
    monkeypatch.setattr(functional, "linear_backward", lambda dout, cache: (*true(dout, cache)[:2], dout))
    with pytest.raises(ValueError, match="dbias: expected None, got a gradient"):
        case.backward(case.dout, cache)


def test_one_gradient_too_few_is_noticed(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    case = linear_case(draw)
    _, cache = case.forward(**case.inputs)
    true = functional.linear_backward
    monkeypatch.setattr(functional, "linear_backward", lambda dout, cache: true(dout, cache)[:2])
    with pytest.raises(ValueError, match="zip"):
        case.backward(case.dout, cache)


def test_gradients_come_in_the_order_of_the_forwards_arguments() -> None:
    import inspect

    for op, names in GRADIENTS.items():
        arguments = [name for name in inspect.signature(getattr(functional, op)).parameters if name in names]
        assert arguments == list(names), op


def test_astype_casts_real_arrays_and_nothing_else(draw: Draw) -> None:
    targets, weight = np.array([0.0, 1.0]), np.array([0.5, 2.0])
    case = draw.case(
        "binary_cross_entropy_with_logits", "", {"logits": draw.normal(2)}, targets=targets, weight=weight
    ).astype(np.float32)
    assert case.inputs["logits"].dtype == case.dout.dtype == case.arguments["weight"].dtype == np.float32
    ids = draw.case("embedding", "", {"table": draw.normal(5, 2)}, ids=np.arange(3)).astype(np.float32)
    assert ids.arguments["ids"].dtype.kind == "i"


def test_draws_are_as_they_say(draw: Draw) -> None:
    for _ in range(20):
        mask = draw.mask(2, 1, 3, 5)
        kept = mask.reshape(-1, 5).sum(axis=1)
        assert kept[-1] == 0
        assert (kept[:-1] >= 2).all()
        assert (kept[:-1] <= 4).all()
        assert (np.abs(draw.away_from_zero(30)) >= 0.3).all()
        ids = draw.ids(7, 2, 5)
        assert len(np.unique(ids)) < ids.size
        assert ((draw.gamma(9) > 0.5) & (draw.gamma(9) < 1.5)).all()
