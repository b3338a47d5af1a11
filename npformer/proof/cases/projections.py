"""Cases of the ops that move vectors about: linear, embedding, dropout, positions."""

from __future__ import annotations

import numpy as np

from .case import Case, Draw


def linear(draw: Draw) -> list[Case]:
    """With and without bias, with more leading axes, square."""
    return [
        draw.case(
            "linear", "bias", {"x": draw.normal(4, 5), "weight": draw.weight(5, 3), "bias": draw.normal(3)}
        ),
        draw.case("linear", "no bias", {"x": draw.normal(2, 3, 5), "weight": draw.weight(5, 4)}),
        draw.case(
            "linear",
            "equal sizes",
            {"x": draw.normal(3, 3), "weight": draw.weight(3, 3), "bias": draw.normal(3)},
        ),
        draw.case(
            "linear", "one vector", {"x": draw.normal(4), "weight": draw.weight(4, 3), "bias": draw.normal(3)}
        ),
    ]


def embedding(draw: Draw) -> list[Case]:
    """Ids with repeats, rows of the table that nobody asks for, a row of padding."""
    padded = draw.ids(6, 3, 4)
    padded[1] = 0
    return [
        draw.case("embedding", "repeated ids", {"table": draw.normal(7, 3)}, ids=draw.ids(7, 2, 5)),
        draw.case("embedding", "padded row", {"table": draw.normal(6, 5)}, ids=padded),
        draw.case("embedding", "equal sizes", {"table": draw.normal(4, 4)}, ids=draw.ids(4, 4)),
    ]


def dropout(draw: Draw) -> list[Case]:
    """Two rates, and none at all."""
    return [
        draw.case("dropout", "p = 0.3", {"x": draw.normal(2, 3, 5)}, dropout=True, p=0.3),
        draw.case("dropout", "p = 0.6, equal sizes", {"x": draw.normal(5, 5)}, dropout=True, p=0.6),
        draw.case("dropout", "p = 0", {"x": draw.normal(2, 3)}, dropout=True, p=0.0),
    ]


def rotary(draw: Draw) -> list[Case]:
    """Halves and interleaved pairs, positions by sequence, another base, positions that are no integers."""
    return [
        draw.case("rotary", "halves", {"x": draw.normal(2, 3, 4)}, positions=np.array([1, 0, 7])),
        draw.case(
            "rotary", "interleaved", {"x": draw.normal(2, 3, 6)}, positions=np.arange(3) + 2, interleaved=True
        ),
        draw.case(
            "rotary",
            "by sequence, base 50",
            {"x": draw.normal(2, 3, 4)},
            positions=draw.ids(9, 2, 3),
            base=50.0,
        ),
        draw.case("rotary", "real positions", {"x": draw.normal(3, 2)}, positions=draw.rng.uniform(0, 9, 3)),
        draw.case("rotary", "equal sizes", {"x": draw.normal(4, 4, 4)}, positions=np.arange(4)),
    ]


def sinusoidal_positions(draw: Draw) -> list[Case]:
    """A constant: its values alone can be wrong."""
    return [
        draw.case("sinusoidal_positions", "7 by 6", {}, length=7, d_model=6),
        draw.case("sinusoidal_positions", "4 by 4", {}, length=4, d_model=4),
    ]


CASES = {
    "linear": linear,
    "embedding": embedding,
    "dropout": dropout,
    "rotary": rotary,
    "sinusoidal_positions": sinusoidal_positions,
}
