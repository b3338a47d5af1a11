"""A row passes only if something was checked and nothing is amiss."""

from __future__ import annotations

import json
import math

import pytest

from npformer.proof.rows import Row, worst_by_input


def test_nothing_checked_is_not_passed() -> None:
    assert not Row("op", "x").passed


@pytest.mark.parametrize(
    ("check", "just", "too_much"),
    [
        ("fd", 1e-10, 1.01e-10),
        ("complex", 1e-13, 2e-13),
        ("torch", 1e-12, math.nan),
        ("float32", 2e-6, math.inf),
    ],
)
def test_each_error_is_held_to_its_tolerance(check: str, just: float, too_much: float) -> None:
    assert Row("op", "x", **{check: just}).passed
    assert Row("op", "x", **{check: too_much}).failures() == [check]


def test_a_note_fails_whatever_the_numbers_say() -> None:
    row = Row("op", "x", fd=0.0, notes=["wrong shape"])
    assert not row.passed
    assert row.closeness == math.inf


@pytest.mark.parametrize("order", [1, -1])
def test_the_worst_of_several_cases_is_kept(order: int) -> None:
    rows = [
        Row("op", "x", fd=1e-12, torch=1e-9, notes=["a"]),
        Row("op", "x", fd=1e-11, torch=math.nan, zero=0.0),
    ]
    (worst,) = worst_by_input(rows[::order])
    assert worst.fd == 1e-11
    assert math.isnan(worst.torch)
    assert worst.zero == 0.0
    assert worst.notes == ["a"]


def test_rows_keep_their_order_and_do_not_mix() -> None:
    rows = [Row("a", "x", fd=0.1), Row("b", "x", fd=0.2), Row("a", "y", fd=0.3), Row("a", "x", fd=0.4)]
    assert [(r.target, r.input, r.fd) for r in worst_by_input(rows)] == [
        ("a", "x", 0.4),
        ("b", "x", 0.2),
        ("a", "y", 0.3),
    ]


def test_json_has_no_infinity() -> None:
    values = Row("op", "x", fd=math.inf, torch=math.nan, float32=1e-7).to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["fd"] == "inf"
