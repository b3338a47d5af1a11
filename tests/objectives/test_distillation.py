"""Distillation: the loss by its definition, the gradient, its limits, and what the teacher does."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.models import Decoder, DecoderConfig, Encoder, EncoderConfig
from npformer.objectives import CausalLM, Distillation, MaskedLM, Metrics

V = 13
SIZES = {"vocab_size": V, "n_heads": 2, "max_positions": 8}


def rngs(seed: int, B: int) -> list[np.random.Generator]:
    return [np.random.default_rng((seed, b)) for b in range(B)]


def encoder(d: int, seed: int, **options) -> Encoder:
    config = EncoderConfig(**SIZES, d_model=d, d_ff=2 * d, n_layers=2, **options)
    model = Encoder(config, np.random.default_rng(seed), dtype=np.float64)
    model.params.flat[...] += 0.2 * np.random.default_rng(seed).standard_normal(model.params.flat.size)
    return model


MASKED = MaskedLM(V, mask_id=4, special_ids=range(5), rate=0.6)


def masked_batch():
    ids = np.random.default_rng(0).integers(5, V, (4, 8))
    mask = np.arange(8) < np.array([8, 5, 8, 6])[:, None]
    return MASKED.make_batch(ids, mask, rngs(1, 4))


def at_logits(alpha: float, tau: float, n: int = 7):
    rng = np.random.default_rng(2)
    logits, of_teacher = 2 * rng.standard_normal((2, n, V))
    targets = rng.integers(0, V, n)
    log_q = of_teacher / tau - np.log(np.exp(of_teacher / tau).sum(axis=1, keepdims=True))
    return Distillation(MASKED, None, alpha, tau), logits, of_teacher, log_q, targets


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("tau", [0.7, 1.0, 4.0])
def test_the_loss_by_its_definition_and_the_gradient_by_the_complex_step(alpha, tau):
    objective, logits, _, log_q, targets = at_logits(alpha, tau)
    metrics, dlogits = objective.loss_of_logits(logits, log_q, targets, 5.0)
    p, p_tau = (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (logits, logits / tau))
    K = (np.exp(log_q) * (log_q - np.log(p_tau))).sum()
    H = -np.log(p[np.arange(7), targets]).sum()
    assert K > 0
    assert metrics.loss_sum == pytest.approx(alpha * tau**2 * K + (1 - alpha) * H, rel=1e-13)
    assert metrics[1:] == ((logits.argmax(axis=1) == targets).sum(), 7)
    numeric = np.empty_like(logits)
    for place in np.ndindex(*logits.shape):
        moved = logits.astype(complex)
        moved[place] += 1e-30j
        numeric[place] = objective.loss_of_logits(moved, log_q, targets, None)[0].loss_sum.imag / 1e-30 / 5
    assert np.abs(dlogits - numeric).max() <= 1e-14 * np.abs(numeric).max()
    onehot = np.eye(V)[targets]
    closed = (alpha * tau * (p_tau - np.exp(log_q)) + (1 - alpha) * (p - onehot)) / 5
    np.testing.assert_allclose(dlogits, closed, atol=1e-14)
    for forgotten in (alpha / tau, alpha * tau**2):  # the factor τ², or the 1 / τ of the logits
        if alpha and tau != 1:
            wrong = (forgotten * (p_tau - np.exp(log_q)) + (1 - alpha) * (p - onehot)) / 5
            assert np.abs(wrong - numeric).max() > 1e-2 * np.abs(numeric).max()


def test_at_a_high_temperature_logits_are_matched():
    """Hinton et al., equation 4: with zero-mean logits the gradient becomes (z - v) / V, whatever τ."""
    for tau in (1e4, 1e5):
        objective, logits, of_teacher, log_q, targets = at_logits(1.0, tau)
        _, dlogits = objective.loss_of_logits(logits, log_q, targets, 1.0)
        z, v = (x - x.mean(axis=1, keepdims=True) for x in (logits, of_teacher))
        np.testing.assert_allclose(dlogits, (z - v) / V, atol=1e-3)


def test_float32_stays():
    objective, logits, _, log_q, targets = at_logits(0.5, 2.0)
    for of_teacher in (log_q, log_q.astype(np.float32)):
        _, dlogits = objective.loss_of_logits(logits.astype(np.float32), of_teacher, targets, 5)
        assert dlogits.dtype == np.float32


def test_without_a_share_the_teacher_says_nothing():
    student, batch = encoder(8, 0), masked_batch()
    grads, plain = student.params.zeros_like(), student.params.zeros_like()
    got = Distillation(MASKED, encoder(12, 1), alpha=0.0).loss_and_grad(student, batch, grads, normalizer=9)
    wanted = MASKED.loss_and_grad(student, batch, plain, normalizer=9)
    assert got.loss_sum == pytest.approx(wanted.loss_sum, rel=1e-14)
    np.testing.assert_allclose(grads.flat, plain.flat, atol=1e-14)


def test_a_model_has_nothing_to_learn_from_itself():
    student, batch = encoder(8, 0), masked_batch()
    grads = student.params.zeros_like()
    objective = Distillation(MASKED, student, alpha=1.0, temperature=3.0)
    metrics = objective.loss_and_grad(student, batch, grads, normalizer=1)
    assert abs(metrics.loss_sum) < 1e-12
    assert np.abs(grads.flat).max() < 1e-12


def test_the_teacher_keeps_nothing_does_not_change_and_has_no_dropout(monkeypatch):
    student, teacher, batch = encoder(8, 0), encoder(12, 1, dropout=0.5), masked_batch()
    objective, before = Distillation(MASKED, teacher), teacher.params.flat.copy()
    seen = []
    true = teacher.forward

    def forward(*arguments, **options):
        seen.append(options)
        return true(*arguments, **options)

    monkeypatch.setattr(teacher, "forward", forward)
    losses = [
        objective.loss_and_grad(student, batch, grads, normalizer=1, rng=None).loss_sum
        for grads in (student.params.zeros_like(), None)
    ]
    assert losses[0] == losses[1]
    assert [options["keep"] for options in seen] == [False, False]
    assert all(options.get("rng") is None for options in seen)
    np.testing.assert_array_equal(teacher.params.flat, before)


def test_micro_batches_add_up_to_the_whole_batch():
    student, batch = encoder(8, 0), masked_batch()
    objective = Distillation(MASKED, encoder(12, 1), 0.6, 1.5)
    whole, parts = student.params.zeros_like(), student.params.zeros_like()
    total = objective.loss_and_grad(student, batch, whole, normalizer=batch.n_targets)
    summed = Metrics(0.0, 0, 0)
    for part in (batch.rows(0, 3), batch.rows(3, 4)):
        summed += objective.loss_and_grad(student, part.trimmed(), parts, normalizer=batch.n_targets)
    assert summed.loss == pytest.approx(total.loss, rel=1e-13)
    assert np.abs(parts.flat - whole.flat).max() <= 1e-13 * np.abs(whole.flat).max()
    none = batch._replace(at=batch.at[:0], targets=batch.targets[:0])
    assert objective.loss_and_grad(student, none, parts, normalizer=1) == Metrics(0.0, 0, 0)


def test_what_comes_next_is_learnt_from_a_decoder():
    config = {**SIZES, "n_layers": 1, "d_ff": 12}
    student, teacher = (
        Decoder(DecoderConfig(**config, d_model=d), np.random.default_rng(d), dtype=np.float64)
        for d in (8, 12)
    )
    ids = np.random.default_rng(3).integers(1, V, (3, 8))
    batch = CausalLM().make_batch(ids, ids != 0)  # every place is a target
    objective, grads = Distillation(CausalLM(), teacher, 0.5, 2.0), student.params.zeros_like()
    first = objective.loss_and_grad(student, batch, grads, normalizer=batch.n_targets)
    student.params.flat[...] -= 1e-4 * grads.flat
    then = objective.loss_and_grad(student, batch, None, normalizer=1)
    drop = 1e-4 * (grads.flat @ grads.flat)
    assert first.loss - then.loss == pytest.approx(drop, rel=0.01)


@pytest.mark.parametrize(
    "arguments", [{"alpha": -0.1}, {"alpha": 1.1}, {"temperature": 0.0}, {"temperature": float("nan")}]
)
def test_bad_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=f"Distillation: {next(iter(arguments))}: expected"):
        Distillation(MASKED, None, **arguments)
