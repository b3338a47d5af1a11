"""Cases of the functions that act on each number by itself."""

from __future__ import annotations

from typing import Any

from .case import Case, Draw


def relu(draw: Draw) -> list[Case]:
    """Away from its kink, which only one-sided differences can judge."""
    return [
        draw.case("relu", "away from 0", {"x": draw.away_from_zero(2, 3, 5)}),
        draw.case("relu", "equal sizes", {"x": draw.away_from_zero(4, 4)}),
    ]


def _smooth(op: str, draw: Draw, **arguments: Any) -> list[Case]:
    return [
        draw.case(op, ", ".join(["N(0, 1)", *arguments.values()]), {"x": draw.normal(2, 3, 5)}, **arguments),
        draw.case(
            op, ", ".join(["N(0, 3²)", *arguments.values()]), {"x": draw.normal(5, 4, scale=3.0)}, **arguments
        ),
        draw.case(op, ", ".join(["equal sizes", *arguments.values()]), {"x": draw.normal(4, 4)}, **arguments),
    ]


def tanh(draw: Draw) -> list[Case]:
    """In the middle and out to where it is flat."""
    return _smooth("tanh", draw)


def sigmoid(draw: Draw) -> list[Case]:
    """In the middle and out to where it is flat."""
    return _smooth("sigmoid", draw)


def silu(draw: Draw) -> list[Case]:
    """In the middle and out to where it is straight."""
    return _smooth("silu", draw)


def gelu(draw: Draw) -> list[Case]:
    """Both forms."""
    return _smooth("gelu", draw, approximate="none") + _smooth("gelu", draw, approximate="tanh")


def swiglu(draw: Draw) -> list[Case]:
    """Gate and up drawn apart."""
    return [
        draw.case("swiglu", "N(0, 1)", {"gate": draw.normal(2, 3, 5), "up": draw.normal(2, 3, 5)}),
        draw.case("swiglu", "gate N(0, 3²)", {"gate": draw.normal(5, 4, scale=3.0), "up": draw.normal(5, 4)}),
        draw.case("swiglu", "equal sizes", {"gate": draw.normal(4, 4), "up": draw.normal(4, 4)}),
    ]


CASES = {"relu": relu, "tanh": tanh, "sigmoid": sigmoid, "silu": silu, "gelu": gelu, "swiglu": swiglu}
