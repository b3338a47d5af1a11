"""Span corruption: how much is taken out, in how many spans, of which lengths; and it can be put back."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.objectives import SpanCorruption
from npformer.objectives.span_corruption import (
    corrupted,
    random_spans,
    restored,
    sentinels_needed,
    sizes,
)

SENTINELS = list(range(1000, 1200))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 150), st.floats(0.01, 0.99), st.floats(1.0, 10.0), st.integers(0, 2**32))
def test_source_and_target_give_the_text_back_always(n, rate, mean_length, seed):
    text = np.random.default_rng(seed).integers(0, 50, n)
    rule = SpanCorruption(SENTINELS, rate=rate, mean_length=mean_length)
    source, target = rule(text, np.random.default_rng([seed, 1]))
    np.testing.assert_array_equal(restored(source, target, SENTINELS), text)
    taken, k = sizes(n, rate, mean_length)
    assert (source.size, target.size) == (n - taken + k, taken + k)
    assert [i for i in source if i >= 1000] == [i for i in target if i >= 1000] == SENTINELS[:k]
    assert k <= sentinels_needed(n, rate, mean_length)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 150), st.floats(0.01, 0.99), st.floats(1.0, 10.0), st.integers(0, 2**32))
def test_spans_are_apart_and_as_many_as_they_should_be(n, rate, mean_length, seed):
    spans = random_spans(n, rate, mean_length, np.random.default_rng(seed))
    taken, k = sizes(n, rate, mean_length)
    assert len(spans) == k
    assert (spans[:, 1] - spans[:, 0]).sum() == taken
    bounds = spans.reshape(-1)
    assert (np.diff(bounds) > 0).all(), "a span is empty, or touches the next"
    if n >= 2:
        assert bounds[0] > 0
        assert bounds[-1] == n
        assert 1 <= taken <= n - 1


def test_the_numbers_of_t5():
    """512 tokens: 15 % are 77, in 26 spans; the paper's sequences of 512 become targets of about 114."""
    assert sizes(512) == (77, 26)
    rule = SpanCorruption(SENTINELS)
    source, target = rule(np.arange(512), np.random.default_rng(0))
    assert source.size == 512 - 77 + 26
    assert target.size == 77 + 26
    lengths = np.concatenate(
        [np.diff(random_spans(512, 0.15, 3.0, np.random.default_rng(s)))[:, 0] for s in range(50)]
    )
    assert lengths.mean() == pytest.approx(77 / 26)


def test_each_way_to_cut_is_as_likely():
    """9 tokens, 4 of them in 2 spans: three ways for the spans, four for the 5 that stay."""
    n = 2400
    seen = Counter(
        tuple(random_spans(9, 0.45, 2.0, np.random.default_rng((5, s))).reshape(-1).tolist())
        for s in range(n)
    )
    ways = {
        (a, a + c, 9 - (4 - c), 9) for a, c in itertools.product(range(1, 5), range(1, 4))
    }  # what stays: a and 5 - a; the spans: c and 4 - c
    assert set(seen) == ways
    assert len(ways) == 12
    p = 1 / 12
    for count in seen.values():
        assert abs(count / n - p) <= 4 * np.sqrt(p * (1 - p) / n)


def test_too_few_sentinels_are_named():
    with pytest.raises(ValueError, match="SpanCorruption: text: expected at most 2 spans.*got 5 in 100"):
        SpanCorruption([1000, 1001])(np.arange(100), np.random.default_rng(0))


@pytest.mark.parametrize("arguments", [{"rate": 0.0}, {"rate": 1.0}, {"mean_length": 0.9}])
def test_bad_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=f"SpanCorruption: {next(iter(arguments))}: expected"):
        SpanCorruption(SENTINELS, **arguments)


def test_dtypes_stay():
    text = np.arange(20, dtype=np.int32)
    source, target = corrupted(text, np.array([[2, 4]]), [99])
    assert source.dtype == target.dtype == np.int32
    assert corrupted(text[:0], np.zeros((0, 2), int), [])[0].dtype == np.int32
