"""The textbook is the op: recognised from the output alone, with the op's own gradients in its last lines."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from npformer import functional
from npformer.diagnosis import check
from npformer.diagnosis.program import program
from npformer.diagnosis.recognise import recognise
from npformer.diagnosis.textbook import TEXTBOOK
from npformer.proof.cases import OPS, cases
from npformer.proof.cases.case import CONSTANTS


def stated(case):
    if case.op in CONSTANTS:
        return False
    if case.op == "multi_head_attention":  # the textbook's is self-attention, without norm, rotation or at
        plain = "gamma_q" not in case.inputs and "positions_q" not in case.arguments
        return "x_kv" not in case.inputs and plain
    if case.op == "rotary" and "real" in case.variant:  # positions are recognised among integers
        return False
    return not (case.op == "cross_entropy" and "every target" in case.variant)


CASES = [case for op in OPS for case in cases(op, 0) if stated(case)]


@pytest.mark.parametrize("case", CASES, ids=[f"{c.op}, {c.variant}" for c in CASES])
@pytest.mark.parametrize("told", [True, False])
def test_the_textbook_gives_the_ops_gradients(case, told):
    out, cache = case.forward(**case.inputs)
    arguments = {k: v for k, v in case.arguments.items() if v is not None and k != "at"}
    inputs = {**case.inputs, **arguments}
    forward = getattr(functional, case.op)

    def output_at(changed):
        return case.forward(**{**case.inputs, **changed})[0]

    op = case.op if told else None
    found = recognise(op, inputs, np.asarray(out), case.dout, cache, forward, output_at)
    if not told and case.op == "dropout" and case.arguments["p"] == 0:  # the identity: nobody could tell
        assert found is None
        return
    assert found is not None
    if told:
        capped = case.arguments.keys() & {"window", "softcap"}
        expected = ("softcapped_attention",) if capped else (case.op, f"{case.op}_tanh")
        assert found.op in (("hard_negatives",) if "negatives" in case.inputs else expected)
    gradients = dict(zip(case.inputs, case.backward(case.dout, cache), strict=True))
    for mine, theirs in found.inputs.items():
        if mine not in program(found.op).gradients:
            continue  # weights of a loss: no gradient
        expected = gradients[theirs]
        value = found.values[program(found.op).gradients[mine]]
        scale = max(float(np.max(np.abs(g))) for g in gradients.values())
        assert np.max(np.abs(value - expected)) <= 1e-12 * scale, (mine, theirs)


def test_every_op_of_functional_is_in_the_textbook():
    assert set(OPS) - set(CONSTANTS) <= set(TEXTBOOK)


def test_what_it_does_not_know_is_not_recognised():
    x = np.random.default_rng(0).standard_normal((3, 4))
    assert recognise(None, {"x": x}, np.cbrt(x), x, None, lambda x: np.cbrt(x)) is None
    assert recognise("softmax", {"x": x}, np.cbrt(x), x, None, lambda x: np.cbrt(x)) is None


@pytest.mark.parametrize("f", [lambda x: x * 1.0, lambda x: np.abs(x), lambda x: np.clip(x, 0, 6)])
def test_at_positive_numbers_not_everything_is_a_relu(f):
    x = np.random.default_rng(0).uniform(0.1, 2.0, (3, 4))
    assert recognise(None, {"x": x}, f(x), x, None, f) is None


def test_a_mask_in_the_cache_is_not_taken_for_what_dropout_kept():
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal(shape) for shape in ((2, 4, 3), (2, 5, 3), (2, 5, 6)))
    mask = rng.random((2, 4, 5)) < 0.7
    mask[..., 0] = True

    def attention(q, k, v, mask):
        s = np.where(mask, q @ k.swapaxes(1, 2) / np.sqrt(3), -1e9)
        p = np.exp(s - s.max(-1, keepdims=True))
        p = p / p.sum(-1, keepdims=True)
        return p @ v, (q, k, v, p, mask)

    out, cache = attention(q, k, v, mask)
    found = recognise(None, {"q": q, "k": k, "v": v, "mask": mask}, out, out, cache, attention)
    assert found is not None
    assert found.op == "scaled_dot_product_attention"


@pytest.mark.parametrize("scaled", [lambda x, s: s * x, lambda s, x: s * x, lambda x, s: x / s])
def test_one_number_is_no_weight(scaled):
    """A scalar beside a matrix fits no op's weight: the wrong gradient is told, without a crash."""
    inputs = {"x": np.random.default_rng(0).standard_normal((4, 3)), "s": np.array(2.0)}
    order = list(inspect.signature(scaled).parameters)

    def backward(dout, **inputs):
        wrong = {"x": dout, "s": 2 * np.sum(dout * inputs["x"])}
        return tuple(np.asarray(wrong[name]) for name in order)

    assert check(scaled, backward, inputs)["s"].verdict.name == "WRONG"
