"""The sample points have repeats, masks and dropout, and no blind spot that could be avoided."""

from __future__ import annotations

import numpy as np
import pytest

import npformer
from npformer.diagnosis import sample_inputs
from npformer.teaching.museum import INDEX, student

# linked sizes, and gradients that are zero whatever the point
UNAVOIDABLE = {
    "residual": {"equal-sizes"},  # its weight is square
    "binary_cross_entropy_with_logits": set(),
    "multi_head_attention": {"zero-gradient", "size-1-axis", "equal-sizes"},  # the key bias; (B, 1, T, T)
}


@pytest.mark.parametrize("op", INDEX)
def test_nothing_hides(op):
    forward, backward = student(op)
    report = npformer.check(forward, backward, sample_inputs(op, 3), op=op)
    assert report.passed
    assert {spot.identifier for spot in report.blind_spots} <= UNAVOIDABLE.get(op, set()), str(report)


def test_the_same_seed_gives_the_same_point():
    one, other, third = (
        sample_inputs("layer_norm"),
        sample_inputs("layer_norm"),
        sample_inputs("layer_norm", 1),
    )
    assert np.array_equal(one["x"], other["x"])
    assert not np.array_equal(one["x"], third["x"])


def test_no_such_op():
    with pytest.raises(ValueError, match="got 'conv'"):
        sample_inputs("conv")
