"""Replaced-token detection: what is masked, what is put there, its label, and both losses' gradients."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.functional import softmax
from npformer.nn import SequenceRandom
from npformer.objectives import Metrics, ReplacedTokens, replaced_tokens
from npformer.objectives.replaced_tokens import drawn

SPECIAL = range(5)  # [PAD] [UNK] [CLS] [SEP] [MASK]
B, T, V = 7, 6, 13
FORM = {"norm": "pre", "positions": "rotary"}


def rngs(seed: int, n: int = B) -> list[np.random.Generator]:
    return [np.random.default_rng((seed, b)) for b in range(n)]


def make(make_electra, rate=0.6, **changes):
    model = make_electra(0, **changes)
    rng = np.random.default_rng(0)
    ids = rng.integers(5, V, (B, T))
    ids[:, 0], ids[:, -1] = 2, 3
    ids[2, 3:] = 0  # padded
    ids[4, 1:] = 0  # nothing to mask
    ids[5] = 0  # nothing at all
    objective = ReplacedTokens(V, 4, SPECIAL, rate)
    batch = objective.make_batch(ids, ids != 0, rngs(1))
    assert batch.at.size >= 8
    return model, objective, batch, ids


def test_frequencies_and_what_is_masked():
    objective = ReplacedTokens(vocab_size=1000, mask_id=4, special_ids=SPECIAL)
    n = 4096
    ids = np.random.default_rng(0).integers(0, 1000, (n, 64))
    ids[:, 0], ids[:, 50], ids[:, 51:] = 2, 3, 0
    batch = objective.make_batch(ids, ids != 0, rngs(1, n))
    ordinary = int((ids >= 5).sum())
    assert abs(batch.at.size / ordinary - 0.15) <= 4 * np.sqrt(0.15 * 0.85 / ordinary)
    before, after = ids.reshape(-1), batch.ids.reshape(-1)
    assert (after[batch.at] == 4).all()  # always [MASK]
    np.testing.assert_array_equal(before[batch.at], batch.targets)
    assert (batch.targets >= 5).all()
    others = np.delete(np.arange(ids.size), batch.at)
    np.testing.assert_array_equal(before[others], after[others])
    np.testing.assert_array_equal(batch.n_targets, [batch.at.size, (ids != 0).sum()])
    assert abs(batch.u.mean() - 0.5) <= 4 * np.sqrt(1 / 12 / batch.u.size)
    assert abs(np.corrcoef(batch.u, before[batch.at])[0, 1]) <= 4 / np.sqrt(batch.u.size)


def test_the_same_seed_gives_the_same_and_a_sequence_does_not_depend_on_its_neighbours(make_electra):
    model, objective, batch, ids = make(make_electra)
    again = objective.make_batch(ids, ids != 0, rngs(1))
    part = objective.make_batch(ids[3:5], ids[3:5] != 0, rngs(1)[3:5])
    for field, mine in batch._asdict().items():
        np.testing.assert_array_equal(getattr(again, field), mine)
        np.testing.assert_array_equal(getattr(part, field), getattr(batch.rows(3, 5), field))
    tokens = objective.put_in(model, batch)
    places = np.array([6, 2, 0])
    which = np.concatenate([np.flatnonzero(batch.at // T == place) for place in places])
    np.testing.assert_array_equal(objective.put_in(model, batch.take(places)), tokens[which])
    alone = objective.put_in(model, batch.rows(2, 3).trimmed())
    np.testing.assert_array_equal(alone, tokens[batch.at // T == 2])


def test_a_uniform_number_becomes_a_token_of_the_softmax():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((1, 9)) * 2
    logits[0, [0, 8]] = -np.inf  # never drawn, not even by a 0 or nearly a 1
    p, _ = softmax(logits)
    n = 40_000
    u = rng.random(n)
    u[:2] = 0, np.nextafter(1, 0)
    counts = np.bincount(drawn(np.repeat(logits, n, axis=0), u), minlength=9)
    assert counts[0] == counts[8] == 0
    expected = n * p[0, 1:8]
    chi_square = ((counts[1:8] - expected) ** 2 / expected).sum()  # 6 degrees of freedom
    assert chi_square <= 6 + 5 * np.sqrt(12)


def test_borders_and_what_is_not_finite():
    logits = np.zeros((4, 4), np.float32)
    np.testing.assert_array_equal(drawn(logits, np.array([0, 0.25, 0.4999, 0.75])), [0, 1, 1, 3])
    with np.errstate(all="ignore"):
        tokens = drawn(np.full((2, 4), np.nan), np.array([0.1, 0.9]))
    assert ((tokens >= 0) & (tokens < 4)).all()  # the loss says what is wrong


def test_the_tokens_follow_the_generator(make_electra):
    """Through the model: many copies of one sequence, whose masked places have one softmax each."""
    model, objective, _, ids = make(make_electra)
    n = 3000
    chosen = np.zeros((n, T), bool)
    chosen[:, [1, 3]] = True
    u = np.random.default_rng(1).random((n, T))
    copies = np.repeat(ids[:1], n, axis=0)
    batch = objective.masked(copies, copies != 0, chosen, u)
    tokens = objective.put_in(model, batch).reshape(n, 2)
    hidden, _ = model.generator.forward(batch.ids[:1], at=[1, 3])
    logits, _ = model.generator.mlm_head.forward(model.generator.params, hidden)
    p, _ = softmax(logits)
    for place in range(2):
        counts = np.bincount(tokens[:, place], minlength=V)
        chi_square = ((counts - n * p[place]) ** 2 / (n * p[place])).sum()
        assert chi_square <= V - 1 + 5 * np.sqrt(2 * (V - 1))
    assert abs(np.corrcoef(tokens.T)[0, 1]) <= 4 / np.sqrt(n)


def test_the_labels_by_hand(make_electra, monkeypatch):
    """What the discriminator is given and asked, against the text itself."""
    model, objective, batch, ids = make(make_electra)
    given, asked = [], []
    forward, loss = model.discriminator.forward, replaced_tokens.binary_cross_entropy_with_logits
    monkeypatch.setattr(
        model.discriminator, "forward", lambda ids, **o: (given.append(ids), forward(ids, **o))[1]
    )
    monkeypatch.setattr(
        replaced_tokens,
        "binary_cross_entropy_with_logits",
        lambda logits, targets, **o: (asked.append(targets), loss(logits, targets, **o))[1],
    )
    tokens = objective.put_in(model, batch)
    tokens[:2] = batch.targets[:2]  # happy guesses
    batch = batch._replace(tokens=tokens)
    metrics = objective.loss_and_grad(model, batch, None, normalizer=1)
    (filled,), (labels,) = given, asked
    real = ids != 0
    np.testing.assert_array_equal(labels, (filled != ids)[real])
    changed = np.flatnonzero(filled != ids)
    assert set(changed) < set(batch.at)
    assert not set(batch.at[:2]) & set(changed)
    assert 0 < labels.sum() < batch.at.size
    np.testing.assert_array_equal(metrics.n_targets, [batch.at.size, real.sum()])


def plain(model, objective, batch, dropout):
    """Both losses from whole arrays: every position computed, what counts picked at the end."""
    rng = SequenceRandom(rngs(2), batch.extents) if dropout else None
    hidden, _ = model.generator.forward(batch.ids, mask=batch.mask, rng=rng)
    logits, _ = model.generator.mlm_head.forward(model.generator.params, hidden)
    p = softmax(logits.reshape(B * T, V))[0][batch.at]
    first = -np.log(p[np.arange(len(p)), batch.targets])
    sums = np.cumsum(p, axis=1)
    tokens = [int(np.searchsorted(row, u, side="right")) for row, u in zip(sums, batch.u, strict=True)]
    ids = batch.ids.copy()
    ids.reshape(-1)[batch.at] = tokens
    hidden, _ = model.discriminator.forward(ids, mask=batch.mask, rng=rng)
    logit, _ = model.discriminator.rtd_head.forward(model.params, hidden)
    labels = np.zeros(B * T, bool)
    labels[batch.at] = np.array(tokens) != batch.targets
    q = 1 / (1 + np.exp(-np.where(labels.reshape(B, T), logit, -logit)))
    second = -np.log(q[batch.mask])
    return first, second, p.argmax(axis=-1) == batch.targets, (q > 0.5)[batch.mask]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_losses_by_hand(make_electra, dropout):
    model, objective, batch, _ = make(make_electra, dropout=dropout)
    rng = SequenceRandom(rngs(2), batch.extents) if dropout else None
    metrics = objective.loss_and_grad(model, batch, None, normalizer=1, rng=rng)
    first, second, *correct = plain(model, objective, batch, dropout)
    assert metrics.loss == pytest.approx(first.mean() + 50 * second.mean(), rel=1e-12)
    np.testing.assert_allclose(metrics.loss_sum, [first.sum(), 50 * second.sum()], rtol=1e-12)
    np.testing.assert_array_equal(metrics.n_correct, [c.sum() for c in correct])


def test_the_gradient_by_complex_step(make_electra):
    """Of both losses at once, in the form that is trained, an entry of every parameter.

    With tokens that are drawn: the imaginary step does not move them.
    """
    model, objective, batch, _ = make(make_electra, dropout=0.2, d_embedding=6, **FORM)
    n = batch.n_targets
    grads = model.params.zeros_like()
    of = {"normalizer": n}
    objective.loss_and_grad(model, batch, grads, rng=SequenceRandom(rngs(2), batch.extents), **of)
    moved = model.params.astype(np.complex128)
    scale = np.abs(grads.flat).max()
    rng = np.random.default_rng(0)
    for name, gradient in grads.items():
        where = int(rng.integers(gradient.size))
        moved[name].reshape(-1)[where] += 1e-30j
        options = {"rng": SequenceRandom(rngs(2), batch.extents), "params": moved, **of}
        loss = (objective.loss_and_grad(model, batch, None, **options).loss_sum / n).sum()
        moved[name].reshape(-1)[where] = moved[name].reshape(-1)[where].real
        error = abs(loss.imag / 1e-30 - gradient.reshape(-1)[where])
        assert error <= 1e-12 * max(np.abs(gradient).max(), 1e-3 * scale), name


def test_no_gradient_goes_through_the_draw(make_electra):
    """Whatever the discriminator's weight: the generator's own gradient has the same bits."""
    model, _, batch, _ = make(make_electra)
    found = {}
    for weight in (0.0, 50.0):
        found[weight] = model.params.zeros_like()
        objective = ReplacedTokens(V, 4, SPECIAL, weight=weight)
        objective.loss_and_grad(model, batch, found[weight], normalizer=batch.n_targets)
    for name in model.params:
        same = np.array_equal(found[0.0][name], found[50.0][name])
        assert same == name.startswith("generator."), name
        if not name.startswith(("generator.", "embeddings.")):
            assert not found[0.0][name].any()


def test_parts_of_a_batch_add_up(make_electra):
    model, objective, batch, _ = make(make_electra)
    whole, parts = model.params.zeros_like(), model.params.zeros_like()
    total = objective.loss_and_grad(model, batch, whole, normalizer=batch.n_targets)
    summed = Metrics(0.0, 0, 0)
    for a, b in ((0, 2), (2, 4), (4, 5), (5, 6), (6, 7)):  # of [4, 5) and [5, 6) nothing is masked
        piece = batch.rows(a, b).trimmed()
        summed += objective.loss_and_grad(model, piece, parts, normalizer=batch.n_targets)
    np.testing.assert_allclose(summed.loss_sum, total.loss_sum, rtol=1e-13)
    np.testing.assert_array_equal(summed.n_correct, total.n_correct)
    np.testing.assert_array_equal(summed.n_targets, total.n_targets)
    np.testing.assert_allclose(parts.flat, whole.flat, rtol=0, atol=1e-13 * np.abs(whole.flat).max())


def test_padding_is_no_target(make_electra):
    model, objective, batch, _ = make(make_electra)
    ids = np.where(batch.mask, batch.ids, 9)  # other padding
    one, other = (
        objective.loss_and_grad(model, b, None, normalizer=1) for b in (batch, batch._replace(ids=ids))
    )
    np.testing.assert_array_equal(one.loss_sum, other.loss_sum)
    assert one.n_targets[1] == batch.mask.sum()


def test_nothing_is_no_loss_and_no_gradient(make_electra):
    model, objective, batch, _ = make(make_electra)
    grads = model.params.zeros_like()
    metrics = objective.loss_and_grad(model, batch.rows(5, 6), grads, normalizer=np.array([1, 1]))
    assert (metrics.loss, metrics.accuracy) == (0.0, 0.0)
    np.testing.assert_array_equal(metrics.n_targets, 0)
    assert not grads.flat.any()
    unmasked = batch.rows(4, 5)  # tokens to judge, none of them replaced
    metrics = objective.loss_and_grad(model, unmasked, grads, normalizer=unmasked.n_targets)
    np.testing.assert_array_equal(metrics.n_targets, [0, 1])
    assert metrics.losses[0] == 0.0 < metrics.losses[1]
    assert grads["rtd.logit.bias"].any()
    assert not grads["generator.mlm.bias"].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": float("inf")}, "ReplacedTokens: weight: expected a number of at least 0, got inf"),
        ({"weight": -1.0}, "ReplacedTokens: weight: expected a number of at least 0, got -1.0"),
        ({"generator_weight": float("nan")}, "ReplacedTokens: generator_weight: expected"),
        ({"rate": 0.0}, "rate"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ReplacedTokens(20, 4, SPECIAL, **arguments)
