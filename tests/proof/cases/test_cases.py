"""The points at which the ops are proven are generic, reproducible, and cover what can be asked of an op."""

from __future__ import annotations

import numpy as np
import pytest

from npformer import functional
from npformer.proof.cases import OPS, Case, cases
from npformer.proof.cases.case import CONSTANTS, GRADIENTS

EVERY = [(op, case) for op in OPS for case in cases(op, 0)]


def test_every_op_of_functional_has_cases() -> None:
    forwards = {name.removesuffix("_backward") for name in functional.__all__ if name.endswith("_backward")}
    assert forwards <= set(OPS)
    assert set(OPS) == set(GRADIENTS)


def test_variants_have_names_of_their_own() -> None:
    for op in OPS:
        variants = [case.variant for case in cases(op, 0)]
        assert len(set(variants)) == len(variants), op
        assert not any("/" in variant for variant in variants), op  # it separates names in the stored files


@pytest.mark.parametrize("op", OPS)
def test_the_same_seed_draws_the_same_point_and_another_another(op: str) -> None:
    for first, again, other in zip(cases(op, 3), cases(op, 3), cases(op, 4), strict=True):
        for name, x in first.inputs.items():
            np.testing.assert_array_equal(x, again.inputs[name])
            assert not np.array_equal(x, other.inputs[name])
        np.testing.assert_array_equal(first.dout, again.dout)
        if first.inputs:
            np.testing.assert_array_equal(first.forward(**first.inputs)[0], again.forward(**again.inputs)[0])


@pytest.mark.parametrize(("op", "case"), EVERY, ids=[f"{op}: {case.variant}" for op, case in EVERY])
def test_a_point_is_generic(op: str, case: Case) -> None:
    out, gradients = case.gradients()
    assert case.dout.shape == out.shape
    assert case.dout.size == 1 or len(np.unique(case.dout)) == case.dout.size  # not ones
    assert list(case.inputs) == [name for name in GRADIENTS[op] if name in case.inputs]
    for name, x in case.inputs.items():
        assert x.dtype == np.float64
        assert x.size <= 90
        if name.startswith("gamma"):
            assert not np.isclose(x, 1, atol=1e-6).any()
        if name.startswith(("b", "beta")):
            assert (x != 0).all()
        assert gradients[name].shape == x.shape
        if name in case.zero:
            assert np.abs(gradients[name]).max() < 1e-13
        else:
            assert np.abs(gradients[name]).max() > 1e-3, name  # a gradient of zero would show nothing


def test_every_op_meets_equal_sizes_and_different_ones() -> None:
    for op in OPS:
        if op in CONSTANTS:
            continue
        lengths = [[n for x in case.inputs.values() for n in x.shape] for case in cases(op, 0)]
        assert any(len(set(n)) == 1 for n in lengths) or op == "multi_head_attention", op
        assert any(len(set(n)) > 1 for n in lengths), op


def test_attention_meets_all_that_can_be_asked_of_it() -> None:
    seen = [case.arguments for case in cases("scaled_dot_product_attention", 0)]
    inputs = [case.inputs for case in cases("scaled_dot_product_attention", 0)]
    assert any(a.get("causal") and a.get("query_offset") for a in seen)
    assert any(a.get("scale") for a in seen)
    assert any(a.get("dropout_p") and "mask" in a for a in seen)
    assert any("mask" in a and not a["mask"].any(axis=-1).all() for a in seen)
    assert {i["bias"].shape for i in inputs if "bias" in i} == {(2, 1, 5), (3, 5), (2, 4, 5), (4, 1, 6)}
    assert {bool(a.get("causal")) for a in seen if a.get("window")} == {True, False}
    assert any(a.get("softcap") and "mask" in a and a.get("dropout_p") for a in seen)
    assert any(a.get("softcap") and a.get("window") for a in seen)
    blind = [a for a in seen if a.get("window") and a.get("query_offset") and "mask" not in a]
    assert any(a["query_offset"] + 4 - a["window"] >= 5 for a in blind)  # a query beyond the keys' window
    assert any(i["q"].shape[1] > i["k"].shape[1] for i in inputs if i["q"].ndim == 4)
    assert any(i["q"].shape[-2] != i["k"].shape[-2] and i["v"].shape[-1] != i["k"].shape[-1] for i in inputs)
    heads = cases("multi_head_attention", 0)
    assert any(case.arguments.get("x_kv", 1) is None for case in heads)
    assert any("x_kv" in case.inputs for case in heads)
    assert any(case.arguments.get("at") is not None and case.random is not None for case in heads)
    assert any("b_q" not in case.inputs for case in heads)
    normed = [case for case in heads if "gamma_q" in case.inputs]
    assert any(case.arguments.get("rotary_interleaved") and case.arguments.get("softcap") for case in normed)
    assert any("bias" in case.inputs and "x_kv" in case.inputs for case in normed)


def test_tiles_meet_all_that_can_be_asked_of_them() -> None:
    every = cases("flash_attention", 0)
    seen = [case.arguments for case in every]
    assert any(a.get("causal") and a.get("window") and a.get("softcap") for a in seen)
    assert any(a.get("window") and not a.get("causal") for a in seen)
    assert any(
        a.get("dropout_p") and "mask" in a and "bias" in c.inputs for a, c in zip(seen, every, strict=True)
    )
    assert any(c.inputs["q"].shape[1] > c.inputs["k"].shape[1] for c in every if c.inputs["q"].ndim == 4)
    uneven = 0
    for case in every:
        size = case.arguments.get("block_size", 64)
        rows, columns = size if isinstance(size, tuple) else (size, size)
        T, S = case.inputs["q"].shape[-2], case.inputs["k"].shape[-2]
        uneven += bool(T // rows and T % rows and S // columns and S % columns)
    assert uneven >= 5


def test_losses_meet_every_reduction() -> None:
    for op in ("cross_entropy", "binary_cross_entropy_with_logits", "mse_loss"):
        assert {case.arguments.get("reduction", "mean") for case in cases(op, 0)} == {"mean", "sum", "none"}
    assert any((case.arguments["targets"] == -100).any() for case in cases("cross_entropy", 0))
    assert any(case.arguments.get("temperature", 0.05) == 0.05 for case in cases("info_nce", 0))


def test_an_unknown_op_and_a_negative_seed_are_named() -> None:
    with pytest.raises(ValueError, match="unknown op 'layernorm': expected one of linear, "):
        cases("layernorm")
    with pytest.raises(ValueError, match="seed: expected at least 0, got -1"):
        cases("linear", -1)
