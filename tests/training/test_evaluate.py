"""The fixed corruption: 15 %, disjoint targets, the same for everyone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from npformer.objectives import MaskedLM
from npformer.text import Packed, WordPieceTokenizer
from npformer.training import evaluate, fixed_corruptions
from npformer.training.evaluate import small_part

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]


def make(n: int, length: int = 40, seed: int = 0):
    tokenizer = WordPieceTokenizer(VOCAB)
    ids = np.random.default_rng(seed).integers(5, len(VOCAB), (n, length)).astype(np.int32)
    ids[:, 0], ids[:, -1] = tokenizer.cls_id, tokenizer.sep_id
    ids[::7, 20:] = tokenizer.pad_id
    return tokenizer, Packed(ids, ids != tokenizer.pad_id)


def test_passes_are_disjoint_and_as_many_as_it_takes():
    tokenizer, held_out = make(600)
    ordinary = int((held_out.ids >= 5).sum())
    passes = fixed_corruptions(held_out, tokenizer)
    assert len(passes) == 4  # 3,130 each
    at = np.concatenate([batch.at for batch in passes])
    assert 10_000 <= len(at) == len(set(at.tolist()))
    for batch in passes:
        rate = batch.n_targets / ordinary
        assert abs(rate - 0.15) < 4 * np.sqrt(0.15 * 0.85 / ordinary)
        assert np.array_equal(held_out.ids.reshape(-1)[batch.at], batch.targets)
        assert (batch.targets >= 5).all()
        elsewhere = np.ones(held_out.ids.size, bool)
        elsewhere[batch.at] = False
        assert np.array_equal(batch.ids.reshape(-1)[elsewhere], held_out.ids.reshape(-1)[elsewhere])
    shown = np.concatenate([batch.ids.reshape(-1)[batch.at] for batch in passes])
    targets = np.concatenate([batch.targets for batch in passes])
    masked, kept = (shown == tokenizer.mask_id).mean(), (shown == targets).mean()
    assert abs(masked - 0.8) < 4 * np.sqrt(0.8 * 0.2 / len(at))
    expected = 0.1 + 0.1 / 8  # a random token is the true one now and then
    assert abs(kept - expected) < 4 * np.sqrt(expected / len(at))


def test_the_corruption_is_fixed_and_large_texts_take_one_pass():
    tokenizer, held_out = make(2500)
    first, second = (fixed_corruptions(held_out, tokenizer) for _ in range(2))
    assert len(first) == len(second) == 1
    assert np.array_equal(first[0].ids, second[0].ids)


def test_little_text_takes_six_passes_at_most():
    tokenizer, held_out = make(3)
    passes = fixed_corruptions(held_out, tokenizer)
    assert len(passes) == 6
    assert sum(batch.n_targets for batch in passes) <= 0.95 * (held_out.ids >= 5).sum()


@pytest.mark.parametrize("threads", [1, 2])
def test_evaluate_is_the_mean_over_all_targets_on_any_number_of_threads(make_encoder, threads):
    tokenizer, held_out = make(70)
    model = make_encoder(0, vocab_size=len(VOCAB), max_positions=40)
    objective = MaskedLM(len(VOCAB), tokenizer.mask_id, tokenizer.special_ids)
    passes = fixed_corruptions(held_out, tokenizer)
    loss, correct, n = 0.0, 0, 0
    for batch in passes:
        hidden, _ = model.forward(batch.ids, mask=batch.mask)
        logits, _ = model.mlm_head.forward(model.params, hidden)
        rows = logits.reshape(-1, len(VOCAB))[batch.at]
        p = np.exp(rows - rows.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        loss -= np.log(p[np.arange(len(p)), batch.targets]).sum()
        correct += (p.argmax(1) == batch.targets).sum()
        n += len(p)
    with ThreadPoolExecutor(threads) as executor:
        metrics = evaluate(model, objective, passes, executor if threads > 1 else None)
        assert metrics == evaluate(model, objective, passes)  # bit for bit
    assert (metrics.n_correct, metrics.n_targets) == (correct, n)
    assert abs(metrics.loss_sum - loss) <= 1e-12 * loss


def test_the_small_part_is_the_beginning_of_the_first_pass():
    tokenizer, held_out = make(600)
    passes = fixed_corruptions(held_out, tokenizer)
    (part,) = small_part(passes)
    assert part.ids.shape == (8192 // 40, 40)
    assert np.array_equal(part.targets, passes[0].targets[: part.n_targets])
