"""The rule by length: what is told by a length is found, on whichever side, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.training.length_rule import LengthRule, lengths_of


def pairs(seed=0, n=4000):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(2, 30, size=(2, n))
    return np.stack([first, second, first + second], axis=1), rng


@pytest.mark.parametrize("feature", [0, 1, 2])
@pytest.mark.parametrize("sign", [0, 1])
def test_a_threshold_is_found_on_every_length_and_in_both_directions(feature, sign):
    lengths, _ = pairs()
    classes = (lengths[:, feature] > 17).astype(int) ^ sign
    rule = LengthRule.learn(lengths, classes)
    assert (rule.feature, rule.threshold) == (feature, 17)
    nats, accuracy = rule.score(*pairs_of(1, feature, sign))
    assert accuracy == 1
    assert nats < 0.01


def pairs_of(seed, feature, sign):
    lengths, _ = pairs(seed)
    return lengths, (lengths[:, feature] > 17).astype(int) ^ sign


def test_what_lengths_do_not_tell_is_as_a_coin():
    lengths, rng = pairs(n=20_000)
    rule = LengthRule.learn(lengths, rng.integers(2, size=len(lengths)))
    other, rng = pairs(2, n=20_000)
    nats, accuracy = rule.score(other, rng.integers(2, size=len(other)))
    assert abs(accuracy - 0.5) < 0.02
    assert abs(nats - np.log(2)) < 0.01


def test_the_loss_is_that_of_the_shares_and_never_infinite():
    lengths = np.array([[2, 1, 3], [2, 1, 3], [2, 1, 3], [2, 9, 11]])
    rule = LengthRule.learn(lengths, np.array([1, 1, 0, 0]))
    assert (rule.feature, rule.threshold, rule.shares) == (1, 1, (3 / 5, 1 / 3))
    nats, accuracy = rule.score(np.array([[2, 1, 3], [2, 5, 7]]), np.array([0, 1]))
    assert accuracy == 0
    assert nats == pytest.approx(-(np.log(2 / 5) + np.log(1 / 3)) / 2)


def test_a_single_class_is_learnt_too():
    rule = LengthRule.learn(np.array([[2, 1, 3], [2, 4, 6]]), np.array([1, 1]))
    assert rule.score(np.array([[2, 1, 3]]), np.array([1]))[1] == 1


def test_marks_are_counted_and_padding_is_not():
    mask = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]], dtype=bool)
    segments = np.array([[0, 0, 1, 1, 0], [0, 1, 1, 1, 1]])
    assert lengths_of(mask, segments).tolist() == [[2, 2, 4], [1, 4, 5]]
