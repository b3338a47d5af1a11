"""Every catalogued mistake is an exhibit, is caught, and is called by the name it was given beforehand."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import npformer
from npformer import functional
from npformer.diagnosis import sample_inputs
from npformer.diagnosis.catalogue import catalogue
from npformer.diagnosis.causes import cause_of
from npformer.teaching.museum import EXHIBITS, INDEX, exhibit, student
from npformer.teaching.museum.lines import LINES

IDS = [f"{e.op}/{e.name}" for e in EXHIBITS]
ARRAYS_ALONE = {"mask-redrawn"}  # no replay can know what was drawn


def test_the_index_and_the_lines_are_one_list():
    assert {op: [name for name, _ in names] for op, names in INDEX.items()} == {
        op: list(lines) for op, lines in LINES.items()
    }
    assert [e.number for e in EXHIBITS] == list(range(1, len(EXHIBITS) + 1))
    assert len(EXHIBITS) >= 100


@pytest.mark.parametrize("op", INDEX)
def test_the_right_ops_pass_and_are_npformers(op):
    forward, backward = student(op)
    npformer.check(forward, backward, sample_inputs(op, 0)).raise_if_failed()  # (test_samples.py: at seed 3)
    if hasattr(functional, op) and op in (
        "softmax",
        "log_softmax",
        "tanh",
        "sigmoid",
        "silu",
        "relu",
        "gelu",
    ):
        x = sample_inputs(op)["x"]
        assert np.allclose(forward(x)[0], getattr(functional, op)(x)[0], rtol=1e-13)


@pytest.mark.parametrize("number", range(1, len(EXHIBITS) + 1), ids=IDS)
def test_it_is_caught_and_named(number, numbers_once):
    small = exhibit(number).op == "flash_attention"  # whose tiles take long: one sequence has all of them
    check_exhibit(number, numbers_once, seeds=[0], sizes={"B": 1} if small else None)


@pytest.mark.thorough
@pytest.mark.parametrize("number", range(1, len(EXHIBITS) + 1), ids=IDS)
def test_it_is_caught_and_named_at_more_seeds(number, numbers_once):
    check_exhibit(number, numbers_once, seeds=range(1, 8))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def check_exhibit(number, numbers_once, seeds, sizes=None):
    found = exhibit(number)
    forward, wrong = found.build()
    for seed in seeds:
        point = found.point(seed) if sizes is None else sample_inputs(found.op, seed, sizes=sizes)
        with np.errstate(all="ignore"), numbers_once(forward):
            report = npformer.check(forward, wrong, point)
        assert not report.passed, f"seed {seed}"
        assert report.names == {found.name}, f"seed {seed}\n{report}"


def test_every_name_has_a_switch_and_a_cause():
    for op, names in INDEX.items():
        known = {switch.identifier for switch in catalogue(op)}
        for name, what in names:
            assert name in known | ARRAYS_ALONE, f"{op}/{name}"
            assert cause_of(name) or name in ("factor-missing", "square-missing", "mask-missing") or what


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("linear/transposed", "linear/averaged-not-summed"),
        ("linear/float32-inside", "linear/weight-not-transposed"),
        ("layer_norm/gamma-forgotten", "layer_norm/rstd-missing"),
        ("layer_norm/x-for-x_hat", "layer_norm/swapped-gradients"),
        ("scaled_dot_product_attention/scale-missing", "scaled_dot_product_attention/outer-p-forgotten"),
        ("scaled_dot_product_attention/scale-missing-in-dk", "scaled_dot_product_attention/wrong-axis"),
        ("multi_head_attention/key-path-missing", "multi_head_attention/full-width-scale"),
        ("dropout/mask-redrawn", "dropout/divided-by-p"),
    ],
)
def test_two_at_once_are_both_named(one, other):
    first, second = exhibit(one), exhibit(other)
    both = first.combine(second)
    at = (first if "not-transposed" in one else second).point(1)
    report = npformer.check(*both, at)
    assert report.names == {first.name, second.name}, str(report)


def test_the_same_line_cannot_be_wrong_twice():
    assert exhibit("softmax/sum-term-missing").combine(exhibit("softmax/sum-term-sign")) is None
    assert exhibit("softmax/sum-term-missing").combine(exhibit("tanh/input-for-output")) is None


def test_no_exhibit_by_that_name():
    with pytest.raises(ValueError, match="op/name or an optimizer, got 'softmax/none'"):
        exhibit("softmax/none")


@pytest.mark.parametrize("number", range(1, len(EXHIBITS) + 1), ids=IDS)
def test_the_replaced_text_stands_there_once(number):
    found = exhibit(number)
    source = inspect.getsource(student(found.op)[1])
    assert [source.count(text) for text in found.right] == [1] * len(found.right)
    assert found.why.endswith(".")
