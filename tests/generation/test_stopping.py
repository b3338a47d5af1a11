"""Which end is named where several come at once, and bad rules."""

from __future__ import annotations

import pytest

from npformer.generation.stopping import Stopping


def test_the_order_of_reasons() -> None:
    stopping = Stopping.checked("op", 5, [1, 2], "x", object(), 10)
    assert stopping.strings == ("x",)
    assert stopping.reason(1, 5, 5, True) == "stop_token"
    assert stopping.reason(3, 5, 5, True) == "stop_string"
    assert stopping.reason(3, 5, 5, False) == "length"
    assert stopping.reason(3, 4, 4, False) == "context"
    assert stopping.reason(3, 4, 5, False) is None


def test_no_rules_but_the_length() -> None:
    stopping = Stopping.checked("op", 5, (), (), None, 10)
    assert stopping.tokens == frozenset()
    assert stopping.reason(0, 4, 9, False) is None


def test_bad_rules() -> None:
    with pytest.raises(ValueError, match="op: stop_strings: expected strings that are not empty"):
        Stopping.checked("op", 5, (), ["a", ""], object(), 10)
    with pytest.raises(ValueError, match=r"op: stop_tokens: expected ids in \[0, 10\), got -1"):
        Stopping.checked("op", 5, -1, (), None, 10)
