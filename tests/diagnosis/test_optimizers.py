"""Every catalogued mistake of an update is caught and named at every seed; right updates pass."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from npformer.diagnosis.optimizers import HYPERPARAMETERS, MISTAKES, RULES, _replay, check_optimizer
from npformer.optim import SGD, Adam, AdamW
from npformer.teaching.museum import OPTIMIZER_INDEX

SEEDS = range(20)


def adam(x, g, state, wrong=(), decay=0.0):
    """As somebody writes it, in other words than the rule's."""
    lr, b1, b2, eps = 0.05, 0.8, 0.95, 1e-3
    if "betas-swapped" in wrong:
        b1, b2 = b2, b1
    m, v, t = state or (np.zeros_like(x), np.zeros_like(x), 0)
    t += 1
    if "l2-for-decoupled-decay" in wrong:
        g = g + decay * x
    old_m, old_v = m, v
    m = m + (1 - b1) * (g - m)
    s = m if "second-moment-of-m" in wrong else g
    v = v + (1 - b2) * (s**2 - v)
    use_m, use_v = (old_m, old_v) if "update-before-moments" in wrong else (m, v)
    late = max(t - 1, 0) if "bias-correction-late" in wrong else 1 if "step-count-stuck" in wrong else t
    c1, c2 = (1 - b1**late or 1.0), (1 - b2**late or 1.0)
    if "bias-correction-missing" in wrong:
        c1 = c2 = 1.0
    if "bias-correction-of-m-missing" in wrong:
        c1 = 1.0
    if "bias-correction-of-v-missing" in wrong:
        c2 = 1.0
    v_hat = use_v / c2
    bottom = v_hat**0.5 + eps
    if "eps-inside-the-root" in wrong:
        bottom = (v_hat + eps) ** 0.5
    if "eps-before-correction" in wrong:
        bottom = (use_v**0.5 + eps) / c2**0.5
    if "root-missing" in wrong:
        bottom = v_hat + eps
    new = x - lr * (use_m / c1) / bottom * (-1 if "ascent" in wrong else 1)
    if decay and not {"decay-missing", "l2-for-decoupled-decay"} & set(wrong):
        rate = 1.0 if "decay-without-rate" in wrong else -lr if "decay-sign" in wrong else lr
        new = new - rate * decay * (new if "decay-after-the-step" in wrong else x)
    return new, (m, v, t)


def sgd(x, g, state, wrong=()):
    old = np.zeros_like(x) if state is None else state
    share = 0.3 if "momentum-damped" in wrong else 1.0
    new = 0.7 * old + share * g
    used = old if "update-before-momentum" in wrong else new
    if "nesterov" in wrong:
        used = g + 0.7 * new
    return x + 0.05 * used * (1 if "ascent" in wrong else -1), new


STUDENTS = {
    "sgd": sgd,
    "adam": adam,
    "adamw": lambda x, g, state, wrong=(): adam(x, g, state, wrong, decay=0.1),
}
ALL = [(rule, name) for rule, names in OPTIMIZER_INDEX.items() for name, _ in names]


def judged(rule, wrong, seed):
    step = STUDENTS[rule]
    return check_optimizer(lambda x, g, s: step(x, g, s, wrong), rule, rng=np.random.default_rng(seed))


def test_the_mistakes_are_the_indexs():
    assert {rule: list(names) for rule, names in MISTAKES.items()} == {
        rule: [name for name, _ in names] for rule, names in OPTIMIZER_INDEX.items()
    }


@pytest.mark.parametrize("rule", RULES)
def test_right_ones_pass(rule):
    for seed in SEEDS:
        judged(rule, (), seed).raise_if_failed()


@pytest.mark.parametrize(("rule", "name"), ALL)
def test_each_mistake_is_caught_and_named_at_every_seed(rule, name):
    for seed in SEEDS:
        report = judged(rule, (name,), seed)
        assert not report.passed
        assert report.names == {name}, str(report)


@pytest.mark.parametrize(
    "rule", [pytest.param(rule, marks=pytest.mark.thorough if rule == "adam" else ()) for rule in RULES]
)
def test_pairs_are_caught_and_nearly_all_named(rule):
    named = total = 0
    for pair in itertools.combinations(MISTAKES[rule], 2):
        report = judged(rule, pair, 0)
        alone = [np.array_equal(path(rule, pair), path(rule, (name,))) for name in pair]
        if any(alone):
            continue  # one hides the other
        assert not report.passed
        total += 1
        named += report.names == set(pair)
    assert named >= 0.8 * total


def path(rule, wrong):
    rng = np.random.default_rng(0)
    x, state, found = rng.standard_normal(6), None, []
    for g in rng.standard_normal((6, 6)):
        x, state = STUDENTS[rule](x, g, state, wrong)
        found.append(x)
    return np.stack(found)


@pytest.mark.parametrize("rule", RULES)
def test_npformers_own(rule):
    h = HYPERPARAMETERS[rule]
    make = {
        "sgd": lambda p: SGD(p, lr=h["lr"], momentum=h["momentum"]),
        "adam": lambda p: Adam(p, lr=h["lr"], betas=(h["beta1"], h["beta2"]), eps=h["eps"]),
        "adamw": lambda p: AdamW(
            p, lr=h["lr"], betas=(h["beta1"], h["beta2"]), eps=h["eps"], weight_decay=h["weight_decay"]
        ),
    }[rule]

    def step(x, g, state):
        p, optimizer = state or (x.copy(), None)
        optimizer = optimizer or make(p)
        optimizer.step(g)
        return p.copy(), (p, optimizer)

    check_optimizer(step, rule).raise_if_failed()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda x, g, s: x - g, "expected (params, state)"),
        (lambda x, g, s: (x - np.multiply(g, 2, out=g), s), "changed the gradient in place"),
        (lambda x, g, s: ((x - g).sum(), s), "shape ()"),
        (lambda x, g, s: (x - g / np.sqrt(g * g), s), "at entry 4, where the gradient was 0"),
        (lambda x, g, s: (x - 0.123 * g, s), "No known mistake"),
    ],
)
def test_other_ends(step, words):
    with np.errstate(all="ignore"):
        report = check_optimizer(step, "adam")
    assert not report.passed
    assert words in str(report)
    with pytest.raises(AssertionError, match="FAILED"):
        report.raise_if_failed()


def test_bad_arguments():
    assert np.allclose(_replay("sgd", {}, np.ones(2), np.ones((1, 2)), HYPERPARAMETERS["sgd"]), 0.95)
    with pytest.raises(ValueError, match="expected one of sgd, adam, adamw, got 'rprop'"):
        check_optimizer(sgd, "rprop")
    with pytest.raises(ValueError, match="eps: expected one of lr, momentum"):
        check_optimizer(sgd, "sgd", eps=1.0)


def test_other_hyperparameters_are_told():
    def mine(x, g, state):
        m, v, t = state or (0, 0, 0)
        m, v, t = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g, t + 1
        return x - 1e-3 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), (m, v, t)

    report = check_optimizer(mine, "adam")
    assert report.names == {"other-hyperparameters"}
    assert "lr = 0.001, beta1 = 0.9, beta2 = 0.999, eps = 1e-08" in report.sentence
    assert "lr = 0.05, beta1 = 0.8" in str(report)
    assert check_optimizer(mine, "adam", lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8)


def test_a_count_from_zero_is_told():
    def mine(x, g, state):
        m, v, t = state or (0, 0, 0)
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g
        with np.errstate(all="ignore"):
            new = x - 0.05 * (m / (1 - np.float64(0.8) ** t)) / (
                np.sqrt(v / (1 - np.float64(0.95) ** t)) + 1e-3
            )
        return new, (m, v, t + 1)

    assert check_optimizer(mine, "adam").names == {"step-count-from-zero"}


def test_a_division_by_zero_where_the_gradient_is_zero_is_no_count_from_zero():
    def mine(x, g, state):
        m, v, t = state or (0, 0, 0)
        m, v, t = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g, t + 1
        with np.errstate(all="ignore"):
            return x - 0.05 * (m / (1 - 0.8**t)) / np.sqrt(v / (1 - 0.95**t)), (m, v, t)

    report = check_optimizer(mine, "adam")
    assert not report.names
    assert "at entry 4, where the gradient was 0" in report.sentence


def test_float32_is_told():
    def single(x, g, state):
        new, state = adam(x, g, state)
        return new.astype(np.float32), state

    assert check_optimizer(single, "adam").names == {"float32-inside"}
    with pytest.raises(ValueError, match="steps: expected a positive number, got 0"):
        check_optimizer(adam, "adam", steps=0)


@pytest.mark.parametrize("rate", [0.1, 1e-4])
@pytest.mark.parametrize("name", ["l2-added", "decoupled-decay-added"])
def test_a_decay_where_the_rule_has_none_is_told(name, rate):
    wrong = ("l2-for-decoupled-decay",) if name == "l2-added" else ()
    report = check_optimizer(lambda x, g, s: adam(x, g, s, wrong, decay=rate), "adam")
    assert report.names == {name}
    assert "adam has no weight decay" in report.sentence


def adamw_in_another_form(lr, decay):
    """The decay first, as a factor of x: what is left is rounded as x is, however small the rate."""

    def step(x, g, state):
        m, v, t = state or (0.0, 0.0, 0)
        t += 1
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g
        x = x * (1 - lr * decay)
        return x - lr * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-3), (m, v, t)

    return step


@pytest.mark.parametrize("lr", [0.05, 1e-5, 1e-7, 1e-8])
def test_a_small_rate_does_not_make_rounding_a_mistake(lr):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        report = check_optimizer(adamw_in_another_form(lr, 0.1), "adamw", lr=lr, rng=rng)
        assert report.passed, report.sentence
    wrong = check_optimizer(adamw_in_another_form(lr, 0.0), "adamw", lr=lr)
    assert not wrong.passed
    assert wrong.names == {"decay-missing"}


@pytest.mark.parametrize("lr", [1e-7, 1e-12, 1e-17])
def test_a_step_that_does_nothing_never_agrees(lr):
    report = check_optimizer(lambda x, g, state: (x.copy(), None), "adamw", lr=lr)
    assert report.passed == (lr < 1e-16)  # which moves nothing either
