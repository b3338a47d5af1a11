"""Cases of the ops that set the scale of a row: softmax and the norms."""

from __future__ import annotations

from typing import Any

from .case import Array, Case, Draw


def _softmax(op: str, draw: Draw) -> list[Case]:
    return [
        draw.case(op, "last axis", {"x": draw.normal(2, 3, 5, scale=2.0)}),
        draw.case(op, "first axis", {"x": draw.normal(5, 3)}, axis=0),
        draw.case(op, "middle axis", {"x": draw.normal(2, 4, 3)}, axis=-2),
        draw.case(op, "equal sizes", {"x": draw.normal(4, 4)}, axis=1),
        draw.case(op, "peaked", {"x": draw.normal(3, 6, scale=6.0)}),
    ]


def softmax(draw: Draw) -> list[Case]:
    """Over every kind of axis, flat and peaked."""
    return _softmax("softmax", draw)


def log_softmax(draw: Draw) -> list[Case]:
    """Over every kind of axis, flat and peaked."""
    return _softmax("log_softmax", draw)


def layer_norm(draw: Draw) -> list[Case]:
    """An eps that shows and one that does not; rows far from mean 0; a row of zeros, as padding gives."""
    padded = draw.normal(4, 6)
    padded[2] = 0.0
    parts: list[tuple[str, Array, dict[str, Any]]] = [
        ("rows", draw.normal(2, 3, 5), {}),
        ("eps = 0.3", draw.normal(4, 5), {"eps": 0.3}),
        ("eps = 1e-12, mean 3", draw.normal(3, 7) + 3.0, {"eps": 1e-12}),
        ("padded row, eps = 0.1", padded, {"eps": 0.1}),
        ("equal sizes", draw.normal(4, 4), {}),
    ]
    return [
        draw.case(
            "layer_norm",
            variant,
            {"x": x, "gamma": draw.gamma(x.shape[-1]), "beta": draw.normal(x.shape[-1])},
            **arguments,
        )
        for variant, x, arguments in parts
    ]


def rms_norm(draw: Draw) -> list[Case]:
    """An eps that shows and one that does not; a row of zeros, as padding gives."""
    padded = draw.normal(4, 6)
    padded[2] = 0.0
    parts: list[tuple[str, Array, dict[str, Any]]] = [
        ("rows", draw.normal(2, 3, 5), {}),
        ("eps = 0.3", draw.normal(4, 5), {"eps": 0.3}),
        ("padded row, eps = 0.1", padded, {"eps": 0.1}),
        ("equal sizes", draw.normal(4, 4), {}),
    ]
    return [
        draw.case("rms_norm", variant, {"x": x, "gamma": draw.gamma(x.shape[-1])}, **arguments)
        for variant, x, arguments in parts
    ]


CASES = {"softmax": softmax, "log_softmax": log_softmax, "layer_norm": layer_norm, "rms_norm": rms_norm}
