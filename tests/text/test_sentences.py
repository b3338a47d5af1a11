"""Cutting text: nothing is lost, and the cuts are where a reader would make them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.text.sentences import lines, paragraphs, sentences

TEXT = st.text(st.sampled_from("ab A.!?…。」)\"' \t\n\r\x0c\u2028"), max_size=80)


@settings(deadline=None)
@given(TEXT)
def test_slices_put_together_are_the_text(text: str) -> None:
    for cut in (paragraphs, lines, sentences):
        slices = cut(text)
        assert "".join(slices) == text
        assert all(slices)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One. ", "Two! ", "Three?"]),
        ("He said \"Go.\" (And left.) 'Fine.' So.", ['He said "Go." ', "(And left.) ", "'Fine.' ", "So."]),
        ("See e.g. this, i.e. that.", ["See e.g. this, i.e. that."]),
        ("A file.txt, v3.14", ["A file.txt, v3.14"]),
        ("Wrapped\nline. Next\nline.", ["Wrapped\nline. ", "Next\nline."]),
        ("A heading\n\nText", ["A heading\n\n", "Text"]),
        ("天黑了。「你呢？」他说！", ["天黑了。", "「你呢？」", "他说！"]),
        ("Wait... What?! Yes", ["Wait... ", "What?! ", "Yes"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize("unit", [".", ")", ". ", "!)", "\n", "\n ", "。"])
def test_linear_in_the_length(unit: str) -> None:
    text = unit * 300_000
    start = time.perf_counter()
    assert "".join(sentences(text)) == text
    assert time.perf_counter() - start < 5  # a quadratic rule takes minutes
