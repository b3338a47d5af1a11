"""Values: numbers as people write them, and no others; whatever is shown stays on one short line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.text.labelled.example import BadRow, shown
from npformer.text.labelled.values import example, is_number, mostly_numbers


@given(st.floats() | st.integers(-(10**400), 10**400).map(str))
def test_finite_numbers_are_numbers(number):
    try:
        finite = abs(float(number)) < float("inf")
    except OverflowError:
        finite = False
    assert is_number(str(number)) == is_number(f" {number} ") == finite


@pytest.mark.parametrize("text", ["", "1_000", "4,5", "0x1", "1e", "e5", ".", "1.2.3", "٣", "one", "NaN"])
def test_what_is_no_number(text):
    assert not is_number(text)


def test_most():
    assert mostly_numbers(["1", 2, None])
    assert not mostly_numbers(["1", "x"])


def test_a_whole_number_too_large_for_a_float_is_none():
    with pytest.raises(BadRow, match=r"expected a number as label, got 10000.*\.\.\.$"):
        example("regress", {"text": "a", "label": 10**400}, "a.jsonl:1", True)


@settings(max_examples=50)
@given(st.text() | st.lists(st.text()) | st.integers() | st.none() | st.booleans())
def test_what_is_shown_is_short_and_on_one_line(value):
    assert len(shown(value)) <= 40
    assert len(shown(value).splitlines()) == 1
