from __future__ import annotations

import numpy as np
import pytest

from npformer.objectives import MaskedLM, Metrics

SPECIAL = range(5)  # [PAD] [UNK] [CLS] [SEP] [MASK]


def rngs(seed: int, B: int) -> list[np.random.Generator]:
    return [np.random.default_rng((seed, b)) for b in range(B)]


def within_four_standard_errors(count: int, n: int, share: float) -> bool:
    return abs(count / n - share) <= 4 * np.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("rate", [0.15, 0.3])
def test_frequencies_over_a_million_tokens(rate):
    objective = MaskedLM(vocab_size=1000, mask_id=4, special_ids=SPECIAL, rate=rate)
    B, T = 8192, 128
    ids = np.random.default_rng(0).integers(0, 1000, (B, T))
    ids[:, 0], ids[:, 100], ids[:, 101:] = 2, 3, 0
    mask = ids != 0
    batch = objective.make_batch(ids, mask, rngs(1, B))

    ordinary = int((ids >= 5).sum())
    n = batch.n_targets
    assert ordinary > 750_000
    assert within_four_standard_errors(n, ordinary, rate)

    before, after = ids.reshape(-1), batch.ids.reshape(-1)
    np.testing.assert_array_equal(batch.targets, before[batch.at])
    assert (batch.targets >= 5).all(), "a special token was chosen"
    untouched = np.ones(ids.size, dtype=bool)
    untouched[batch.at] = False
    np.testing.assert_array_equal(after[untouched], before[untouched])

    now = after[batch.at]
    masked = now == 4
    kept = now == batch.targets
    assert (now[~masked] >= 5).all(), "a special token was put in a target's place"
    assert within_four_standard_errors(int(masked.sum()), n, 0.8)
    by_chance = 0.1 / 995  # a random token can be the true one
    assert within_four_standard_errors(int(kept.sum()), n, 0.1 + by_chance)
    assert within_four_standard_errors(int((~masked & ~kept).sum()), n, 0.1 - by_chance)
    counts = np.bincount(now[~masked & ~kept], minlength=1000)[5:]
    assert counts.min() > 0, "every ordinary token can be a replacement"


def test_over_a_million_ordinary_tokens_at_the_default_rate():
    objective = MaskedLM(vocab_size=50, mask_id=4, special_ids=SPECIAL)
    B, T = 4096, 256
    ids = np.random.default_rng(2).integers(5, 50, (B, T))
    batch = objective.make_batch(ids, np.ones_like(ids, dtype=bool), rngs(3, B))
    assert ids.size >= 10**6
    assert within_four_standard_errors(batch.n_targets, ids.size, 0.15)


def test_padding_is_never_a_target_even_under_an_ordinary_id():
    objective = MaskedLM(vocab_size=20, mask_id=4, special_ids=SPECIAL, rate=1.0)
    ids = np.full((2, 6), 9)
    mask = np.array([[True] * 4 + [False] * 2, [False] * 6])
    batch = objective.make_batch(ids, mask, rngs(0, 2))
    np.testing.assert_array_equal(batch.at, [0, 1, 2, 3])


def test_a_batch_is_reproducible_and_a_sequence_does_not_depend_on_its_neighbours():
    objective = MaskedLM(vocab_size=100, mask_id=4, special_ids=SPECIAL)
    ids = np.random.default_rng(4).integers(5, 100, (6, 40))
    mask = np.ones_like(ids, dtype=bool)
    first, again = (objective.make_batch(ids, mask, rngs(7, 6)) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        if a is not None:
            np.testing.assert_array_equal(a, b)
    part = objective.make_batch(ids[2:5], mask[2:5], rngs(7, 6)[2:5])
    np.testing.assert_array_equal(part.ids, first.ids[2:5])
    np.testing.assert_array_equal(part.at, first.rows(2, 5).at)
    other = objective.make_batch(ids, mask, rngs(8, 6))
    assert not np.array_equal(other.at, first.at)


def test_the_input_is_not_changed():
    objective = MaskedLM(vocab_size=100, mask_id=4, special_ids=SPECIAL, rate=0.9)
    ids = np.random.default_rng(4).integers(5, 100, (3, 10))
    before = ids.copy()
    objective.make_batch(ids, np.ones_like(ids, dtype=bool), rngs(0, 3))
    np.testing.assert_array_equal(ids, before)


@pytest.fixture
def problem(make_encoder, inputs):
    model = make_encoder()
    objective = MaskedLM(vocab_size=13, mask_id=4, special_ids=[0, 1, 2, 3, 4], rate=0.5)
    batch = objective.make_batch(inputs["ids"], inputs["mask"], rngs(5, 3), inputs["segment_ids"])
    assert batch.n_targets >= 3
    return model, objective, batch


def test_the_loss_is_the_mean_over_the_targets(problem):
    model, objective, batch = problem
    hidden, _ = model.forward(batch.ids, mask=batch.mask, segment_ids=batch.segment_ids)
    logits, _ = model.mlm_head.forward(model.params, hidden.reshape(15, 8)[batch.at])
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    by_hand = -np.log(p[np.arange(batch.n_targets), batch.targets])
    metrics = objective.loss_and_grad(model, batch, None, normalizer=1)
    assert metrics.loss == pytest.approx(by_hand.mean(), rel=1e-13)
    assert metrics.n_correct == (p.argmax(axis=-1) == batch.targets).sum()


def test_micro_batches_add_up_to_the_whole_batch(problem):
    model, objective, batch = problem
    whole, parts = model.params.zeros_like(), model.params.zeros_like()
    total = objective.loss_and_grad(model, batch, whole, normalizer=batch.n_targets)
    pieces = [batch.rows(0, 2), batch.rows(2, 3)]
    assert pieces[0].n_targets != pieces[1].n_targets, "sizes that would hide a wrong mean"
    summed = Metrics(0.0, 0, 0)
    for piece in pieces:
        summed = summed + objective.loss_and_grad(model, piece, parts, normalizer=batch.n_targets)
    assert summed.loss == pytest.approx(total.loss, rel=1e-14)
    assert summed[1:] == total[1:]
    np.testing.assert_allclose(parts.flat, whole.flat, rtol=0, atol=1e-13 * np.abs(whole.flat).max())


def test_no_target_is_no_loss_and_no_gradient(problem):
    model, objective, batch = problem
    none = batch._replace(at=batch.at[:0], targets=batch.targets[:0])
    grads = model.params.zeros_like()
    metrics = objective.loss_and_grad(model, none, grads, normalizer=1)
    assert (metrics.loss, metrics.accuracy) == (0.0, 0.0)
    np.testing.assert_array_equal(grads.flat, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 0.0}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"rate": 1.5}, "rate"),
        ({"mask_id": 20}, "special_ids"),
        ({"special_ids": range(20)}, "ordinary tokens"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"MaskedLM: .*{message}"):
        MaskedLM(**{"vocab_size": 20, "mask_id": 4, "special_ids": SPECIAL, **arguments})
