import math

import pytest

from npformer.optim import constant, cosine, linear, noam


def test_constant():
    rate = constant(0.3)
    assert [rate(s) for s in (0, 1, 10**9)] == [0.3, 0.3, 0.3]


@pytest.mark.parametrize(
    "make",
    [
        lambda w: constant(0.5, w),
        lambda w: linear(0.5, 99, w),
        lambda w: cosine(0.5, 99, w),
        lambda w: noam(0.5, w),
    ],
)
def test_warmup_is_a_straight_line_to_the_peak(make):
    rate = make(4)
    assert [rate(s) for s in range(5)] == [0.1, 0.2, pytest.approx(0.3, rel=1e-15), 0.4, 0.5]
    assert make(0)(0) == 0.5


def test_linear_at_the_marks():
    rate = linear(0.9, total_steps=13, warmup_steps=3, final_lr=0.1)
    assert rate(0) == 0.225
    assert rate(3) == 0.9
    assert rate(8) == pytest.approx(0.5, rel=1e-15)  # half way from 3 to 13
    assert rate(12) == pytest.approx(0.18, rel=1e-15)  # the last step
    assert [rate(13), rate(14), rate(10**6)] == [0.1, 0.1, 0.1]


def test_cosine_at_the_marks():
    rate = cosine(0.9, total_steps=13, warmup_steps=3, final_lr=0.1)
    assert rate(0) == 0.225
    assert rate(3) == 0.9
    assert rate(8) == pytest.approx(0.5, rel=1e-15)
    assert rate(5) == pytest.approx(0.1 + 0.8 * (1 + math.cos(math.pi / 5)) / 2, rel=1e-15)
    assert rate(12) == pytest.approx(0.1 + 0.8 * (1 + math.cos(0.9 * math.pi)) / 2, rel=1e-15)
    assert [rate(13), rate(14), rate(10**6)] == [0.1, 0.1, 0.1]


def test_noam_is_the_papers():
    d_model, warmup = 512, 4000
    rate = noam((d_model * warmup) ** -0.5, warmup_steps=warmup - 1)
    for step in (1, 7, 3999, 4000, 4001, 100_000):  # the paper counts from 1
        expected = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert rate(step - 1) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("make", [linear, cosine])
def test_rises_then_falls_and_wastes_no_step(make):
    rates = [make(1.0, total_steps=50, warmup_steps=10)(s) for s in range(50)]
    assert max(rates) == rates[10] == 1.0
    assert all(a < b for a, b in zip(rates[:10], rates[1:11], strict=True))
    assert all(a > b for a, b in zip(rates[10:-1], rates[11:], strict=True))
    assert min(rates) > 0


@pytest.mark.parametrize("make", [linear, cosine])
def test_warmup_as_long_as_the_run(make):
    rate = make(1.0, total_steps=4, warmup_steps=4, final_lr=0.25)
    assert [rate(s) for s in range(6)] == [0.2, 0.4, pytest.approx(0.6), 0.8, 0.25, 0.25]


@pytest.mark.extra
def test_cosine_follows_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.9)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20, eta_min=0.1)
    ours = cosine(0.9, total_steps=20, final_lr=0.1)
    for step in range(21):
        assert ours(step) == pytest.approx(theirs.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(
    ("keywords", "name"),
    [
        ({"lr": math.nan}, "lr"),
        ({"lr": -1.0}, "lr"),
        ({"lr": math.inf}, "lr"),
        ({"total_steps": 0}, "total_steps"),
        ({"total_steps": 10.0}, "total_steps"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"warmup_steps": 11}, "warmup_steps"),
        ({"warmup_steps": 0.1}, "warmup_steps"),
        ({"final_lr": -0.1}, "final_lr"),
        ({"final_lr": math.nan}, "final_lr"),
    ],
)
@pytest.mark.parametrize("make", [linear, cosine])
def test_bad_numbers_are_named(make, keywords, name):
    with pytest.raises((ValueError, TypeError), match=f"^{make.__name__}: {name}: expected"):
        make(**({"lr": 1.0, "total_steps": 10} | keywords))


def test_bad_numbers_of_constant_and_bad_steps():
    with pytest.raises(ValueError, match=r"^constant: lr: expected"):
        constant(math.nan)
    with pytest.raises(ValueError, match=r"^constant: warmup_steps: expected"):
        constant(1.0, -1)
    for make in (constant(1.0), linear(1.0, 5), cosine(1.0, 5)):
        with pytest.raises(ValueError, match="step: expected"):
            make(-1)
        with pytest.raises(TypeError, match="step: expected"):
            make(0.5)
