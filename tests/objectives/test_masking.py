"""Whole words and spans: how many, which, how long, and never a part of a word."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.objectives import MaskedLM
from npformer.objectives.masking import GEOMETRIC, LONGEST, STRATEGIES, spans, word_starts
from npformer.text import WordPieceTokenizer

SPECIAL = range(5)  # [PAD] [UNK] [CLS] [SEP] [MASK]
V = 60
CONTINUES = np.arange(V) >= 40
WORDS = ("whole_word", "span")


def rngs(seed: int, B: int) -> list[np.random.Generator]:
    return [np.random.default_rng((seed, b)) for b in range(B)]


def masked_lm(masking: str, rate: float = 0.15) -> MaskedLM:
    return MaskedLM(V, mask_id=4, special_ids=SPECIAL, rate=rate, masking=masking, continues=CONTINUES)


def text(B: int, T: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return words of one to three pieces in the mean, [CLS] first, a [SEP] within, [UNK]s, and padding."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, V, (B, T))
    ids[rng.random((B, T)) < 0.03] = 1
    ids[:, 0], ids[:, T // 3] = 2, 3
    mask = np.arange(T) < rng.integers(T // 2, T + 1, (B, 1))
    return np.where(mask, ids, 0), mask


def words_of(ids: np.ndarray, mask: np.ndarray) -> list[tuple[int, list[int]]]:
    """Return each word as (sequence, columns), found a token at a time."""
    words: list[tuple[int, list[int]]] = []
    for b, row in enumerate(ids):
        for t, token in enumerate(row):
            if not mask[b, t] or token < 5:
                continue
            goes_on = CONTINUES[token] and words and words[-1][0] == b and words[-1][1][-1] == t - 1
            if goes_on:
                words[-1][1].append(t)
            else:
                words.append((b, [t]))
    return words


def targets_of(batch) -> np.ndarray:
    found = np.zeros(batch.ids.size, dtype=bool)
    found[batch.at] = True
    return found.reshape(batch.ids.shape)


def within_four_standard_errors(count: int, n: int, share: float, cluster: float = 1.0) -> bool:
    """`cluster`: how many of the n stand or fall together."""
    return abs(count / n - share) <= 4 * np.sqrt(cluster * share * (1 - share) / n)


def test_single_tokens_are_drawn_as_ever():
    """A run with the same seed has the same bits as before there were other ways."""
    ids, mask = text(6, 30)
    batch = masked_lm("token", 0.4).make_batch(ids, mask, rngs(3, 6))
    choose, how, which = np.moveaxis(np.array([rng.random((3, 30)) for rng in rngs(3, 6)]), 1, 0)
    target = (choose < 0.4) & mask & (ids >= 5)
    np.testing.assert_array_equal(targets_of(batch), target)
    np.testing.assert_array_equal(batch.ids[target & (how < 0.8)], 4)
    random = target & (how >= 0.8) & (how < 0.9)
    np.testing.assert_array_equal(batch.ids[random], 5 + np.floor(which[random] * 55))


@pytest.mark.parametrize("masking", WORDS)
@pytest.mark.parametrize("rate", [0.15, 0.4, 1.0])
def test_no_word_is_cut_and_nothing_special_chosen(masking, rate):
    ids, mask = text(200, 40)
    batch = masked_lm(masking, rate).make_batch(ids, mask, rngs(1, 200))
    target = targets_of(batch)
    assert not target[(ids < 5) | ~mask].any()
    sizes = {len(columns) for _, columns in words_of(ids, mask)}
    assert {1, 2, 3, 4} <= sizes
    for b, columns in words_of(ids, mask):
        assert len(set(target[b, columns].tolist())) == 1, (b, columns)
    if rate == 1.0:
        np.testing.assert_array_equal(target, (ids >= 5) & mask)
    np.testing.assert_array_equal(batch.targets, ids[target])


@pytest.mark.parametrize("masking", WORDS)
def test_a_sequence_has_its_own_draws_whatever_its_neighbours_and_padding(masking):
    ids, mask = text(8, 40)
    objective = masked_lm(masking, 0.3)
    whole = objective.make_batch(ids, mask, rngs(7, 8))
    part = objective.make_batch(ids[2:5], mask[2:5], rngs(7, 8)[2:5])
    np.testing.assert_array_equal(part.ids, whole.ids[2:5])
    np.testing.assert_array_equal(part.at, whole.rows(2, 5).at)
    wide, more = np.pad(ids, ((0, 0), (0, 9))), np.pad(mask, ((0, 0), (0, 9)))
    padded = objective.make_batch(wide, more, rngs(7, 8))
    np.testing.assert_array_equal(padded.ids[:, :40], whole.ids)
    np.testing.assert_array_equal(targets_of(padded)[:, :40], targets_of(whole))
    other = objective.make_batch(ids, mask, rngs(8, 8))
    assert not np.array_equal(other.at, whole.at)


@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_words_are_chosen_at_the_rate_and_corrupted_a_token_at_a_time(rate):
    ids, mask = text(1000, 64)
    batch = masked_lm("whole_word", rate).make_batch(ids, mask, rngs(2, 1000))
    target = targets_of(batch)
    words = words_of(ids, mask)
    chosen = [w for w in words if target[w[0], w[1][0]]]
    assert within_four_standard_errors(len(chosen), len(words), rate)
    for size in (1, 2, 3):  # long words no rarer than short ones
        counts = [sum(len(columns) == size for _, columns in some) for some in (chosen, words)]
        assert within_four_standard_errors(*counts, rate)
    now, n = batch.ids[target], batch.n_targets
    assert within_four_standard_errors(int((now == 4).sum()), n, 0.8)
    assert within_four_standard_errors(int((now == batch.targets).sum()), n, 0.1 + 0.1 / 55)


@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_spans_keep_to_their_budget(rate):
    ids, mask = text(600, 64)
    ordinary = mask & (ids >= 5)
    starts = word_starts(ids, ordinary, CONTINUES)
    wanted, got = 0.0, 0
    for b, rng in enumerate(rngs(4, 600)):
        found = list(spans(ordinary[b], starts[b], rate, rng))
        n = sum(stop - start for start, stop in found)
        budget = rate * ordinary[b].sum()
        last = found[-1]
        last_word = last[1] - max(t for t in range(*last) if starts[b, t])
        assert np.floor(budget) <= n < np.ceil(budget) + last_word
        wanted += budget
        got += min(n, n - last_word + 1)  # what it took to begin the last word: just below the budget
    assert got <= wanted
    batch = masked_lm("span", rate).make_batch(ids, mask, rngs(4, 600))
    assert wanted <= batch.n_targets <= 1.1 * wanted  # the last word of each may be too much


def test_without_words_of_several_pieces_the_budget_is_met_exactly_and_right_in_the_mean():
    ordinary = np.ones(10, dtype=bool)
    counts = [
        sum(stop - start for start, stop in spans(ordinary, ordinary, 0.15, rng)) for rng in rngs(5, 2000)
    ]
    assert set(counts) == {1, 2}
    assert within_four_standard_errors(counts.count(2), 2000, 0.5)


def test_spans_are_as_long_as_they_should_be():
    """In a long text few spans meet. The last of each is left out: the budget may have ended it."""
    ordinary = np.ones(20_000, dtype=bool)
    lengths = []
    for rng in rngs(6, 40):
        found = list(spans(ordinary, ordinary, 0.02, rng))
        assert len({start for start, _ in found}) == len(found)
        lengths += [stop - start for start, stop in found[:-1]]
    p = GEOMETRIC * (1 - GEOMETRIC) ** np.arange(LONGEST)
    p /= p.sum()
    counts, n = np.bincount(lengths, minlength=LONGEST + 1), len(lengths)
    assert n > 3500
    assert counts.size == LONGEST + 1
    for length in range(1, LONGEST + 1):
        assert within_four_standard_errors(counts[length], n, p[length - 1])
    mean = np.arange(1, LONGEST + 1) @ p
    assert round(mean, 1) == 3.8, "SpanBERT, section 3.1"
    assert abs(np.mean(lengths) - mean) < 0.15


def test_spans_begin_anywhere_and_end_before_a_special_token():
    ordinary = np.array([False] + [True] * 5 + [False] + [True] * 5)
    begun = np.zeros(12)
    for rng in rngs(7, 2000):
        start, stop = next(spans(ordinary, ordinary, 0.1, rng))
        begun[start] += 1
        assert ordinary[start:stop].all()
    assert not begun[[0, 6]].any()
    share = begun[ordinary] / begun.sum()
    assert np.abs(share - 0.1).max() <= 4 * np.sqrt(0.1 * 0.9 / begun.sum())


def test_a_span_is_masked_replaced_or_left_as_a_whole():
    ids = np.random.default_rng(8).integers(5, V, (1500, 40))
    mask = np.ones_like(ids, dtype=bool)
    starts = word_starts(ids, mask, CONTINUES)
    batch = masked_lm("span", 0.1).make_batch(ids, mask, rngs(9, 1500))
    kinds = {"masked": 0, "kept": 0, "random": 0}
    for b, rng in enumerate(rngs(9, 1500)):
        # As in `choose_spans`: the numbers of a span are drawn before the next one is.
        for start, stop in spans(mask[b], starts[b], 0.1, rng):
            rng.random(), rng.random(stop - start)
            now, then = batch.ids[b, start:stop], ids[b, start:stop]
            masked = now == 4
            assert masked.all() or not masked.any()
            if masked.all():
                kinds["masked"] += 1
            elif stop - start > 1:
                kinds["kept" if (now == then).all() else "random"] += 1
    n = sum(kinds.values())
    of_several = kinds["kept"] + kinds["random"]
    assert of_several > 200
    assert within_four_standard_errors(kinds["kept"], of_several, 0.5)
    assert n > 1500
    target = targets_of(batch)
    share = (batch.ids[target] == 4).mean()
    assert within_four_standard_errors(int(share * batch.n_targets), batch.n_targets, 0.8, cluster=4)


@pytest.mark.parametrize("masking", list(STRATEGIES))
def test_what_cannot_be_chosen_from_is_no_error(masking):
    ids = np.array([[2, 3, 0, 0], [0, 0, 0, 0], [2, 9, 50, 3]])
    batch = masked_lm(masking, 1.0).make_batch(ids, ids != 0, rngs(0, 3))
    np.testing.assert_array_equal(batch.at, [9, 10])


def test_a_budget_that_is_rounded_up_beyond_all_tokens_ends():
    class Latest:  # the largest number that Generator.random gives, for the budget; 1.0 * 10 + that is 11.0
        def __init__(self):
            self.rng, self.first = np.random.default_rng(0), True

        def random(self):
            first, self.first = self.first, False
            return 1 - 2**-53 if first else self.rng.random()

    everything = np.ones(10, bool)
    found = list(spans(everything, everything, 1.0, Latest()))
    assert sum(stop - start for start, stop in found) == 10


def test_words_are_those_of_the_tokenizer():
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##able", "is", "##d"]
    tokenizer = WordPieceTokenizer(vocab)
    ids = np.array([tokenizer.encode("unable is unabled").ids])
    continues = np.array(tokenizer.continues)
    ordinary = ~np.isin(ids, tokenizer.special_ids)
    starts = word_starts(ids, ordinary, continues)
    assert [vocab[i] for i in ids[starts]] == ["un", "is", "un"]
    torn = np.array([[2, 6, 8, 7, 3]])  # a row that begins inside a word: what is there of it is one
    assert word_starts(torn, ~np.isin(torn, tokenizer.special_ids), continues).tolist() == [
        [False, True, False, True, False]
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"masking": "words"}, "masking: expected one of token, whole_word, span, got 'words'"),
        ({"continues": [True] * 7}, "continues: expected 60 booleans, got shape"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"MaskedLM: {message}"):
        MaskedLM(V, 4, SPECIAL, **arguments)
