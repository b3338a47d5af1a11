"""The weights of classes: checked, scaled, and divided by their own sum."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.objectives import SequenceClassification, TokenClassification
from npformer.objectives._labels import loss_of_labels

BOTH = pytest.mark.parametrize("objective", [SequenceClassification, TokenClassification])


@BOTH
def test_bad_weights_are_named(objective):
    name = objective.__name__
    with pytest.raises(ValueError, match=rf"{name}: class_weights: expected 3 numbers, .* got shape \(2,\)"):
        objective(3, [1.0, 2.0])
    for weights in ([1.0, -1.0], [0.0, 0.0], [1.0, np.inf], [np.nan, 1.0]):
        with pytest.raises(ValueError, match=f"{name}: class_weights: expected numbers >= 0"):
            objective(2, weights)
    for n_labels in (1, True, 2.5):
        with pytest.raises(ValueError, match=f"{name}: n_labels: expected an integer from 2 on"):
            objective(n_labels)


@BOTH
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_only_the_ratios_of_the_weights_matter(objective, scale):
    made = objective(3, np.array([0.5, 0.0, 0.125]) * scale)
    np.testing.assert_allclose(made.class_weights, [4.0, 0.0, 1.0], rtol=1e-15)


def test_the_weighted_mean_is_divided_by_the_weights():
    """Two copies of a label count as much as one of twice the weight."""
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((3, 4)), np.array([1, 3, 0])
    metrics, dlogits = loss_of_labels(logits, labels, np.array([2.0, 1.0, 1.0]), 4.0, True)
    again = [0, 0, 1, 2]
    plain, dplain = loss_of_labels(logits[again], labels[again], None, 4.0, True)
    assert metrics.loss == pytest.approx(plain.loss, rel=1e-14)
    assert metrics.accuracy == plain.accuracy
    np.testing.assert_allclose(dlogits[0], dplain[0] + dplain[1], rtol=1e-13)
    np.testing.assert_allclose(dlogits[1:], dplain[2:], rtol=1e-13)


def test_a_label_without_weight_has_no_say():
    logits = np.random.default_rng(0).standard_normal((2, 3))
    metrics, dlogits = loss_of_labels(logits, np.array([0, 1]), np.array([0.0, 1.0]), 1.0, True)
    assert not dlogits[0].any()
    assert metrics.n_targets == 1.0
    assert metrics.loss == pytest.approx(loss_of_labels(logits[1:], np.array([1]), None, 1.0, False)[0].loss)
