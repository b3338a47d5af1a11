"""The training step's gradient against the plain full-batch path, with everything on that could change it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from npformer._threads import WORTH
from npformer.functional import cross_entropy, cross_entropy_backward
from npformer.nn import SequenceRandom
from npformer.objectives import MaskedLM
from npformer.training.step import add_up, cut, cut_batch, gradient, micro_batches

B, T, V = 7, 6, 13
SPECIAL = (0, 1, 2, 3, 4)


def rngs(purpose: int) -> list[np.random.Generator]:
    return [np.random.default_rng((purpose, b)) for b in range(B)]


def make(make_encoder, norm, positions, dropout, seed=0):
    model = make_encoder(seed, norm=norm, positions=positions, dropout=dropout)
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, V, (B, T))
    ids[:, 0], ids[:, -1] = 2, 3
    ids[2, 3:] = 0  # padded
    ids[4, 1:] = 0  # a sequence without a single ordinary token
    objective = MaskedLM(V, 4, SPECIAL, rate=0.4)
    batch = objective.make_batch(ids, ids != 0, rngs(1))
    assert not ((batch.at >= 4 * T) & (batch.at < 5 * T)).any()
    return model, objective, batch


def plain(model, batch, dropout):
    """The whole batch at once; the last layer and the head at every position; the loss picks its own."""
    rng = SequenceRandom(rngs(2), batch.extents) if dropout else None
    hidden, c_model = model.forward(batch.ids, mask=batch.mask, rng=rng)
    logits, c_head = model.mlm_head.forward(model.params, hidden)
    targets = np.full(B * T, -100)
    targets[batch.at] = batch.targets
    loss, c_loss = cross_entropy(logits.reshape(B * T, V), targets)
    grads = model.params.zeros_like()
    dlogits = cross_entropy_backward(1.0, c_loss).reshape(logits.shape)
    model.backward(model.mlm_head.backward(model.params, dlogits, c_head, grads), c_model, grads)
    return float(loss), grads


@pytest.mark.parametrize(("norm", "positions"), [("post", "learned"), ("pre", "rotary")])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize(
    ("lanes", "threads", "micro_tokens"), [(1, 1, 10**6), (1, 1, T), (2, 1, 2 * T), (3, 3, T)]
)
def test_gradient_equals_the_plain_path(make_encoder, norm, positions, dropout, lanes, threads, micro_tokens):
    model, objective, batch = make(make_encoder, norm, positions, dropout)
    loss, expected = plain(model, batch, dropout)
    places = [model.params.zeros_like() for _ in range(lanes)]
    for place in places:
        place.flat[...] = np.nan  # whatever was there before
    with ThreadPoolExecutor(threads) as executor:
        metrics = gradient(
            model,
            objective,
            batch,
            places,
            generators=rngs(2) if dropout else None,
            executor=executor if threads > 1 else None,
            micro_tokens=micro_tokens,
        )
    assert metrics.n_targets == batch.n_targets
    assert abs(metrics.loss - loss) <= 1e-12 * abs(loss)
    scale = max(np.abs(value).max() for value in expected.values())
    for name, value in expected.items():
        error = np.abs(places[0][name] - value).max()
        assert error <= 1e-12 * max(np.abs(value).max(), 1e-3 * scale), name


def test_bits_do_not_depend_on_threads(make_encoder):
    model, objective, batch = make(make_encoder, "pre", "rotary", 0.2)
    results = []
    for threads in (1, 2, 3):
        places = [model.params.zeros_like() for _ in range(3)]
        with ThreadPoolExecutor(threads) as executor:
            metrics = gradient(
                model, objective, batch, places, generators=rngs(2), executor=executor, micro_tokens=T
            )
        results.append((metrics, places[0].flat.copy()))
    for metrics, flat in results[1:]:
        assert metrics == results[0][0]
        assert np.array_equal(flat, results[0][1])


def test_more_lanes_than_sequences(make_encoder):
    model, objective, batch = make(make_encoder, "pre", "rotary", 0.0)
    one = [model.params.zeros_like()]
    many = [model.params.zeros_like() for _ in range(B + 2)]
    many[-1].flat[...] = np.nan  # a lane without work must not be summed
    gradient(model, objective, batch, one)
    gradient(model, objective, batch, many)
    assert np.allclose(one[0].flat, many[0].flat, rtol=0, atol=1e-14)


def test_a_batch_without_targets_has_no_gradient(make_encoder):
    model, objective, batch = make(make_encoder, "pre", "rotary", 0.0)
    empty = batch._replace(at=batch.at[:0], targets=batch.targets[:0])
    places = [model.params.zeros_like() for _ in range(2)]
    assert gradient(model, objective, empty, places).loss == 0
    assert not places[0].flat.any()


@pytest.mark.parametrize(("n", "parts"), [(1, 1), (1, 4), (7, 2), (8, 3)])
def test_cut_covers_everything_in_order(n, parts):
    pieces = cut(n, parts)
    assert [i for a, b in pieces for i in range(a, b)] == list(range(n))
    assert len(pieces) == min(n, parts)
    assert max(b - a for a, b in pieces) - min(b - a for a, b in pieces) <= 1


def wider(batch, columns):
    """The batch with more padding behind it."""
    more = [np.pad(part, ((0, 0), (0, columns))) for part in (batch.ids, batch.mask)]
    at = batch.at // T * (T + columns) + batch.at % T
    return batch._replace(ids=more[0], mask=more[1], at=at)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_more_padding_changes_no_bit(make_encoder, dropout):
    """Neither the sums nor the draws: a micro-batch is as wide as its longest sequence."""
    model, objective, batch = make(make_encoder, "post", "learned", dropout)
    model = make_encoder(0, norm="post", positions="learned", dropout=dropout, max_positions=T + 5)
    results = []
    for one in (batch, wider(batch, 5)):
        places = [model.params.zeros_like() for _ in range(2)]
        of = {"generators": rngs(2) if dropout else None, "micro_tokens": 2 * T}
        results.append((gradient(model, objective, one, places, **of), places[0].flat.copy()))
    assert results[0][0] == results[1][0]
    assert np.array_equal(results[0][1], results[1][1])


def test_little_padding_is_computed(make_encoder):
    model, objective, _ = make(make_encoder, "pre", "rotary", 0.0)
    rng, n = np.random.default_rng(3), 60
    lengths = rng.integers(1, T + 1, n)
    ids = np.where(np.arange(T) < lengths[:, None], rng.integers(5, V, (n, T)), 0)
    batch = objective.make_batch(ids, ids != 0, [np.random.default_rng((1, b)) for b in range(n)])
    seen, forward = [], model.forward

    def noted(ids, **options):
        seen.append(ids.shape)
        assert options["mask"].any(axis=0).all()  # no column is padding alone
        return forward(ids, **options)

    model.forward = noted
    gradient(model, objective, batch, [model.params.zeros_like() for _ in range(2)], micro_tokens=4 * T)
    assert sum(rows for rows, _ in seen) <= n  # those without a target need nothing
    assert sum(rows * width for rows, width in seen) <= 1.2 * lengths.sum() < 0.8 * ids.size
    assert max(rows * width for rows, width in seen) <= 4 * T


@pytest.mark.parametrize(("n", "lanes"), [(1, 2), (5, 2), (64, 2), (63, 4), (200, 3)])
def test_lanes_and_micro_batches_have_every_sequence_once(n, lanes):
    lengths = np.random.default_rng(n).integers(0, 33, n)
    found = cut_batch(lengths, lanes, tokens=100)
    assert len(found) == min(lanes, n)
    assert sorted(i for lane in found for piece in lane for i in piece.tolist()) == list(range(n))
    sizes = [[len(piece) * max(lengths[piece].max(), 1) for piece in lane] for lane in found]
    assert max(map(max, sizes)) <= 100
    tokens = [sum(lengths[piece].sum() for piece in lane) for lane in found]
    assert max(tokens) - min(tokens) <= 33
    for lane in found:
        order = [max(length, 1) for piece in lane for length in lengths[piece].tolist()]
        assert order == sorted(order, reverse=True)


def test_sequences_of_one_length_stay_in_their_order():
    for lanes in (1, 2, 3):
        found = cut_batch(np.full(10, 8), lanes, tokens=24)
        assert [i for lane in found for piece in lane for i in piece.tolist()] == list(range(10))
        assert [len(lane) for lane in found] == [-(-(b - a) // 3) for a, b in cut(10, lanes)]
    assert [[piece.tolist() for piece in lane] for lane in cut_batch(np.zeros(0, int), 2, 8)] == [[[]]]


def test_micro_batches_hold_at_least_one_sequence():
    assert micro_batches(0, 3, length=5000, tokens=1024) == [(0, 1), (1, 2), (2, 3)]
    assert micro_batches(0, 3, length=64, tokens=1024) == [(0, 3)]


def test_lanes_are_added_up_once_each_whoever_does_it():
    lanes = np.random.default_rng(0).standard_normal((3, WORTH + 3))
    expected = lanes[0] + lanes[1] + lanes[2]
    with ThreadPoolExecutor(2) as executor:
        for threads in (None, executor):
            own = list(lanes.copy())
            add_up(own, threads)
            np.testing.assert_array_equal(own[0], expected)
            np.testing.assert_array_equal(own[1:], lanes[1:])
