"""Which end is named where several come at once, and bad rules."""

from __future__ import annotations

from typing import Any

import numpy as np
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


@pytest.mark.parametrize("tokens", [2.5, [2.5], [2.0, 3.0], [True], "2", [None], {2, 3}])
def test_stop_tokens_that_are_no_integers_are_refused_and_not_cut(tokens: Any) -> None:
    with pytest.raises(TypeError, match="op: stop_tokens: expected an integer or several, got "):
        Stopping.checked("op", 5, tokens, (), None, 10)
    assert Stopping.checked("op", 5, np.array([2, 3], np.uint8), (), None, 10).tokens == {2, 3}
