"""Threads change nothing but the time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from npformer.generation import beam_search, generate, stream
from npformer.models import Decoder, EncoderDecoder

PROMPTS = [[3, 9, 9, 1, 20], [7], [2, 5, 11]]


def test_the_results_are_those_of_one_thread(decoder: Decoder) -> None:
    options: dict[str, Any] = {"max_new_tokens": 8, "temperature": 1.0}
    one, two = (generate(decoder, PROMPTS, threads=threads, **options) for threads in (1, 2))
    assert [r.ids for r in one] == [r.ids for r in two]
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-12)


def test_beams_and_translations_too(translator: EncoderDecoder) -> None:
    one, three = (
        beam_search(translator, PROMPTS, begin=1, max_new_tokens=5, threads=threads) for threads in (1, 3)
    )
    assert [r[0].ids for r in one] == [r[0].ids for r in three]


def test_at_least_one_thread(gpt2: Decoder) -> None:
    for call in (generate, stream):
        with pytest.raises(ValueError, match="generate: threads: expected at least 1, got 0"):
            call(gpt2, PROMPTS, threads=0)
