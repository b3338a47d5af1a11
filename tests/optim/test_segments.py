import math

import numpy as np
import pytest

from npformer.optim import SGD, AdamW, Segment, decays, make_segments, segments_within

LAYOUT = {
    "embedding.weight": slice(0, 10),
    "encoder.0.norm.weight": slice(10, 12),
    "encoder.0.norm.bias": slice(12, 14),
    "encoder.0.ffn.weight": slice(14, 20),
    "encoder.0.ffn.bias": slice(20, 21),
    "head.weight": slice(21, 30),
}


def test_what_decays():
    assert [name for name in LAYOUT if decays(name)] == [
        "embedding.weight",
        "encoder.0.ffn.weight",
        "head.weight",
    ]
    assert not decays("final.gamma")
    assert not decays("final.beta")
    assert decays("gamma.weight")


def test_neighbours_that_agree_become_one():
    assert make_segments(LAYOUT, decay=decays, weight_decay=0.1) == [
        Segment(0, 10, 1.0, 0.1),
        Segment(10, 14, 1.0, 0.0),
        Segment(14, 20, 1.0, 0.1),
        Segment(20, 21, 1.0, 0.0),
        Segment(21, 30, 1.0, 0.1),
    ]
    assert make_segments(LAYOUT, decay=lambda name: True, weight_decay=0.1) == [Segment(0, 30, 1.0, 0.1)]


def test_rates_by_name_keep_neighbours_apart():
    segments = make_segments(
        LAYOUT,
        decay=lambda name: True,
        weight_decay=0.1,
        lr_scale=lambda name: 0.5 if "encoder.0" in name else 1,
    )
    assert segments == [Segment(0, 10, 1.0, 0.1), Segment(10, 21, 0.5, 0.1), Segment(21, 30, 1.0, 0.1)]


def test_order_of_the_layout_does_not_matter():
    backwards = dict(reversed(LAYOUT.items()))
    expected = make_segments(LAYOUT, decay=decays, weight_decay=0.1)
    assert make_segments(backwards, decay=decays, weight_decay=0.1) == expected


def test_empty_parameters_and_layouts():
    assert make_segments({}, decay=decays, weight_decay=0.1) == []
    layout = {"a.weight": slice(0, 3), "none.bias": slice(3, 3), "b.weight": slice(3, 5)}
    assert make_segments(layout, decay=decays, weight_decay=0.1) == [Segment(0, 5, 1.0, 0.1)]


@pytest.mark.parametrize(
    "layout",
    [
        {"a": slice(0, 3), "b": slice(4, 5)},  # a gap
        {"a": slice(0, 3), "b": slice(2, 5)},  # an overlap
        {"a": slice(1, 3)},
        {"a": slice(0, 4, 2)},
        {"a": slice(0, None)},
        {"a": (0, 3)},
    ],
)
def test_bad_layouts_are_named(layout):
    with pytest.raises((ValueError, TypeError), match=r"^make_segments: layout\['[ab]'\]: expected a slice"):
        make_segments(layout, decay=decays, weight_decay=0.1)


@pytest.mark.parametrize("number", [-1.0, math.nan, math.inf])
def test_bad_numbers_are_named(number):
    with pytest.raises(ValueError, match=r"^make_segments: weight_decay: expected"):
        make_segments(LAYOUT, decay=decays, weight_decay=number)
    with pytest.raises(ValueError, match=r"^make_segments: lr_scale\('embedding.weight'\): expected"):
        make_segments(LAYOUT, decay=decays, weight_decay=0.1, lr_scale=lambda name: number)


@pytest.mark.parametrize(
    "segments",
    [
        [],
        [Segment(0, 2)],
        [Segment(0, 2), Segment(3, 5)],
        [Segment(0, 3), Segment(2, 5)],
        [Segment(0, 0), Segment(0, 5)],
        [Segment(0, 6)],
        [Segment(2, 5), Segment(0, 2)],
        [Segment(0, 5, lr_scale=math.nan)],
        [Segment(0, 5, lr_scale=-1.0)],
        [Segment(0, 5, weight_decay=math.nan)],
        [Segment(0.0, 5)],
        [(0, 5, 1.0, None)],
    ],
)
def test_segments_that_do_not_cover_the_vector_are_refused(segments):
    with pytest.raises((ValueError, TypeError), match=r"^AdamW: segments.*: expected"):
        AdamW(np.ones(5), segments=segments)


def test_segments_without_a_decay_take_the_optimizers():
    theta = np.ones(2)
    SGD(theta, lr=1.0, weight_decay=0.25, segments=[Segment(0, 1), Segment(1, 2, weight_decay=0.5)]).step(
        np.zeros(2)
    )
    np.testing.assert_array_equal(theta, [0.75, 0.5])


def test_the_parts_of_a_vector_updated_apart_are_the_vector():
    rng = np.random.default_rng(0)
    segments = [Segment(0, 5, 1.0, 0.1), Segment(5, 6, 2.0, 0.0), Segment(6, 11, 0.5, 0.3)]
    theta, grads = rng.standard_normal(11), rng.standard_normal((3, 11))
    whole, parts = theta.copy(), theta.copy()
    optimizer = AdamW(whole, lr=0.1, segments=segments)
    cuts = [(0, 4), (4, 8), (8, 11)]
    optimizers = [AdamW(parts[a:b], lr=0.1, segments=segments_within(segments, a, b)) for a, b in cuts]
    for grad in grads:
        optimizer.step(grad)
        for part, (a, b) in zip(optimizers, cuts, strict=True):
            part.step(grad[a:b])
    assert np.array_equal(parts, whole)
