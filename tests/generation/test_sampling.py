"""The filters mean what Transformers' mean, keep a token, and the draws have the right frequencies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npformer.functional import log_softmax, softmax
from npformer.generation import sampling
from npformer.generation.sampling import Sampling

logits = (
    st.integers(1, 12)
    .flatmap(lambda V: st.lists(st.lists(st.floats(-30, 30), min_size=V, max_size=V), min_size=1, max_size=3))
    .map(np.array)
)
probability = st.floats(1e-3, 1.0)


@given(logits, st.integers(1, 15), probability, probability, st.floats(0.05, 5))
def test_at_least_one_token_stays_and_the_best_does(z: Any, k: int, p: float, q: float, tau: float) -> None:
    for filtered in (
        sampling.top_k(z, k),
        sampling.top_p(z, p),
        sampling.min_p(z, q),
        Sampling(tau, k, p, q).filtered(z, None),
    ):
        probabilities, _ = softmax(filtered)
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1)
        best = np.take_along_axis(filtered, z.argmax(axis=-1)[:, None], axis=-1)
        assert np.isfinite(best).all()


@given(logits, st.integers(1, 15))
def test_top_k_keeps_k_unless_some_are_equal(z: Any, k: int) -> None:
    kept = np.isfinite(sampling.top_k(z, k))
    assert (kept.sum(axis=-1) >= min(k, z.shape[1])).all()
    for row, keeps in zip(z, kept, strict=True):
        assert row[keeps].min() >= row[~keeps].max(initial=-math.inf)
        assert (row[keeps] > row[keeps].min()).sum() < k


@given(logits, probability)
def test_top_p_is_the_smallest_set_that_reaches_p(z: Any, p: float) -> None:
    kept = np.isfinite(sampling.top_p(z, p))
    probabilities, _ = softmax(z)
    for row, keeps in zip(probabilities, kept, strict=True):
        assert row[keeps].sum() >= p - 1e-9
        assert row[keeps].sum() - row[keeps].min() < p + 1e-9


def test_filters_that_are_off_change_nothing() -> None:
    z = np.random.default_rng(0).standard_normal((3, 7))
    np.testing.assert_array_equal(
        Sampling(1.0, 7, 1.0, 0.0).filtered(z, None), z - z.max(axis=-1, keepdims=True)
    )
    np.testing.assert_array_equal(sampling.repetition_penalty(z, np.ones((3, 7), bool), 1.0), z)


def test_the_order_is_penalty_temperature_top_k_top_p_min_p() -> None:
    z = np.random.default_rng(1).standard_normal((2, 9))
    seen = np.random.default_rng(2).random((2, 9)) < 0.4
    expected = sampling.repetition_penalty(z, seen, 1.7)
    expected = sampling.temperature(expected - expected.max(axis=-1, keepdims=True), 0.6)
    expected = sampling.min_p(sampling.top_p(sampling.top_k(expected, 6), 0.8), 0.2)
    np.testing.assert_array_equal(Sampling(0.6, 6, 0.8, 0.2, 1.7).filtered(z, seen), expected)


def test_frequencies_are_the_probabilities() -> None:
    n = 40_000
    z = np.log(np.array([0.5, 0.02, 0.2, 0.25, 0.03]))
    filtered = Sampling(1.5, top_k=4).filtered(z[None], None)
    expected, _ = softmax(filtered[0])
    assert expected[1] == 0
    u = np.random.default_rng(3).random(n)
    tokens = sampling.draw(np.repeat(filtered, n, axis=0), u)
    frequencies = np.bincount(tokens, minlength=5) / n
    error = np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(frequencies - expected) <= 4 * error).all()


def test_a_top_p_of_one_forbids_nothing_however_improbable() -> None:
    z = np.array([[-60.0, 0.0, -40.0], [0.0, -50.0, 1.0]])  # exp(-40) is less than the last digit of 1
    np.testing.assert_array_equal(sampling.top_p(z, 1.0), z)


def test_a_draw_never_takes_what_is_forbidden() -> None:
    z = np.array([[-math.inf, 1.0, -math.inf, 2.0, -math.inf]])
    for u in (0.0, 0.2, 0.5, 1 - 2**-53):
        assert sampling.draw(z, np.array([u]))[0] in (1, 3)


@given(logits)
def test_log_probabilities(z: Any) -> None:
    tokens = np.random.default_rng(0).integers(0, z.shape[1], len(z))
    expected = log_softmax(z)[0][np.arange(len(z)), tokens]
    np.testing.assert_allclose(sampling.log_probabilities(z, tokens), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature: expected a number of at least 0, got -0.1"),
        ({"temperature": math.nan}, "temperature: expected a number of at least 0, got nan"),
        ({"top_k": 0}, "top_k: expected an integer of at least 1, got 0"),
        ({"top_k": 2.5}, "top_k: expected an integer of at least 1, got 2.5"),
        ({"top_p": 0}, r"top_p: expected a number in \(0, 1\], got 0"),
        ({"top_p": 1.1}, r"top_p: expected a number in \(0, 1\], got 1.1"),
        ({"min_p": -1}, r"min_p: expected a number in \[0, 1\], got -1"),
        ({"repetition_penalty": 0.0}, "repetition_penalty: expected a positive number, got 0.0"),
    ],
)
def test_a_setting_out_of_range_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^generate: {message}$"):
        Sampling(**settings)


@pytest.mark.extra
def test_the_filters_are_those_of_transformers() -> None:
    torch = pytest.importorskip("torch", reason="needs torch, of the extra 'parity'")
    theirs = pytest.importorskip("transformers", reason="needs transformers, of the extra 'parity'")
    rng = np.random.default_rng(4)
    for _ in range(50):
        z = rng.standard_normal((3, 20)) * rng.uniform(0.5, 4)
        ids = rng.integers(0, 20, (3, 6))
        seen = np.zeros(z.shape, bool)
        np.put_along_axis(seen, ids, True, axis=1)
        k, p, q, tau, c = int(rng.integers(1, 25)), *rng.uniform(0.05, 1, 2), *rng.uniform(0.3, 3, 2)
        for ours, name, argument in (
            (sampling.repetition_penalty(z, seen, c), "RepetitionPenaltyLogitsProcessor", float(c)),
            (sampling.temperature(z, tau), "TemperatureLogitsWarper", float(tau)),
            (sampling.top_k(z, k), "TopKLogitsWarper", k),
            (sampling.top_p(z, p), "TopPLogitsWarper", float(p)),
            (sampling.min_p(z, q), "MinPLogitsWarper", float(q)),
        ):
            warper = getattr(theirs, name)(argument)
            expected = warper(torch.tensor(ids), torch.tensor(z)).numpy()
            np.testing.assert_allclose(ours, expected, rtol=1e-14)
