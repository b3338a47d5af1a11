"""From texts to texts: how a text is read, batches over threads, draws, the same as a stream."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np
import pytest

from npformer.generation import generate, generate_texts, stream_text
from npformer.generation import texts as module
from npformer.models import Decoder, DecoderConfig, EncoderDecoder
from npformer.text import CharacterTokenizer, WordPieceTokenizer
from npformer.text.train_wordpiece import SPECIAL_TOKENS

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "mat",
    "##s",
    ".",
    ",",
    "a",
    "dog",
    "ran",
    "'",
    "s",
    "it",
    "is",
    "was",
    "so",
    "to",
]


@pytest.fixture
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer([*SPECIAL_TOKENS, *WORDS])  # 23 pieces, as the models have


TEXTS = ["the cat sat", "a dog", "it", "the cats ran on.", "so"]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_text_as_if_alone(gpt2: Decoder, tokenizer: Any, threads: int) -> None:
    options: dict[str, Any] = {"temperature": 1.2, "max_new_tokens": 12, "n": 2, "seed": 3}
    results = generate_texts(gpt2, tokenizer, TEXTS, threads=threads, **options)
    assert [len(r) for r in results] == [2] * 5
    for i, (text, (first, second)) in enumerate(zip(TEXTS, results, strict=True)):
        assert first.ids != second.ids
        pieces = list(stream_text(gpt2, tokenizer, text, temperature=1.2, max_new_tokens=12, seed=3, place=i))
        assert [piece.token for piece in pieces] == first.ids
        assert "".join(piece.text or "" for piece in pieces) == first.text
        prompt = tokenizer.encode_plain(text)
        [alone] = generate(
            gpt2, [prompt], temperature=1.2, max_new_tokens=12, seed=[(3, i, 1)],
            stop_tokens=tokenizer.sep_id, slide=True, tokenizer=tokenizer,
        )  # fmt: skip
        assert alone.ids == second.ids
        assert alone.text == second.text


def test_beams_over_threads(translator: EncoderDecoder, tokenizer: Any) -> None:
    options: dict[str, Any] = {"beams": 3, "n": 2, "max_new_tokens": 6, "length_penalty": 0.5}
    one = generate_texts(translator, tokenizer, TEXTS, threads=1, **options)
    two = generate_texts(translator, tokenizer, TEXTS, threads=2, **options)
    for a, b in zip(one, two, strict=True):
        assert [r.ids for r in a] == [r.ids for r in b]
        assert a[0].score >= a[1].score
    greedy = generate_texts(translator, tokenizer, TEXTS, max_new_tokens=6)
    ids = [tokenizer.cls_id, *tokenizer.encode_plain(TEXTS[0]), tokenizer.sep_id]
    [expected] = generate(
        translator, [ids], begin=tokenizer.cls_id, max_new_tokens=6, stop_tokens=tokenizer.sep_id
    )
    assert greedy[0][0].ids == expected.ids


def test_batches_are_small(gpt2: Decoder, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(
        module,
        "generate",
        lambda model, prompts, **options: sizes.append(len(prompts)) or generate(model, prompts, **options),
    )
    generate_texts(gpt2, tokenizer, TEXTS, threads=1, max_new_tokens=2)
    assert sorted(sizes) == [1, 2, 2]


@pytest.mark.parametrize("held", [True, False])
def test_one_thread_where_blas_is_not_held(
    gpt2: Decoder, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    """Where it is, the two batches wait for each other, which takes two threads."""
    meeting = threading.Barrier(2)
    found = set()

    def watched(*arguments: Any, **options: Any) -> Any:
        found.add(threading.current_thread().name)
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting.wait(20 if held else 0.1)
        return generate(*arguments, **options)

    monkeypatch.setattr(module, "one_blas_thread", lambda: contextlib.nullcontext(held))
    monkeypatch.setattr(module, "generate", watched)
    generate_texts(gpt2, tokenizer, TEXTS, threads=2, max_new_tokens=2)
    assert len(found) == (2 if held else 1)


def test_special_tokens_in_a_prompt_are_text(tokenizer: Any) -> None:
    config = DecoderConfig.gpt2(vocab_size=23, d_model=4, n_heads=1, n_layers=1, max_positions=9)
    prompts, options = module.encoded(Decoder(config), tokenizer, ["the [SEP]"])
    assert tokenizer.sep_id not in prompts[0]
    assert options == {"stop_tokens": tokenizer.sep_id}


def test_the_sentinels_of_a_source_are_tokens_and_nothing_else_is(
    gpt2: Decoder, translator: EncoderDecoder
) -> None:
    tokenizer = CharacterTokenizer.train(["[SEP]"]).with_sentinels(2)
    as_text = tokenizer.encode_plain("P[SEP]", specials=False)
    first, second = tokenizer.sentinel_ids
    sources, _ = module.encoded(translator, tokenizer, ["P[SEP][S0]P[S1]"])
    expected = [*as_text, first, as_text[0], second]
    assert sources == [[tokenizer.cls_id, *expected, tokenizer.sep_id]]
    prompts, _ = module.encoded(gpt2, tokenizer, ["P[SEP]", "[S1]"])
    assert prompts == [as_text, tokenizer.encode_plain("[S1]", specials=False)]
    assert module.unknown_tokens(tokenizer, ["P[S1]"], sources=True) is None
    assert "in P[S1]" in str(module.unknown_tokens(tokenizer, ["P[S1]"]))


def test_bad_input(gpt2: Decoder, translator: EncoderDecoder, tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="n: expected 1, as greedy decoding has one result, got 2"):
        generate_texts(gpt2, tokenizer, ["a"], n=2)
    with pytest.raises(ValueError, match="^n: expected at least 1, got 0"):
        generate_texts(gpt2, tokenizer, ["a"], n=0)
    for count in (1, 40):
        with pytest.raises(ValueError, match="^generate: threads: expected at least 1, got 0$"):
            generate_texts(gpt2, tokenizer, count * ["a"], threads=0)
    with pytest.raises(ValueError, match="beams: expected 1 with a temperature, got 2"):
        generate_texts(gpt2, tokenizer, ["a"], beams=2, temperature=1.0)
    with pytest.raises(ValueError, match="beams: expected 1 with top_k, which is of draws, got 2"):
        generate_texts(gpt2, tokenizer, ["a"], beams=2, top_k=3)
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"^n: expected at least 1, got {n}"):
            generate_texts(gpt2, tokenizer, ["a"], n=n, temperature=1.0)
    for empty in ("", " \n"):
        with pytest.raises(ValueError, match="prompt 2: expected a text, got an empty one"):
            generate_texts(gpt2, tokenizer, ["a", empty])
    with pytest.raises(ValueError, match="beams: expected 1 to 23"):
        generate_texts(gpt2, tokenizer, ["a"], beams=24)
    with pytest.raises(ValueError, match="texts: expected at least one, got none"):
        generate_texts(gpt2, tokenizer, [])
    with pytest.raises(ValueError, match="source 2: expected a text, got an empty one"):
        generate_texts(translator, tokenizer, ["a", " "])
    with pytest.raises(ValueError, match="at most max_positions = 14 tokens, got 20"):
        generate_texts(gpt2, tokenizer, [20 * "a "])
    with pytest.raises(ValueError, match="prompt 3: expected at most max_positions = 14 tokens, got 20"):
        generate_texts(gpt2, tokenizer, ["a", "a", 20 * "a "], threads=2)
    with pytest.raises(ValueError, match=r"source 2: expected at most max_positions = \d+ tokens, got 22"):
        generate_texts(translator, tokenizer, ["a", 20 * "a "])
    assert np.isfinite(gpt2.params.flat).all()


def test_one_text_is_not_a_sequence_of_letters() -> None:
    with pytest.raises(TypeError, match="texts: expected a sequence of texts, got one"):
        generate_texts(None, None, "The ")  # type: ignore[arg-type]
