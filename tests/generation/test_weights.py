"""Adapters are merged once, whoever writes; the order of the matrices in memory changes nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npformer.generation import beam_search, generate, generate_texts, stream, stream_text
from npformer.generation import weights as module
from npformer.models import Decoder, EncoderDecoder, add_lora, merge_lora
from npformer.text import CharacterTokenizer

TOKENIZER = CharacterTokenizer.train(["abcdefghijklmnopqr"])  # 23 pieces, as the models have
OPTIONS: dict[str, Any] = {"max_new_tokens": 5}
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "generate": lambda model, begin: generate(model, [[3, 9], [7]], begin=begin, **OPTIONS),
    "stream": lambda model, begin: list(stream(model, [[3, 9], [7]], begin=begin, **OPTIONS)),
    "beam_search": lambda model, begin: beam_search(model, [[3, 9], [7]], begin=begin, **OPTIONS),
    "generate_texts": lambda model, _: generate_texts(model, TOKENIZER, 40 * ["ab"], threads=2, **OPTIONS),
    "stream_text": lambda model, _: list(stream_text(model, TOKENIZER, "ab", **OPTIONS)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("kind", ["decoder", "encoder-decoder"])
def test_adapters_are_merged_once_and_write_to_the_bit_what_the_merged_model_does(
    gpt2: Decoder, translator: EncoderDecoder, monkeypatch: pytest.MonkeyPatch, kind: str, call: Any
) -> None:
    plain, begin = (gpt2, None) if kind == "decoder" else (translator, 1)
    adapted = add_lora(plain, 2, targets=["attention", "feed_forward"])
    adapted.params.flat[...] = np.random.default_rng(5).standard_normal(adapted.params.flat.size)
    expected, merges = call(merge_lora(adapted), begin), []
    monkeypatch.setattr(module, "merge_lora", lambda model: merges.append(model) or merge_lora(model))
    assert call(adapted, begin) == expected != call(plain, begin)
    assert merges == [adapted]


def test_a_model_for_decoding_writes_the_same_and_the_one_given_is_not_changed(gpt2: Decoder) -> None:
    before, given = copy.copy(gpt2), gpt2.params
    laid_out = module.for_decoding(gpt2, 2)
    assert laid_out.params.transposed
    assert gpt2.params is given
    assert [r.ids for r in generate(laid_out, [[3, 9]])] == [r.ids for r in generate(before, [[3, 9]])]
    merged = module.for_decoding(add_lora(gpt2, 2), 2)
    assert merged.config.lora is None
    assert merged.params.transposed == laid_out.params.transposed
