"""Threads change nothing but the time."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from npformer.generation import beam_search, generate, generate_texts, stream
from npformer.models import Decoder, EncoderDecoder
from npformer.text import CharacterTokenizer

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


def test_blas_has_the_threads_while_the_model_reads(gpt2: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int | None] = []
    seen = set()
    real = gpt2.step

    @contextlib.contextmanager
    def blas_threads(n: int | None) -> Iterator[None]:
        held.append(n)
        yield
        held.pop()

    def step(*arguments: Any, **options: Any) -> Any:
        seen.add(tuple(held))
        return real(*arguments, **options)

    for module in ("generate", "beam"):
        monkeypatch.setattr(sys.modules[f"npformer.generation.{module}"], "blas_threads", blas_threads)
    monkeypatch.setattr(gpt2, "step", step)
    tokenizer = CharacterTokenizer.train(["abcdefghijklmnopqr"])  # 23 pieces, as the model has
    calls: tuple[Callable[[int | None], Any], ...] = (
        lambda n: generate(gpt2, PROMPTS, max_new_tokens=3, threads=n),
        lambda n: list(stream(gpt2, PROMPTS, max_new_tokens=3, threads=n)),
        lambda n: beam_search(gpt2, PROMPTS, max_new_tokens=3, threads=n),
        lambda n: generate_texts(gpt2, tokenizer, ["ab"], max_new_tokens=3, threads=n),
        lambda n: generate_texts(gpt2, tokenizer, ["ab"], beams=2, max_new_tokens=3, threads=n),
    )
    for call in calls:
        for n in (3, None):
            seen.clear()
            call(n)
            assert (seen, held) == ({(n,)}, [])


def test_at_least_one_thread(gpt2: Decoder) -> None:
    for call in (generate, stream):
        with pytest.raises(ValueError, match="generate: threads: expected at least 1, got 0"):
            call(gpt2, PROMPTS, threads=0)
