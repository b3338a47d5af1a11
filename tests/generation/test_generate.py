"""Greedy decoding and sampling: what is chosen, independence of the batch, ends, streams, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from npformer.functional import log_softmax
from npformer.generation import Generation, beam_search, generate, stream
from npformer.models import Decoder, Encoder, EncoderConfig, EncoderDecoder

PROMPTS = [[3, 9, 9, 1, 20], [7], [2, 5, 11]]


def logits_after(model: Decoder, ids: list[int]) -> np.ndarray:
    """By the full pass, (V,)."""
    return model.lm_head.forward(model.params, model.forward([ids])[0][:, -1])[0][0]


def test_greedy_is_the_argmax_of_the_full_pass_with_its_log_probability(decoder: Decoder) -> None:
    for prompt, result in zip(PROMPTS, generate(decoder, PROMPTS, max_new_tokens=6), strict=True):
        ids = list(prompt)
        for token, logprob in zip(result.ids, result.logprobs, strict=True):
            logits = logits_after(decoder, ids)
            assert token == logits.argmax()
            assert logprob == pytest.approx(log_softmax(logits)[0][token], abs=1e-12)
            ids.append(token)
        assert len(result.ids) == 6
        assert result.finished == "length"
        assert result.score == pytest.approx(sum(result.logprobs))


def test_a_translation_is_the_argmax_of_the_full_pass(translator: EncoderDecoder) -> None:
    sources = [[3, 4, 5, 6, 7], [8]]
    results = generate(translator, sources, begin=1, max_new_tokens=5)
    for source, result in zip(sources, results, strict=True):
        target = [1]
        for token in result.ids:
            hidden, _ = translator.forward([source], [target])
            logits, _ = translator.lm_head.forward(translator.params, hidden[0, -1])
            assert token == logits.argmax()
            target.append(token)
    [two] = generate(translator, [sources[0]], begin=[1, results[0].ids[0]], max_new_tokens=4)
    assert two.ids == results[0].ids[1:]


def test_what_is_drawn_does_not_depend_on_the_batch(decoder: Decoder) -> None:
    options: dict[str, Any] = {"temperature": 1.3, "top_p": 0.95, "max_new_tokens": 8}
    together = generate(decoder, PROMPTS, seed=[5, 6, 7], **options)
    for prompt, seed, result in zip(PROMPTS, (5, 6, 7), together, strict=True):
        [alone] = generate(decoder, [prompt], seed=[seed], **options)
        assert alone.ids == result.ids
        np.testing.assert_allclose(alone.logprobs, result.logprobs, atol=1e-12)
    # a sequence that ends early takes nothing from the others' streams
    stop = together[1].ids[1]
    stopped = generate(decoder, PROMPTS, seed=[5, 6, 7], stop_tokens=stop, **options)
    for result, whole in zip(stopped, together, strict=True):
        end = whole.ids.index(stop) + 1 if stop in whole.ids else 8
        assert result.ids == whole.ids[:end]
        assert result.finished == ("stop_token" if stop in whole.ids else "length")


def test_seeds(gpt2: Decoder) -> None:
    options: dict[str, Any] = {"temperature": 2.0, "max_new_tokens": 10}
    same = [[4, 4], [4, 4]]
    one, other = generate(gpt2, same, seed=1, **options)
    assert one.ids != other.ids
    assert generate(gpt2, same, seed=1, **options) == [one, other]
    assert generate(gpt2, same, seed=2, **options)[0].ids != one.ids
    assert generate(gpt2, same[:1], seed=1, **options)[0].ids == one.ids
    rng = np.random.default_rng(3)
    first, second = (generate(gpt2, same, seed=rng, **options) for _ in range(2))
    assert first != second
    assert generate(gpt2, same, seed=np.random.default_rng(3), **options) == first


def test_tokens_are_drawn_with_the_filtered_probabilities(gpt2: Decoder) -> None:
    n = 4000
    results = generate(gpt2, n * [[3, 9]], max_new_tokens=1, temperature=0.8, top_k=4, seed=0)
    counts = np.bincount([r.ids[0] for r in results], minlength=23)
    logits = logits_after(gpt2, [3, 9]) / 0.8
    logits[np.argsort(logits)[:-4]] = -np.inf
    p = np.exp(log_softmax(logits)[0])
    assert (np.abs(counts / n - p) <= 4 * np.sqrt(p * (1 - p) / n)).all()
    # the log-probabilities are the model's own
    own = log_softmax(logits_after(gpt2, [3, 9]))[0]
    np.testing.assert_allclose([r.logprobs[0] for r in results], own[[r.ids[0] for r in results]], atol=1e-12)


def test_a_very_cold_temperature_is_greedy(gpt2: Decoder) -> None:
    for value in (1e-6, 1e-309):  # by the second, a logit above 0.2 is infinite
        cold = generate(gpt2, PROMPTS, temperature=value, top_p=0.9, max_new_tokens=5)
        assert [r.ids for r in cold] == [r.ids for r in generate(gpt2, PROMPTS, max_new_tokens=5)]


def test_the_repetition_penalty_sees_prompt_and_new_tokens(gpt2: Decoder) -> None:
    results = generate(gpt2, PROMPTS, repetition_penalty=1e9, max_new_tokens=8)
    for prompt, result in zip(PROMPTS, results, strict=True):
        assert len(set(result.ids)) == 8
        assert not set(result.ids) & set(prompt)


def test_the_penalty_follows_its_sequence_when_another_ends(gpt2: Decoder) -> None:
    options: dict[str, Any] = {"repetition_penalty": 3.0, "max_new_tokens": 8, "temperature": 1.0}
    seeds = [1, 2, 3]
    stop = generate(gpt2, PROMPTS, seed=seeds, **options)[0].ids[1]  # the first prompt ends early
    together = generate(gpt2, PROMPTS, seed=seeds, stop_tokens=stop, **options)
    for prompt, seed, result in zip(PROMPTS, seeds, together, strict=True):
        assert generate(gpt2, [prompt], seed=[seed], stop_tokens=stop, **options)[0].ids == result.ids
    assert len(together[0].ids) < max(len(result.ids) for result in together)


def test_the_context_ends_for_each_sequence_by_itself(gpt2: Decoder) -> None:
    long, short = generate(gpt2, [14 * [3], 5 * [2]], max_new_tokens=20)
    assert (len(long.ids), long.finished) == (1, "context")
    assert (len(short.ids), short.finished) == (10, "context")
    assert short.ids == generate(gpt2, [5 * [2]], max_new_tokens=20)[0].ids
    assert generate(gpt2, [5 * [2]], max_new_tokens=10)[0].finished == "length"


def test_a_sliding_context_goes_on_with_the_last_half(gpt2: Decoder) -> None:
    prompts = [5 * [2], [3, 9, 9, 1, 20, 4, 6, 8, 10, 12, 14], [7]]
    options: dict[str, Any] = {"max_new_tokens": 40, "slide": True}
    together = generate(gpt2, prompts, **options)
    for prompt, result in zip(prompts, together, strict=True):
        ids = list(prompt)
        for token, logprob in zip(result.ids, result.logprobs, strict=True):
            if len(ids) > 14:
                ids = ids[-7:]
            logits = logits_after(gpt2, ids)
            assert token == logits.argmax()
            assert logprob == pytest.approx(log_softmax(logits)[0][token], abs=1e-12)
            ids.append(token)
        assert len(result.ids) == 40
        assert result.finished == "length"
    # until the context is full it changes nothing
    short = generate(gpt2, prompts[:1], max_new_tokens=10)
    assert generate(gpt2, prompts[:1], max_new_tokens=10, slide=True) == short


def test_stop_strings_cut_the_text(gpt2: Decoder, letters: Any) -> None:
    options: dict[str, Any] = {"tokenizer": letters, "temperature": 1.0, "seed": 4, "max_new_tokens": 9}
    [whole] = generate(gpt2, [[3, 9]], **options)
    assert whole.text is not None
    stop = whole.text[3:5]
    end = whole.text.index(stop)
    [cut] = generate(gpt2, [[3, 9]], stop_strings=["zz", stop], **options)
    assert cut.finished == "stop_string"
    assert cut.text == whole.text[:end]
    assert cut.ids == whole.ids[: end + 2]
    [token] = generate(gpt2, [[3, 9]], stop_tokens=whole.ids[4], **options)
    assert token.text == letters.decode(token.ids[:-1])
    assert token.finished == "stop_token"


@pytest.mark.parametrize("seed", range(12))
def test_the_pieces_make_up_the_results(gpt2: Decoder, letters: Any, seed: int) -> None:
    options: dict[str, Any] = {
        "tokenizer": letters, "temperature": 1.5, "seed": seed, "stop_strings": ["ab", "c"], "stop_tokens": 9
    }  # fmt: skip
    pieces = list(stream(gpt2, PROMPTS, **options))
    for i, result in enumerate(generate(gpt2, PROMPTS, **options)):
        own = [piece for piece in pieces if piece.sequence == i]
        assert [piece.token for piece in own] == result.ids
        assert [piece.logprob for piece in own] == result.logprobs
        assert "".join(piece.text or "" for piece in own) == result.text
        assert [piece.finished for piece in own] == [None] * (len(own) - 1) + [result.finished]


def test_a_stream_comes_token_by_token(gpt2: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    step = gpt2.step
    monkeypatch.setattr(gpt2, "step", lambda *args: steps.append(1) or step(*args))
    pieces = stream(gpt2, [[3, 9]], max_new_tokens=5)
    next(pieces)
    assert len(steps) == 1
    next(pieces)
    assert len(steps) == 2
    assert len(list(pieces)) == 3
    assert len(steps) == 5  # the last token is not read


def test_without_a_tokenizer_there_is_no_text(gpt2: Decoder) -> None:
    [result] = generate(gpt2, [[1]], max_new_tokens=1)
    assert isinstance(result, Generation)
    assert result.text is None


@pytest.mark.parametrize(
    ("prompts", "options", "error", "message"),
    [
        ([[1], []], {}, ValueError, r"prompts\[1\]: expected at least one token, got none"),
        ([], {}, ValueError, "prompts: expected at least one, got none"),
        ([[1] * 15], {}, ValueError, r"prompts\[0\]: expected at most max_positions = 14 tokens, got 15"),
        ([[1, 23]], {}, ValueError, r"prompts\[0\]: expected integers in \[0, 23\), got 23"),
        ([[1, -1]], {}, ValueError, r"prompts\[0\]: expected integers in \[0, 23\), got -1"),
        ([[1.5]], {}, TypeError, r"prompts\[0\]: expected integers, got dtype float64"),
        ([[[1]]], {}, ValueError, r"prompts\[0\]: expected one axis of integers, got shape \(1, 1\)"),
        ([[1]], {"max_new_tokens": 0}, ValueError, "max_new_tokens: expected at least 1, got 0"),
        ([[1]], {"max_new_tokens": 1.5}, TypeError, "max_new_tokens: expected an integer, got 1.5"),
        ([[1]], {"top_p": 0.0}, ValueError, r"top_p: expected a number in \(0, 1\], got 0.0"),
        ([[1]], {"temperature": -1.0}, ValueError, "temperature: expected a number of at least 0, got -1.0"),
        ([[1]], {"stop_tokens": 23}, ValueError, r"stop_tokens: expected ids in \[0, 23\), got 23"),
        ([[1]], {"stop_strings": "x"}, ValueError, "stop_strings: expected a tokenizer with them, got None"),
        ([[1]], {"begin": 1}, ValueError, "begin: expected None for a decoder, whose prompts begin, got 1"),
        (
            [[1]],
            {"seed": [1, 2], "temperature": 1.0},
            ValueError,
            "seed: expected 1 seeds, one a prompt, got 2",
        ),
        (
            [[1]],
            {"seed": -1, "temperature": 1.0},
            ValueError,
            "seed: expected numbers of at least 0, got -1",
        ),
    ],
)
def test_bad_input_is_one_line(
    gpt2: Decoder, prompts: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    for call in (generate, stream):
        with pytest.raises(error, match=f"^generate: {message}$"):
            call(gpt2, prompts, **options)


def test_bad_input_of_an_encoder_decoder_and_of_an_encoder(translator: EncoderDecoder) -> None:
    with pytest.raises(ValueError, match=r"^generate: prompts\[0\]: expected at least one token, got none$"):
        generate(translator, [[]], begin=1)
    with pytest.raises(ValueError, match="begin: expected the token that begins a target, got None"):
        generate(translator, [[1]])
    with pytest.raises(ValueError, match="slide: expected False for an encoder-decoder, got True"):
        generate(translator, [[1]], begin=1, slide=True)
    with pytest.raises(ValueError, match=r"begin: expected integers in \[0, 23\), got 40"):
        generate(translator, [[1]], begin=40)
    config = EncoderConfig(vocab_size=9, d_model=4, n_heads=2, d_ff=8, n_layers=1, max_positions=4)
    with pytest.raises(TypeError, match="model: expected a Decoder or EncoderDecoder, got Encoder"):
        generate(Encoder(config), [[1]])  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_told(gpt2: Decoder, value: float) -> None:
    gpt2.params["decoder.norm.gamma"][0] = value
    for call in (generate, beam_search):
        with pytest.raises(ValueError, match="logits are not finite"), np.errstate(invalid="ignore"):
            call(gpt2, [[1]])
