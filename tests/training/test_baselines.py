"""The counting models, against the formulas written out with dictionaries for one place at a time."""

from collections import Counter

import numpy as np
import pytest

from npformer.training.baselines import MostFrequentToken, TrigramWittenBell

V = 17
PAD, UNK, CLS, SEP, MASK = SPECIAL = (0, 1, 2, 3, 4)
ORDINARY = [w for w in range(V) if w not in SPECIAL]


@pytest.fixture(params=range(3))
def text(request):
    """Padded training sequences, and corrupted ones with places to predict."""
    rng = np.random.default_rng(request.param)

    def sequences(n):
        ids = 5 + (12 * rng.random((n, 13)) ** 2).astype(np.int32)  # frequent and rare tokens
        ids[rng.random(ids.shape) < 0.05] = UNK
        ids[rng.random(ids.shape) < 0.05] = SEP
        ids[ids == 16] = 15  # a token that is never seen
        mask = np.arange(13) < rng.integers(6, 14, n)[:, None]
        ids[:, 0] = CLS
        mask[::3] = True  # rows without padding, and rows cut off before a [SEP]
        ids[~mask] = PAD
        return ids, mask

    ids, mask = sequences(40)
    unseen, real = sequences(30)
    chosen = (rng.random(unseen.shape) < 0.4) & (unseen > MASK) & real
    corrupted = np.where(chosen & (rng.random(unseen.shape) < 0.8), MASK, unseen)
    at = np.flatnonzero(chosen)
    return {"ids": ids, "mask": mask, "corrupted": corrupted, "at": at, "targets": unseen.reshape(-1)[at]}


def slow_unigram(ids, mask):
    counts = Counter(int(w) for row, real in zip(ids, mask, strict=True) for w in row[real] if w in ORDINARY)
    n, total = len(counts), sum(counts.values())
    return {w: (counts[w] + n / len(ORDINARY)) / (total + n) for w in ORDINARY}


def witten_bell(seen, backoff):
    """`seen`: the tokens found in a context, with repeats."""
    counts = Counter(seen)
    n, total = len(counts), sum(counts.values())
    if not total:
        return dict(backoff)
    return {w: (counts[w] + n * backoff[w]) / (total + n) for w in ORDINARY}


def slow_trigram(ids, mask, left, right):
    after, before, between = [], [], []
    for row, real in zip(ids, mask, strict=True):
        row = [int(w) for w in row[real]]
        for i, w in enumerate(row):
            if w in ORDINARY:
                at_left = i > 0 and row[i - 1] == left
                at_right = i + 1 < len(row) and row[i + 1] == right
                after += [w] * at_left
                before += [w] * at_right
                between += [w] * (at_left and at_right)
    p = slow_unigram(ids, mask)
    p_left, p_right = witten_bell(after, p), witten_bell(before, p)
    q = {w: p_left[w] * p_right[w] / p[w] for w in ORDINARY}
    total = sum(q.values())
    return witten_bell(between, {w: q[w] / total / 2 + (p_left[w] + p_right[w]) / 4 for w in ORDINARY})


def trained(kind, text):
    return kind(text["ids"], text["mask"], V, SPECIAL)


@pytest.mark.parametrize("kind", [MostFrequentToken, TrigramWittenBell])
def test_probabilities_sum_to_one_and_never_fall_on_special_tokens(kind, text):
    everywhere = np.arange(text["corrupted"].size)
    p = trained(kind, text).probabilities(text["corrupted"], everywhere)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-14)
    assert not p[:, SPECIAL].any()
    assert (p[:, ORDINARY] > 0).all()


def test_unigram_is_the_formula(text):
    p = trained(MostFrequentToken, text).probabilities(text["corrupted"], text["at"])
    expected = slow_unigram(text["ids"], text["mask"])
    for row in p:
        np.testing.assert_allclose(row[ORDINARY], [expected[w] for w in ORDINARY], rtol=1e-13)


def test_trigram_is_the_formula(text):
    p = trained(TrigramWittenBell, text).probabilities(text["corrupted"], text["at"])
    kinds = Counter()
    for row, place in zip(p, text["at"], strict=True):
        row_of, column = divmod(int(place), 13)
        around = [None, *text["corrupted"][row_of].tolist(), None]
        left, right = around[column], around[column + 2]
        kinds[left == MASK, right == MASK] += 1
        kinds["end of a row"] += right is None
        kinds["end of the text"] += right == PAD
        expected = slow_trigram(text["ids"], text["mask"], left, right)
        np.testing.assert_allclose(row[ORDINARY], [expected[w] for w in ORDINARY], rtol=1e-12)
    assert len(kinds) == 6  # masks on the left, on the right, on both sides and on none; both kinds of ends
    assert all(kinds.values())


def test_by_hand():
    # 5 6 7, 5 6 7, 5 8 7 and 9; ordinary tokens 5 to 9, c(.) = 10, n = 5, and 5 of 10 + 5 is spread evenly
    ids = np.array([[5, 6, 7, 5, 6, 7, 5, 8, 7, 9]])
    model = TrigramWittenBell(ids, np.ones(ids.shape, bool), vocab_size=10, special_ids=range(5))
    np.testing.assert_allclose(model.unigram[5:], np.array([4, 3, 4, 2, 2]) / 15, rtol=1e-15)
    p = model.probabilities(np.array([[5, 4, 7]]), np.array([1]))[0]
    # between 5 and 7: 6 twice, 8 once, and n = 2 different ones share 2 parts of 3 + 2 by the lower order
    after_5 = np.array([2 * 4 / 15, 2 + 2 * 3 / 15, 2 * 4 / 15, 1 + 2 * 2 / 15, 2 * 2 / 15]) / 5
    before_7 = after_5  # the same three tokens stand before 7
    q = after_5 * before_7 / model.unigram[5:]
    lower = q / q.sum() / 2 + (after_5 + before_7) / 4
    np.testing.assert_allclose(p[5:], (np.array([0, 2, 0, 1, 0]) + 2 * lower) / 5, rtol=1e-14)


def test_neighbours_that_tell_nothing_leave_the_unigram():
    ids = np.array([[5, 6, 7, 5, 6, 7, 5, 8, 7, 9]])
    model = TrigramWittenBell(ids, np.ones(ids.shape, bool), vocab_size=10, special_ids=range(5))
    for corrupted, place in (([[4, 4, 4]], 1), ([[4]], 0), ([[4, 4], [4, 4]], 1)):
        p = model.probabilities(np.array(corrupted), np.array([place]))[0]
        np.testing.assert_allclose(p, model.unigram, rtol=1e-15)


def test_padding_and_the_rows_beside_count_for_nothing(text):
    usual = trained(TrigramWittenBell, text)
    ids = np.where(text["mask"], text["ids"], 9)  # another token where there is none
    shuffled = np.random.default_rng(9).permutation(len(ids))
    longer = np.pad(ids, ((0, 0), (0, 4)), constant_values=7)[shuffled]
    mask = np.pad(text["mask"], ((0, 0), (0, 4)))[shuffled]
    other = TrigramWittenBell(longer, mask, V, SPECIAL)
    where = (text["corrupted"], text["at"])
    np.testing.assert_array_equal(usual.probabilities(*where), other.probabilities(*where))


def test_what_stands_at_the_place_is_not_looked_at(text):
    """Places with a neighbour that is predicted too would see it change, so they are left out."""
    model, at = trained(TrigramWittenBell, text), text["at"]
    alone = at[~np.isin(at - 1, at) & ~np.isin(at + 1, at)]
    assert alone.size
    other = text["corrupted"].copy()
    other.reshape(-1)[alone] = 8
    np.testing.assert_array_equal(
        model.probabilities(text["corrupted"], alone), model.probabilities(other, alone)
    )


@pytest.mark.parametrize("kind", [MostFrequentToken, TrigramWittenBell])
def test_score_and_top_follow_the_probabilities(kind, text, monkeypatch):
    model, at, targets = trained(kind, text), text["at"], text["targets"]
    p = model.probabilities(text["corrupted"], at)
    loss = -np.log(p[np.arange(at.size), targets]).mean()
    accuracy = (p.argmax(axis=1) == targets).mean()
    for cells in (None, 3 * V):  # in one piece, and three places at a time
        if cells is not None:
            monkeypatch.setattr("npformer.training.baselines.CELLS", cells)
        assert model.score(text["corrupted"], at, targets) == pytest.approx((loss, accuracy), rel=1e-13)
        best = model.top(text["corrupted"], at, 4)
        assert best.shape == (at.size, 4)
        np.testing.assert_array_equal(best[:, 0], p.argmax(axis=1))
        chosen = np.take_along_axis(p, best, axis=1)
        np.testing.assert_array_equal(chosen, -np.sort(-p, axis=1)[:, :4])


def test_trigram_learns_what_the_unigram_cannot():
    cycle = np.tile(np.arange(5, 15), 30)[None]
    real = np.ones(cycle.shape, bool)
    corrupted, at = cycle.copy(), np.arange(20, 280, 3)
    corrupted[0, at] = MASK
    loss, accuracy = TrigramWittenBell(cycle, real, V, SPECIAL).score(corrupted, at, cycle[0, at])
    assert accuracy == 1
    assert loss < 0.1
    assert MostFrequentToken(cycle, real, V, SPECIAL).score(corrupted, at, cycle[0, at])[0] > 2.2


def test_nothing_to_train_on_and_nothing_to_predict():
    nothing = np.zeros((0, 5), int), np.zeros((0, 5), bool)
    ids = np.array([[2, 4, 6, 3]])
    for kind in (MostFrequentToken, TrigramWittenBell):
        model = kind(*nothing, V, SPECIAL)
        np.testing.assert_allclose(model.probabilities(ids, np.array([1]))[0, ORDINARY], 1 / 12, rtol=1e-15)
        assert model.score(ids, np.array([], int), np.array([], int)) == (0.0, 0.0)
        assert model.top(ids, np.array([], int), 3).shape == (0, 3)


@pytest.mark.parametrize("kind", [MostFrequentToken, TrigramWittenBell])
def test_bad_input_is_named(kind, text):
    name, ids, mask = kind.__name__, text["ids"], text["mask"]
    for arguments, argument in [
        ((ids.astype(float), mask, V, SPECIAL), "ids, mask"),
        ((ids, mask.astype(int), V, SPECIAL), "ids, mask"),
        ((ids, mask[:-1], V, SPECIAL), "ids, mask"),
        ((ids[0], mask[0], V, SPECIAL), "ids, mask"),
        ((ids, mask, 10, SPECIAL), "ids"),
        ((ids - 1, mask, V, SPECIAL), "ids"),
        ((ids, mask, V, [V]), "special_ids"),
        ((ids, mask, V, range(V)), "special_ids"),
    ]:
        with pytest.raises((ValueError, TypeError), match=f"^{name}: {argument}: expected"):
            kind(*arguments)
    model = kind(ids, mask, V, SPECIAL)
    with pytest.raises(ValueError, match=r"^score: targets: expected ordinary tokens, got 3"):
        model.score(text["corrupted"], text["at"][:2], np.array([7, SEP]))
    with pytest.raises(ValueError, match=r"^score: targets: expected as many as places"):
        model.score(text["corrupted"], text["at"], text["targets"][1:])
