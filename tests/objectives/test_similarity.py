"""Similarity: cosines of pairs, their gradient, and that no cut parts a pair."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.objectives import Metrics, Similarity
from npformer.objectives.similarity import cosine, cosine_backward

TARGETS = [0.5, -1.0, 1.0]


@pytest.fixture
def problem(make_encoder, texts):
    # lengths 7 and 3, 0 and 5, 7 and 1
    ids, mask, segment_ids = (part[[0, 1, 3, 2, 4, 5]].reshape(3, 2, 7) for part in texts)
    model = make_encoder(mlm=False, dropout=0.2)
    return model, Similarity().make_batch(ids, mask, TARGETS, segment_ids)


def test_the_training_steps_gradient_is_that_of_the_plain_path(problem, same_as_plain):
    model, batch = problem

    class Interleaved:
        """Draws for the first texts, then for the second ones."""

        def __init__(self, rng):
            self.rng = rng

        def random(self, size, dtype):
            sides = [self.rng.random((3, *size[1:]), dtype) for _ in range(2)]
            return np.stack(sides, axis=1).reshape(size)

    def plain(model, batch, rng):
        ids, mask, segment_ids = (part.reshape(6, 7) for part in batch[:3])
        rng = None if rng is None else Interleaved(rng)
        hidden, cache = model.forward(ids, mask=mask, segment_ids=segment_ids, rng=rng)
        n = np.maximum(mask.sum(axis=1), 1)
        x = np.array([hidden[b, mask[b]].sum(axis=0) / n[b] for b in range(6)])
        dx, loss = np.zeros_like(x), 0.0
        for i, target in enumerate(TARGETS):
            u, v = x[2 * i], x[2 * i + 1]
            lengths = np.sqrt(u @ u) * np.sqrt(v @ v)
            if lengths == 0:
                loss += target**2 / 3
                continue
            cos = u @ v / lengths
            loss += (cos - target) ** 2 / 3
            dcos = 2 * (cos - target) / 3
            dx[2 * i] = dcos * (v / lengths - cos * u / (u @ u))
            dx[2 * i + 1] = dcos * (u / lengths - cos * v / (v @ v))
        dhidden = np.zeros_like(hidden)
        for b in range(6):
            dhidden[b, mask[b]] = dx[b] / n[b]
        grads = model.params.zeros_like()
        model.backward(dhidden, cache, grads)
        return loss, grads

    same_as_plain(model, Similarity(), batch, plain)


def test_a_pair_stays_together_and_is_as_long_as_its_longer_text(problem, texts):
    _, batch = problem
    assert (batch.shape, batch.n_targets) == ((3, 7), 3)
    assert batch.extents.tolist() == [[0, 0, 0], [7, 5, 7]]
    part = batch.take(np.array([1])).trimmed()
    assert part.ids.shape == (1, 2, 5)
    np.testing.assert_array_equal(part.ids[0], texts[0][[3, 2], :5])
    np.testing.assert_array_equal(part.segment_ids[0], texts[2][[3, 2], :5])
    assert part.targets.tolist() == [-1.0]
    np.testing.assert_array_equal(batch.rows(1, 3).mask, batch.mask[1:])


def test_predictions_are_cosines(problem):
    model, batch = problem
    without = Similarity().make_batch(batch.ids, batch.mask, segment_ids=batch.segment_ids)
    cos = Similarity().predict(model, without)
    assert cos[1] == 0  # an empty text is like nothing
    assert (np.abs(cos) <= 1 + 1e-15).all()
    metrics = Similarity().loss_and_grad(model, batch, None, normalizer=1)
    assert metrics.loss == pytest.approx(((cos - TARGETS) ** 2).mean(), rel=1e-13)
    assert metrics.n_correct == 0
    with pytest.raises(ValueError, match="Similarity: batch: expected one with targets"):
        Similarity().loss_and_grad(model, without, None, normalizer=1)
    assert Similarity().loss_and_grad(model, batch.rows(0, 0), None, normalizer=1) == Metrics(0.0, 0, 0)
    same = Similarity().make_batch(batch.ids[:1, [0, 0]], batch.mask[:1, [0, 0]])
    assert Similarity().predict(model, same) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_the_gradient_of_the_cosine_by_complex_step(scale):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 5))
    x[1, 2] = 0  # has no direction
    dcos = rng.standard_normal(3)
    cos, cache = cosine(*(x * scale))
    np.testing.assert_allclose(cos, cosine(*x)[0], rtol=1e-14)
    found = np.array(cosine_backward(dcos, cache)) * scale
    numeric = np.zeros_like(x)
    for where in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[where] += 1e-30j
        numeric[where] = (cosine(*moved)[0].imag * dcos).sum() / 1e-30
    assert not found[:, 2].any()
    np.testing.assert_allclose(found[:, :2], numeric[:, :2], rtol=0, atol=1e-13)


def test_what_is_no_pair_or_no_cosine_is_named(texts):
    ids, mask, _ = texts
    with pytest.raises(ValueError, match=r"Similarity: ids: expected shape \(B, 2, T\), got \(6, 7\)"):
        Similarity().make_batch(ids, mask, TARGETS)
    with pytest.raises(ValueError, match=r"Similarity: targets: expected cosines, in \[-1, 1\], got -5"):
        Similarity().make_batch(ids.reshape(3, 2, 7), mask.reshape(3, 2, 7), [1.0, -5.0, 4.0])
    with pytest.raises(ValueError, match="Similarity: targets: expected 3 finite numbers"):
        Similarity().make_batch(ids.reshape(3, 2, 7), mask.reshape(3, 2, 7), [1.0])
