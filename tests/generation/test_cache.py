"""Decoding with kept keys and values equals the full pass; padding changes nothing; no one sees ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from npformer.models import Decoder, EncoderDecoder

LENGTHS = (5, 1, 3)
STEPS = 6
SAME = 1e-12


def ragged(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sequences (B, length + STEPS), the prompts padded on the left, and their mask."""
    longest = max(LENGTHS)
    whole = rng.integers(1, 23, (len(LENGTHS), longest + STEPS))
    mask = np.arange(longest)[::-1] < np.array(LENGTHS)[:, None]
    return whole, whole[:, :longest] * mask, mask


def logits_of(model: Any, hidden: np.ndarray) -> np.ndarray:
    return model.lm_head.forward(model.params, hidden, False)[0]


def alone(model: Decoder, ids: np.ndarray) -> np.ndarray:
    """The logits (T, V) of one sequence without padding, by the full pass."""
    return logits_of(model, model.forward(ids[None])[0])[0]


def test_every_step_equals_the_full_pass_in_a_ragged_batch(decoder: Decoder) -> None:
    whole, prompts, mask = ragged(np.random.default_rng(1))
    longest = max(LENGTHS)
    state = decoder.start(len(whole), longest + STEPS)
    steps = [logits_of(decoder, decoder.step(prompts, state, mask))]
    for t in range(longest, longest + STEPS):
        steps.append(logits_of(decoder, decoder.step(whole[:, t : t + 1], state)))
    logits = np.concatenate(steps, axis=1)
    for row, ids, length in zip(logits, whole, LENGTHS, strict=True):
        np.testing.assert_allclose(
            row[longest - length :], alone(decoder, ids[longest - length :]), atol=SAME
        )


def test_several_tokens_at_a_time_are_the_same(decoder: Decoder) -> None:
    ids = np.random.default_rng(2).integers(0, 23, (2, 9))
    state = decoder.start(2, 9)
    parts = [decoder.step(ids[:, a:b], state) for a, b in ((0, 4), (4, 5), (5, 9))]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), decoder.forward(ids)[0], atol=SAME)


def test_every_step_equals_the_full_pass_after_reordering(decoder: Decoder) -> None:
    rng = np.random.default_rng(3)
    whole, prompts, mask = ragged(rng)
    longest = max(LENGTHS)
    state = decoder.start(len(whole), longest + STEPS)
    decoder.step(prompts, state, mask)
    lengths = np.array(LENGTHS)
    histories = [ids[longest - n : longest] for ids, n in zip(whole, lengths, strict=True)]
    for rows in ([2, 0, 0, 1], [3, 1, 1, 0, 2], [4, 2], [0, 1, 0], [1]):
        state = state.select(rows)
        tokens = rng.integers(0, 23, len(rows))
        histories = [np.append(histories[row], token) for row, token in zip(rows, tokens, strict=True)]
        logits = logits_of(decoder, decoder.step(tokens[:, None], state))
        for row, ids in zip(logits[:, 0], histories, strict=True):
            np.testing.assert_allclose(row, alone(decoder, ids)[-1], atol=SAME)


def test_a_selected_state_shares_nothing(gpt2: Decoder) -> None:
    state = gpt2.start(2, 6)
    gpt2.step([[1, 2], [3, 4]], state)
    before = state.select([0, 1])
    chosen = state.select([1, 1])
    gpt2.step([[5], [6]], chosen)
    assert state.length == 2
    for a, b in zip(state.layers, before.layers, strict=True):
        np.testing.assert_array_equal(a.k, b.k)
        np.testing.assert_array_equal(a.v, b.v)


def test_padding_on_either_side_gives_the_logits_of_unpadded_sequences(decoder: Decoder) -> None:
    rng = np.random.default_rng(4)
    sequences = [rng.integers(0, 23, n) for n in (7, 3, 5)]
    for left in (True, False):
        mask = np.arange(7) < np.array([[7], [3], [5]])
        mask = mask[:, ::-1] if left else mask
        ids = rng.integers(0, 23, mask.shape)  # what stands in the padding must not matter
        ids[mask] = np.concatenate(sequences)
        logits = logits_of(decoder, decoder.forward(ids, mask=mask)[0])
        for row, real, alone_ids in zip(logits, mask, sequences, strict=True):
            np.testing.assert_allclose(row[real], alone(decoder, alone_ids), atol=SAME)


def test_causality_bit_for_bit(decoder: Decoder) -> None:
    rng = np.random.default_rng(5)
    ids = rng.integers(0, 23, (3, 9))
    before = logits_of(decoder, decoder.forward(ids)[0])
    for t in range(1, 9):
        changed = ids.copy()
        changed[:, t:] = (changed[:, t:] + rng.integers(1, 23, changed[:, t:].shape)) % 23
        after = logits_of(decoder, decoder.forward(changed)[0])
        np.testing.assert_array_equal(after[:, :t], before[:, :t])
        assert (after[:, t] != before[:, t]).any()


def test_the_target_equals_the_full_pass_with_ragged_sources(translator: EncoderDecoder) -> None:
    rng = np.random.default_rng(6)
    sources = [rng.integers(0, 23, n) for n in (4, 9, 1)]
    targets = rng.integers(0, 23, (3, 8))
    mask = np.arange(9) < np.array([[4], [9], [1]])
    padded = rng.integers(0, 23, mask.shape)
    padded[mask] = np.concatenate(sources)
    full, _ = translator.forward(padded, targets, source_mask=mask)
    state = translator.start(padded, 8, mask)
    steps = [translator.step(targets[:, t : t + 1], state) for t in range(8)]
    np.testing.assert_allclose(np.concatenate(steps, axis=1), full, atol=SAME)
    for row, source, target in zip(full, sources, targets, strict=True):
        np.testing.assert_allclose(row, translator.forward(source[None], target[None])[0][0], atol=SAME)


def test_the_target_equals_the_full_pass_after_reordering(translator: EncoderDecoder) -> None:
    rng = np.random.default_rng(7)
    sources = rng.integers(0, 23, (2, 6))
    mask = np.arange(6) < np.array([[6], [3]])
    state = translator.start(sources, 5, mask)
    translator.step([[1], [1]], state)
    of_source, histories = np.array([0, 1]), [[1], [1]]
    for rows in ([1, 0, 1], [2, 2, 0, 1], [3, 1], [0, 0]):
        state = state.select(rows)
        tokens = rng.integers(0, 23, len(rows))
        of_source = of_source[rows]
        histories = [[*histories[row], token] for row, token in zip(rows, tokens, strict=True)]
        hidden = translator.step(tokens[:, None], state)
        full, _ = translator.forward(sources[of_source], histories, source_mask=mask[of_source])
        np.testing.assert_allclose(hidden[:, 0], full[:, -1], atol=SAME)


def test_room_and_positions_end_in_one_line(gpt2: Decoder) -> None:
    with pytest.raises(ValueError, match=r"Decoder.start: capacity: expected at least 1, got 0"):
        gpt2.start(1, 0)
    state = gpt2.start(2, 3)
    with pytest.raises(ValueError, match=r"ids: expected at most 3 more tokens \(capacity 3\), got 4"):
        gpt2.step([4 * [1], 4 * [1]], state)
    with pytest.raises(ValueError, match="expected 2 sequences, got 1"):
        gpt2.step([[1]], state)
    # Padding takes room, real tokens take positions.
    state = gpt2.start(2, 14 + 3)
    mask = np.array([[False] * 3 + [True], 4 * [True]])
    gpt2.step(np.ones((2, 4), int), state, mask)
    gpt2.step(np.ones((2, 10), int), state)
    with pytest.raises(ValueError, match="at most max_positions = 14 tokens in all, got 15"):
        gpt2.step([[1], [1]], state)
    assert state.length == 14
    state = state.select([0])
    gpt2.step([[1, 2, 3]], state)
    assert state.positions.tolist() == [14]
