from __future__ import annotations

import math

import numpy as np
import pytest

from npformer.functional import sinusoidal_positions


@pytest.mark.parametrize("d_model", [1, 2, 5, 6, 0])
@pytest.mark.parametrize("length", [0, 1, 7])
def test_the_formula_entry_by_entry(length, d_model):
    P = sinusoidal_positions(length, d_model)
    assert P.shape == (length, d_model)
    assert P.dtype == np.float64
    for t in range(length):
        for j in range(d_model):
            angle = t / 10000 ** (2 * (j // 2) / d_model)
            assert P[t, j] == pytest.approx(math.cos(angle) if j % 2 else math.sin(angle), abs=1e-15)


def test_a_step_is_the_same_rotation_everywhere():
    """What the encoding was made for: P[t + k] is a linear function of P[t] that does not depend on t."""
    P = sinusoidal_positions(40, 8)
    turn = np.linalg.lstsq(P[:30], P[3:33], rcond=None)[0]
    np.testing.assert_allclose(P[7:37] @ turn, P[10:40], atol=1e-12)


def test_a_longer_one_begins_with_a_shorter_one():
    np.testing.assert_array_equal(sinusoidal_positions(9, 6)[:4], sinusoidal_positions(4, 6))


@pytest.mark.parametrize("d_model", [1, 6, 7, 64, 192])
def test_one_that_starts_later_is_a_part_of_it_to_the_bit(d_model):
    whole = sinusoidal_positions(70, d_model)
    for start, length in ((0, 1), (1, 1), (13, 1), (64, 1), (5, 3), (31, 39), (70, 0)):
        part = sinusoidal_positions(length, d_model, start)
        np.testing.assert_array_equal(part, whole[start : start + length])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="^sinusoidal_positions: start: expected an integer >= 0, got -1"):
        sinusoidal_positions(1, 4, -1)
    with pytest.raises(ValueError, match="^sinusoidal_positions: length: expected an integer >= 0, got -1"):
        sinusoidal_positions(-1, 4)
    with pytest.raises(TypeError, match=r"^sinusoidal_positions: d_model: expected an integer, got 4\.0"):
        sinusoidal_positions(3, 4.0)
    with pytest.raises(TypeError, match="^sinusoidal_positions: length: expected an integer, got True"):
        sinusoidal_positions(True, 4)
