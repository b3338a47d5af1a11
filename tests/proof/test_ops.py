"""Every op passes its proof at twenty seeds, and a proof whose op or stored value is broken fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from npformer import functional
from npformer.proof import golden, ops
from npformer.proof.cases import OPS, Case, cases
from npformer.proof.ops import compare_with_stored, prove_case, prove_op
from npformer.proof.rows import Row, worst_by_input

# Twenty seeds: one by default, the others with --thorough.
SEEDS = [
    pytest.param(op, seeds, marks=pytest.mark.thorough if seeds.start else ())
    for op in OPS
    for seeds in (range(1), range(1, 20))
]


def describe(rows: list[Row]) -> str:
    return "\n".join(str(row.to_dict()) for row in rows if not row.passed)


# Of the attentions, whose every case takes up to a second, one case that has much at once (`npformer
# verify`, which .ci/run runs, takes the derivatives of all, as do the other seeds).
DERIVATIVES = {
    "scaled_dot_product_attention": {"everything at once, grouped heads"},
    "flash_attention": {"causal, window 3, softcap 1.5, bias (1, 1, S)"},
    "multi_head_attention": {"cross, query-key norm, bias (B, 1, 1, S), padded"},
}


@pytest.fixture
def few_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no derivatives taken of the cases that are not in DERIVATIVES, whose other checks stay."""

    def prove(case: Case) -> list[Row]:
        if case.variant in DERIVATIVES.get(case.op, {case.variant}):
            return prove_case(case)
        rows = {name: Row(case.op, name) for name in ("out", *case.inputs)}
        ops._check_float32(case, rows)
        return list(rows.values())

    monkeypatch.setattr(ops, "prove_case", prove)


@pytest.mark.parametrize(("op", "seeds"), SEEDS)
def test_the_ops_pass(op: str, seeds: range, request: pytest.FixtureRequest) -> None:
    if not seeds.start:
        request.getfixturevalue("few_derivatives")
    for seed in seeds:
        rows = prove_op(op, seed)
        assert all(row.passed for row in rows), f"seed {seed}\n{describe(rows)}"
        assert {row.input for row in rows} == {
            "out",
            *(name for case in cases(op, seed) for name in case.inputs),
        }
        for row in rows:
            assert row.torch is not None
            assert row.float32 is not None
            assert row.input == "out" or (row.fd is not None and row.complex is not None)


# Each a one-line mistake in a backward: which of the op's inputs must be found wrong
MISTAKES: dict[str, tuple[str, Callable[..., Any], set[str]]] = {
    "a bias's gradient averaged": (
        "linear",
        lambda dout, cache, g: (*g[:2], None if g[2] is None else g[2] / dout.shape[0]),
        {"bias"},
    ),
    "a gradient of zero": ("rotary", lambda dout, cache, g: 0 * g, {"x"}),
    "the sign": ("tanh", lambda dout, cache, g: -g, {"x"}),
    "scaled by 1.0000001": ("sigmoid", lambda dout, cache, g: g * (1 + 1e-7), {"x"}),
    "one wrong entry": (
        "gelu",
        lambda dout, cache, g: g + (np.arange(g.size) == 3).reshape(g.shape) * 1e-6,
        {"x"},
    ),
    "float32 inside": ("silu", lambda dout, cache, g: g.astype(np.float32).astype(g.dtype), {"x"}),
    "the mean of dx_hat forgotten": (
        "layer_norm",
        lambda dout, cache, g: (g[0] + cache.rstd * dout, *g[1:]),
        {"x"},
    ),
    "two gradients swapped": ("layer_norm", lambda dout, cache, g: (g[0], g[2], g[1]), {"gamma", "beta"}),
    "the diagonal of the Jacobian only": (
        "softmax",
        lambda dout, cache, g: dout * cache[0] * (1 - cache[0]),
        {"x"},
    ),
    "repeated ids overwritten": (
        "embedding",
        lambda dout, cache, g: _overwritten(dout, cache, g),
        {"table"},
    ),
    "1/(1-p) missing": ("dropout", lambda dout, cache, g: g * 0.7, {"x"}),
    "the bias's gradient not summed": (
        "scaled_dot_product_attention",
        lambda dout, cache, g: (*g[:3], None if g[3] is None else g[3] / 2),
        {"bias"},
    ),
    "dq and dk swapped": (
        "scaled_dot_product_attention",
        lambda dout, cache, g: (g[1], g[0], *g[2:]) if g[0].shape == g[1].shape else g,
        {"q", "k"},
    ),
    "a tile whose key is forgotten": (
        "flash_attention",
        lambda dout, cache, g: (*g[:2], g[2] * (np.arange(g[2].shape[-2]) > 0)[:, None], g[3]),
        {"v"},
    ),
    "a key bias with a gradient": (
        "multi_head_attention",
        lambda dout, cache, g: (*g[:7], None if g[7] is None else g[7] + 1e-9, *g[8:]),
        {"b_k"},
    ),
    "ignored rows counted in the mean": (
        "cross_entropy",
        lambda dout, cache, g: g * (g.shape[0] - 1) / g.shape[0],
        {"logits"},
    ),
    "the 2 of a square": ("mse_loss", lambda dout, cache, g: (g[0] / 2, g[1]), {"input"}),
    "one of two gradients missing": ("swiglu", lambda dout, cache, g: (g[0], np.zeros_like(g[1])), {"up"}),
    "a wrong shape": ("relu", lambda dout, cache, g: g[..., None], {"x"}),
    "not a number": ("rms_norm", lambda dout, cache, g: (g[0] * np.nan, g[1]), {"x"}),
}


def _overwritten(dout: Any, cache: Any, g: Any) -> Any:
    ids = next(x for x in cache if isinstance(x, np.ndarray) and x.dtype.kind in "iu")
    table = np.zeros_like(g)
    table[ids] = dout
    return table


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_broken_backward_fails(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first case of the op in which it acts: the attentions have many, of a second each."""
    op, breaks, wrong = MISTAKES[mistake]
    right = [case.gradients()[1] for case in cases(op, 1)]
    true = getattr(functional, f"{op}_backward")
    monkeypatch.setattr(
        functional, f"{op}_backward", lambda dout, cache: breaks(dout, cache, true(dout, cache))
    )
    case, stored_case = next(
        both
        for *both, g in zip(cases(op, 1), cases(op, 0), right, strict=True)
        if {name for name, x in both[0].gradients()[1].items() if not np.array_equal(x, g[name])} == wrong
    )
    stored = golden.part(golden.load("golden_ops"), f"{op}/{case.variant}")
    rows = worst_by_input([*prove_case(case), *compare_with_stored(stored_case, stored)])
    assert {row.input for row in rows if not row.passed} == wrong
    for row in rows:
        if row.input in wrong:
            for check in ("fd", "complex", "torch"):  # each by itself
                assert not row.within(check)


def test_a_broken_forward_is_seen_by_the_stored_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consistent with its backward: no derivative can show it."""
    forward, backward = functional.silu, functional.silu_backward
    monkeypatch.setattr(functional, "silu", lambda x: (forward(x)[0] * 2, forward(x)[1]))
    monkeypatch.setattr(functional, "silu_backward", lambda dout, cache: backward(dout, cache) * 2)
    rows = {row.input: row for row in prove_op("silu")}
    assert [check for check in ("fd", "complex", "torch") if not rows["x"].within(check)] == ["torch"]
    assert rows["out"].failures() == ["torch"]


def test_a_constant_that_is_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    true = functional.sinusoidal_positions
    monkeypatch.setattr(
        functional, "sinusoidal_positions", lambda length, d_model: true(length, d_model)[:, ::-1]
    )
    assert not any(row.passed for row in prove_op("sinusoidal_positions"))


def test_an_op_that_raises_fails_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(dout: Any, cache: Any) -> Any:
        raise IndexError("no such axis")

    monkeypatch.setattr(functional, "tanh_backward", broken)
    rows = prove_op("tanh")
    assert not any(row.passed for row in rows)
    assert any("IndexError: no such axis" in note for row in rows for note in row.notes)


def test_code_that_does_not_run_in_complex_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    true = functional.tanh
    monkeypatch.setattr(functional, "tanh", lambda x: true(np.asarray(x).real))
    rows = {row.input: row for row in prove_op("tanh")}
    assert not rows["x"].passed
    assert "complex" in " ".join(rows["x"].notes)


def test_float32_that_becomes_float64_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    true = functional.tanh_backward
    monkeypatch.setattr(functional, "tanh_backward", lambda dout, cache: true(dout, cache) * np.float64(1.0))
    (row,) = [row for row in prove_op("tanh") if row.input == "x"]
    assert any("float32 in, float64 out" in note for note in row.notes)
    assert not row.passed


def test_float32_that_is_less_exact_than_float32_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    true = functional.tanh

    def rounded(x: Any) -> Any:
        out, cache = true(x)
        return (out.astype(np.float16).astype(out.dtype) if out.dtype == np.float32 else out), cache

    monkeypatch.setattr(functional, "tanh", rounded)
    (row,) = [row for row in prove_op("tanh") if row.input == "out"]
    assert row.failures() == ["float32"]


@pytest.mark.parametrize("kind", ["out", "grad/gamma", "grad/x"])
def test_a_stored_value_that_is_off_fails(kind: str) -> None:
    stored = dict(golden.load("golden_ops"))
    stored[f"layer_norm/rows/{kind}"] = stored[f"layer_norm/rows/{kind}"] * (1 + 1e-11)
    failed = [row for row in prove_op("layer_norm", 0, stored) if not row.passed]
    assert [row.input for row in failed] == [kind.removeprefix("grad/")]
    assert failed[0].failures() == ["torch"]


@pytest.mark.parametrize("kind", ["out", "dout", "in/x", "grad/beta"])
def test_a_stored_value_that_is_missing_fails(kind: str) -> None:
    stored = dict(golden.load("golden_ops"))
    del stored[f"layer_norm/rows/{kind}"]
    failed = [row for row in prove_op("layer_norm", 0, stored) if not row.passed]
    assert failed
    assert any(f"nothing stored from PyTorch for '{kind}'" in note for row in failed for note in row.notes)


def test_a_missing_file_fails_every_op() -> None:
    for op in ("relu", "sinusoidal_positions"):
        assert not any(row.passed for row in prove_op(op, 0, {}) if row.input == "out")


def test_stored_inputs_are_what_is_compared_not_what_numpy_draws_today() -> None:
    case = cases("dropout", 0)[0]
    moved = replace(case, inputs={"x": case.inputs["x"] + 1}, random=cases("dropout", 5)[0].random)
    stored = golden.part(golden.load("golden_ops"), f"dropout/{case.variant}")
    assert all(row.torch <= 1e-15 for row in compare_with_stored(moved, stored))


def test_a_gradient_known_to_be_zero_is_held_to_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(case for case in cases("multi_head_attention", 0) if case.zero)
    rows = {row.input: row for row in prove_case(case)}
    assert rows["b_k"].zero is not None
    assert rows["b_q"].zero is None
    true = functional.multi_head_attention_backward
    monkeypatch.setattr(
        functional,
        "multi_head_attention_backward",
        lambda dout, cache: tuple(g + 1e-12 if i == 7 else g for i, g in enumerate(true(dout, cache))),
    )
    (row,) = [row for row in prove_case(case) if row.input == "b_k"]
    assert "zero" in row.failures()
