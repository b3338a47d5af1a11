"""The gradient of a loss that couples the batch, against the plain path: all views at once, no lanes."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from npformer.functional import info_nce, info_nce_backward
from npformer.nn import SequenceRandom
from npformer.objectives import Contrastive
from npformer.training import coupled_step
from npformer.training.parts import BatchInParts, GeneratorsInParts
from npformer.training.ranks import Ranks
from npformer.training.step import gradient

B, T, V = 7, 6, 13
FORMS = pytest.mark.parametrize(
    ("texts", "objective"),
    [
        (1, Contrastive(0.2)),
        (2, Contrastive(0.3, symmetric=True, pooling="cls")),
        (3, Contrastive(0.2, symmetric=True)),
    ],
)


def rngs() -> list[np.random.Generator]:
    return [np.random.default_rng((2, b)) for b in range(B)]


def make(make_encoder, texts, objective, dropout=0.3):
    model = make_encoder(0, norm="pre", positions="rotary", dropout=dropout)
    rng = np.random.default_rng(texts)
    ids = rng.integers(5, V, (B, texts, T))
    ids[..., 0] = 2
    ids[2, 0, 3:] = 0  # padded
    ids[4, :, 2:] = 0
    ids[5, -1, 4:] = 0
    return model, objective.make_batch(ids, ids != 0)


def plain(model, objective, batch, dropout=True):
    """Each view by a forward of its own over the whole batch; the loss as its formula says it."""
    ids, mask = (np.repeat(x, 2, axis=1) if x.shape[1] == 1 else x for x in (batch.ids, batch.mask))
    views = ids.shape[1]
    extents = np.stack([np.zeros((B, views), int), np.where(mask, np.arange(1, T + 1), 0).max(axis=2)])
    flat = SequenceRandom([g for g in rngs() for _ in range(views)], extents.reshape(2, -1))
    rng = flat if dropout else None
    hidden, cache = model.forward(ids.reshape(-1, T), mask=mask.reshape(-1, T), rng=rng)
    hidden = hidden.reshape(B, views, T, -1)
    w = mask / mask.sum(axis=-1, keepdims=True)
    if objective.pooling == "cls":
        w = np.broadcast_to(np.arange(T) == 0, mask.shape).astype(float)
    vectors = (hidden * w[..., None]).sum(axis=2)
    a, b = vectors[:, 0], vectors[:, 1]
    n = vectors[:, 2] if views == 3 else None
    loss, c = info_nce(a, b, temperature=objective.temperature, negatives=n)
    da, db, dn = info_nce_backward(1.0, c)
    if objective.symmetric:
        back, c = info_nce(b, a, temperature=objective.temperature)
        more_b, more_a, _ = info_nce_backward(1.0, c)
        loss, da, db = (loss + back) / 2, (da + more_a) / 2, (db + more_b) / 2
        dn = None if dn is None else dn / 2
    dvectors = np.stack([x for x in (da, db, dn) if x is not None], axis=1)
    dhidden = w[..., None] * dvectors[:, :, None]
    grads = model.params.zeros_like()
    model.backward(dhidden.reshape(-1, T, dhidden.shape[-1]), cache, grads)
    return float(loss), grads


def same(got, expected):
    scale = max(np.abs(value).max() for value in expected.values())
    for name, value in expected.items():
        error = np.abs(got[name] - value).max()
        assert error <= 1e-12 * max(np.abs(value).max(), 1e-3 * scale), name


@FORMS
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(
    ("lanes", "threads", "micro_tokens"), [(1, 1, 10**6), (1, 1, T), (2, 1, 2 * T), (3, 3, T)]
)
def test_gradient_equals_the_plain_path(
    make_encoder, texts, objective, recompute, lanes, threads, micro_tokens
):
    model, batch = make(make_encoder, texts, objective)
    loss, expected = plain(model, objective, batch)
    places = [model.params.zeros_like() for _ in range(lanes)]
    for place in places:
        place.flat[...] = np.nan  # whatever was there before
    with ThreadPoolExecutor(threads) as executor:
        metrics = gradient(
            model,
            objective,
            batch,
            places,
            generators=rngs(),
            executor=executor if threads > 1 else None,
            micro_tokens=micro_tokens,
            recompute=recompute,
        )
    assert metrics.n_targets == B
    assert abs(metrics.loss - loss) <= 1e-12 * abs(loss)
    same(places[0], expected)


@FORMS
def test_without_dropout_too(make_encoder, texts, objective):
    model, batch = make(make_encoder, texts, objective, dropout=0.0)
    loss, expected = plain(model, objective, batch, dropout=False)
    places = [model.params.zeros_like() for _ in range(2)]
    assert abs(gradient(model, objective, batch, places, micro_tokens=T).loss - loss) <= 1e-12 * abs(loss)
    same(places[0], expected)


@FORMS
def test_the_objective_alone_does_the_same(make_encoder, texts, objective):
    model, batch = make(make_encoder, texts, objective)
    loss, expected = plain(model, objective, batch)
    grads = model.params.zeros_like()
    rng = SequenceRandom(rngs(), batch.extents)
    metrics = objective.loss_and_grad(model, batch, grads, normalizer=B, rng=rng)
    assert abs(metrics.loss - loss) <= 1e-12 * abs(loss)
    same(grads, expected)


def test_bits_depend_neither_on_threads_nor_on_recompute_nor_on_pieces(make_encoder):
    objective = Contrastive(0.2)
    model, batch = make(make_encoder, 1, objective)
    results = []
    for threads, recompute, whole in ((1, False, True), (2, False, True), (3, True, True), (2, True, False)):
        places = [model.params.zeros_like() for _ in range(3)]
        in_parts = BatchInParts(batch.take, batch.shape)
        generators = GeneratorsInParts(lambda i: np.random.default_rng((2, i)))
        with ThreadPoolExecutor(threads) as executor:
            metrics = gradient(
                model,
                objective,
                batch if whole else in_parts,
                places,
                generators=rngs() if whole else generators,
                executor=executor,
                micro_tokens=T,
                recompute=recompute,
            )
        results.append((metrics, places[0].flat.copy()))
    for metrics, flat in results[1:]:
        assert metrics == results[0][0]
        assert np.array_equal(flat, results[0][1])


def test_recompute_keeps_nothing_between_the_phases(make_encoder, monkeypatch):
    objective = Contrastive(0.2)
    model, batch = make(make_encoder, 1, objective)
    kept, embed = [], objective.embed

    def noted(model, part, *, keep=True, **options):
        kept.append(keep)
        return embed(model, part, keep=keep, **options)

    monkeypatch.setattr(objective, "embed", noted)
    for recompute, expected in ((False, [True] * 7), (True, [False] * 7 + [True] * 7)):
        kept.clear()
        gradient(
            model,
            objective,
            batch,
            [model.params.zeros_like()],
            generators=rngs(),
            micro_tokens=1,
            recompute=recompute,
        )
        assert kept == expected


def test_a_recomputed_forward_with_other_masks_is_seen(make_encoder, monkeypatch):
    """What the test of the plain path would say if the dropout were drawn anew in the second phase."""
    objective = Contrastive(0.2)
    model, batch = make(make_encoder, 1, objective)
    _, expected = plain(model, objective, batch)
    monkeypatch.setattr(coupled_step.copy, "deepcopy", copy.copy)
    places = [model.params.zeros_like()]
    gradient(model, objective, batch, places, generators=rngs(), micro_tokens=T, recompute=True)
    with pytest.raises(AssertionError):
        same(places[0], expected)


class Shared(Ranks):
    """A rank that knows what the others have embedded."""

    def __init__(self, rank, vectors, starts):
        self.rank, self.size, self.vectors, self.starts = rank, len(starts), vectors, starts

    def all_rows(self, rows):
        start = self.starts[self.rank]
        assert np.allclose(rows, self.vectors[start : start + len(rows)], rtol=1e-12)
        return self.vectors, start


@FORMS
def test_the_gradients_of_all_ranks_add_up_to_the_whole(make_encoder, texts, objective):
    model, batch = make(make_encoder, texts, objective)
    loss, expected = plain(model, objective, batch)
    vectors, _ = objective.embed(model, batch, rng=SequenceRandom(rngs(), batch.extents))
    total, losses = model.params.zeros_like(), []
    for rank, (start, stop) in enumerate([(0, 3), (3, B)]):
        places = [model.params.zeros_like() for _ in range(2)]
        metrics = gradient(
            model,
            objective,
            batch.rows(start, stop),
            places,
            generators=rngs()[start:stop],
            micro_tokens=T,
            normalizer=B,
            ranks=Shared(rank, vectors, [0, 3]),
        )
        total.flat += places[0].flat
        losses.append(metrics.loss_sum)
    assert abs(sum(losses) / B - loss) <= 1e-12 * abs(loss)
    same(total, expected)
