"""Contrastive learning: what a batch is, two masks of one text, the loss by its definition, the gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest

from npformer.nn import SequenceRandom
from npformer.objectives import Contrastive

B, T = 4, 6


def rngs():
    return [np.random.default_rng((5, b)) for b in range(B)]


def texts(k, seed=0):
    ids = np.random.default_rng(seed).integers(5, 13, (B, k, T))
    ids[..., 0] = 2
    ids[1, 0, 4:] = 0
    ids[2, -1, 3:] = 0
    return ids, ids != 0


def point(make_encoder, k, dropout=0.3, **options):
    objective = Contrastive(**{"temperature": 0.3, **options})
    return make_encoder(dropout=dropout), objective, objective.make_batch(*texts(k))


def embedded(model, objective, batch):
    return objective.embed(model, batch, rng=SequenceRandom(rngs(), batch.extents))[0]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_two_masks_of_a_text_differ_and_are_those_of_its_seed(make_encoder, pooling):
    model, objective, batch = point(make_encoder, 1, pooling=pooling)
    vectors = embedded(model, objective, batch)
    assert vectors.shape == (B, 2, 8)
    assert np.abs(vectors[:, 0] - vectors[:, 1]).max(axis=1).min() > 1e-2
    assert np.array_equal(vectors, embedded(model, objective, batch))


def test_without_dropout_the_two_are_one(make_encoder):
    model, objective, batch = point(make_encoder, 1, dropout=0.0)
    vectors, _ = objective.embed(model, batch)
    assert np.array_equal(vectors[:, 0], vectors[:, 1])


@pytest.mark.parametrize("k", [1, 2, 3])
def test_what_is_drawn_for_an_example_does_not_depend_on_the_others(make_encoder, k):
    model, objective, batch = point(make_encoder, k)
    whole = embedded(model, objective, batch)
    for b in range(B):
        part = batch.take(np.array([b])).trimmed()
        rng = SequenceRandom([rngs()[b]], part.extents)
        alone, _ = objective.embed(model, part, rng=rng)
        np.testing.assert_allclose(alone[0], whole[b], rtol=0, atol=1e-13)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_vector_is_the_mean_of_the_outputs_or_the_first(make_encoder, pooling):
    model, objective, batch = point(make_encoder, 2, dropout=0.0, pooling=pooling)
    vectors, _ = objective.embed(model, batch, keep=False)
    for b in range(B):
        for view in range(2):
            n = int(batch.mask[b, view].sum())
            hidden, _ = model.forward(batch.ids[b, view, :n][None])
            expected = hidden[0].mean(axis=0) if pooling == "mean" else hidden[0, 0]
            np.testing.assert_allclose(vectors[b, view], expected, rtol=0, atol=1e-13)


def nce(queries, keys, temperature):
    """By the definition, a query at a time; its own key is the one of its number."""

    def cosine(a, b):
        return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))

    total = 0.0
    for i, q in enumerate(queries):
        p = [math.exp(cosine(q, k) / temperature) for k in keys]
        total -= math.log(p[i] / sum(p))
    return total


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_loss_by_its_definition(make_encoder, k, symmetric):
    model, objective, batch = point(make_encoder, k, symmetric=symmetric)
    v = embedded(model, objective, batch)
    a, b = v[:, 0], v[:, 1]
    expected = nce(a, [*b, *(v[:, 2] if k == 3 else [])], 0.3)
    if symmetric:
        expected = (expected + nce(b, a, 0.3)) / 2
    rng = SequenceRandom(rngs(), batch.extents)
    metrics = objective.loss_and_grad(model, batch, None, normalizer=1, rng=rng)
    assert math.isclose(metrics.loss_sum, expected, rel_tol=1e-12)
    keys = np.concatenate([b, v[:, 2]] if k == 3 else [b])
    keys = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    assert metrics.n_correct == int(((a @ keys.T).argmax(axis=1) == np.arange(B)).sum())
    assert metrics.n_targets == B


@pytest.mark.parametrize(
    ("k", "symmetric", "pooling"), [(1, False, "mean"), (2, True, "cls"), (3, True, "mean")]
)
def test_complex_step_through_model_and_loss(make_encoder, k, symmetric, pooling):
    model, objective, batch = point(make_encoder, k, symmetric=symmetric, pooling=pooling)
    grads = model.params.zeros_like()

    def loss(params, grads=None):
        rng = SequenceRandom(rngs(), batch.extents)
        return objective.loss_and_grad(
            model, batch, grads, normalizer=B, rng=rng, params=params
        ).loss_sum / B

    loss(model.params, grads)
    scale = np.abs(grads.flat).max()
    wide, rng = model.params.astype(np.complex128), np.random.default_rng(9)
    for name, gradient in grads.items():
        start = wide[name].copy()
        for entry in rng.choice(gradient.size, 1):
            wide[name].flat[entry] += 1e-30j
            exact = loss(wide).imag / 1e-30
            wide[name] = start
            tolerance = 1e-12 * max(np.abs(gradient).max(), 1e-3 * scale)
            assert abs(gradient.flat[entry] - exact) <= tolerance, name


def test_normalizer_and_what_is_there_already(make_encoder):
    model, objective, batch = point(make_encoder, 1, dropout=0.0)
    once, twice = model.params.zeros_like(), model.params.zeros_like()
    objective.loss_and_grad(model, batch, once, normalizer=B)
    for _ in range(2):
        objective.loss_and_grad(model, batch, twice, normalizer=4 * B)
    np.testing.assert_allclose(twice.flat * 2, once.flat, rtol=0, atol=1e-14)


def test_parts_of_a_batch():
    objective = Contrastive()
    batch = objective.make_batch(*texts(3))
    assert batch.shape == (B, T)
    assert batch.n_targets == B
    part = batch.rows(1, 3)
    assert np.array_equal(part.ids, batch.ids[1:3])
    assert part.extents.tolist() == [[0, 0], [T, T]]  # of the longest of its texts
    short = objective.make_batch(np.array([[2, 5, 0, 0], [2, 5, 6, 0]]), np.arange(4) < np.array([[2], [3]]))
    assert short.extents.tolist() == [[0, 0], [2, 3]]
    assert short.trimmed().ids.shape == (2, 1, 3)
    ids, mask = short.texts()
    assert np.array_equal(ids[0], ids[1])
    assert mask.sum(axis=1).tolist() == [2, 2, 3, 3]


def test_a_batch_without_examples_has_no_loss(make_encoder):
    model, objective, batch = point(make_encoder, 1)
    assert objective.loss_and_grad(model, batch.rows(0, 0), None, normalizer=1).loss == 0


def test_a_text_without_tokens_is_similar_to_nothing(make_encoder):
    model, objective, batch = point(make_encoder, 2, dropout=0.0)
    batch.mask[3, 1] = False
    vectors, _ = objective.embed(model, batch)
    assert not vectors[3, 1].any()
    grads = model.params.zeros_like()
    assert math.isfinite(objective.loss_and_grad(model, batch, grads, normalizer=B).loss)
    assert np.isfinite(grads.flat).all()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="^Contrastive: temperature: expected a finite number > 0, got 0"):
        Contrastive(0)
    with pytest.raises(ValueError, match="^Contrastive: pooling: expected one of 'mean', 'cls', got 'max'"):
        Contrastive(pooling="max")
    ids, mask = texts(3)
    six = np.repeat(ids, 2, 1), np.repeat(mask, 2, 1)
    for bad in ((ids[:, :, :, None], mask), (ids, mask[:, :2]), six):
        with pytest.raises(ValueError, match="^Contrastive: ids, mask: expected one shape"):
            Contrastive().make_batch(*bad)
