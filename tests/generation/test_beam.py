"""Beam search against an exhaustive search and a plain one; n-best, ends, bad input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from npformer.functional import log_softmax
from npformer.generation import beam_search, generate
from npformer.models import Decoder, DecoderConfig, EncoderDecoder

PROMPTS = [[3, 9, 9, 1, 20], [7], [2, 5, 11]]


def total(model: Decoder, prompt: list[int], ids: list[int]) -> float:
    """log p(ids | prompt) by the full pass."""
    hidden, _ = model.forward([prompt + ids])
    logprobs, _ = log_softmax(model.lm_head.forward(model.params, hidden[0])[0])
    return float(sum(logprobs[len(prompt) - 1 + t, token] for t, token in enumerate(ids)))


def test_one_beam_is_greedy(decoder: Decoder) -> None:
    for stop in (2, 9, 17):
        greedy = generate(decoder, PROMPTS, max_new_tokens=7, stop_tokens=stop)
        found = beam_search(decoder, PROMPTS, beams=1, max_new_tokens=7, stop_tokens=stop, length_penalty=0.0)
        for [beam], result in zip(found, greedy, strict=True):
            # what goes on in the place of a stop token is less probable, and stays so: length_penalty 0
            assert beam.ids == result.ids
            assert beam.score == pytest.approx(result.score, abs=1e-12)
            assert beam.finished == result.finished


def test_scores_are_those_of_the_full_pass_and_sorted(decoder: Decoder) -> None:
    for alpha in (0.0, 0.7, 2.0):
        found = beam_search(
            decoder, PROMPTS, beams=5, n=5, max_new_tokens=6, stop_tokens=[4, 8], length_penalty=alpha
        )
        for prompt, results in zip(PROMPTS, found, strict=True):
            scores = [result.score for result in results]
            assert scores == sorted(scores, reverse=True)
            assert len({tuple(result.ids) for result in results}) == len(results) == 5
            for result in results:
                expected = total(decoder, prompt, result.ids) / len(result.ids) ** alpha
                assert result.score == pytest.approx(expected, abs=1e-12)
                assert sum(result.logprobs) == pytest.approx(
                    result.score * len(result.ids) ** alpha, abs=1e-12
                )
                assert (result.finished == "stop_token") == (result.ids[-1] in (4, 8))


def test_enough_beams_find_the_best_of_all_sequences() -> None:
    config = DecoderConfig.gpt2(vocab_size=4, d_model=8, n_heads=2, n_layers=1, max_positions=6)
    model = Decoder(config, np.random.default_rng(1), dtype=np.float64)
    for view in model.params.values():
        view[...] = np.random.default_rng(view.size).standard_normal(view.shape)
    totals = {ids: total(model, [2], list(ids)) for ids in itertools.product(range(4), repeat=2)}
    best = sorted(totals, key=lambda ids: -totals[ids])
    results = beam_search(model, [[2]], beams=4, n=4, max_new_tokens=2)[0]
    assert [tuple(result.ids) for result in results] == best[:4]


def test_a_prompt_is_searched_as_if_alone(decoder: Decoder) -> None:
    options: dict[str, Any] = {"beams": 3, "n": 3, "max_new_tokens": 8, "stop_tokens": [5, 6]}
    together = beam_search(decoder, PROMPTS, **options)
    for prompt, results in zip(PROMPTS, together, strict=True):
        alone = beam_search(decoder, [prompt], **options)[0]
        assert [r.ids for r in alone] == [r.ids for r in results]
        np.testing.assert_allclose([r.score for r in alone], [r.score for r in results], atol=1e-12)


def test_translations(translator: EncoderDecoder) -> None:
    sources = [[3, 4, 5, 6, 7], [8]]
    found = beam_search(translator, sources, begin=1, beams=4, n=2, max_new_tokens=5, stop_tokens=2)
    for source, results in zip(sources, found, strict=True):
        for result in results:
            target = [1, *result.ids]
            hidden, _ = translator.forward([source], [target[:-1]])
            logprobs, _ = log_softmax(translator.lm_head.forward(translator.params, hidden[0])[0])
            own = [float(logprobs[t, token]) for t, token in enumerate(result.ids)]
            np.testing.assert_allclose(result.logprobs, own, atol=1e-12)


def test_a_penalty_counts_in_the_score_and_leaves_the_log_probabilities_the_models_own(gpt2: Decoder) -> None:
    c, prompt = 1.6, [3, 9, 9]
    for result in beam_search(gpt2, [prompt], beams=4, n=4, max_new_tokens=6, repetition_penalty=c)[0]:
        assert sum(result.logprobs) == pytest.approx(total(gpt2, prompt, result.ids), abs=1e-12)
        seen = [token in [*prompt, *result.ids[:t]] for t, token in enumerate(result.ids)]
        penalised = [c * p if again else p for p, again in zip(result.logprobs, seen, strict=True)]
        assert result.score == pytest.approx(sum(penalised) / len(result.ids), abs=1e-12)


def test_early_stopping_ends_with_as_many_as_there_are_beams(gpt2: Decoder, monkeypatch: Any) -> None:
    steps: list[int] = []
    step = gpt2.step
    monkeypatch.setattr(gpt2, "step", lambda *args: steps.append(1) or step(*args))
    counts = []
    stoppings: tuple[Any, ...] = (True, False, "never", np.True_)
    for early in stoppings:
        steps.clear()
        beam_search(gpt2, [[3]], beams=3, max_new_tokens=13, stop_tokens=9, early_stopping=early)
        counts.append(len(steps))
    assert counts[0] < counts[1] < counts[2]
    assert counts[3] == counts[0]


def test_text_and_stop_strings(gpt2: Decoder, letters: Any) -> None:
    options: dict[str, Any] = {"beams": 3, "n": 3, "max_new_tokens": 6, "tokenizer": letters}
    for result in beam_search(gpt2, [[3]], stop_tokens=4, **options)[0]:
        shown = result.ids[:-1] if result.finished == "stop_token" else result.ids
        assert result.text == letters.decode(shown)
    plain = beam_search(gpt2, [[3]], **options)[0]
    assert plain[0].text is not None
    stop = plain[0].text[2:4]
    for result in beam_search(gpt2, [[3]], stop_strings=stop, **options)[0]:
        assert result.text is not None
        assert stop not in result.text
        assert (result.finished == "stop_string") == letters.decode(result.ids).endswith(stop)


def test_the_context_ends_a_search(gpt2: Decoder) -> None:
    [[long], [short]] = beam_search(gpt2, [13 * [3], [3]], beams=2, max_new_tokens=5)
    assert (len(long.ids), long.finished) == (2, "context")
    assert (len(short.ids), short.finished) == (5, "length")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"beams": 24}, ValueError, r"beams: expected 1 to 23 \(the vocabulary\), got 24"),
        ({"beams": 0}, ValueError, r"beams: expected 1 to 23 \(the vocabulary\), got 0"),
        ({"beams": 2.0}, TypeError, "beams: expected an integer, got 2.0"),
        ({"beams": 3, "n": 4}, ValueError, r"n: expected 1 to 3 \(beams\), got 4"),
        ({"length_penalty": float("nan")}, ValueError, "length_penalty: expected a finite number, got nan"),
        ({"early_stopping": "x"}, ValueError, "early_stopping: expected False, True or 'never', got 'x'"),
        ({"repetition_penalty": -1}, ValueError, "repetition_penalty: expected a positive number, got -1"),
        ({"max_new_tokens": 0}, ValueError, "max_new_tokens: expected at least 1, got 0"),
    ],
)
def test_bad_input_is_one_line(
    gpt2: Decoder, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^beam_search: {message}$"):
        beam_search(gpt2, [[1]], **options)
