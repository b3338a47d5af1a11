"""Ops that move vectors about: linear, embedding, dropout, rotary."""

from __future__ import annotations

from typing import Any

from .language import Array, T, cos, pairs, partner, pick, scatter, sin, sum_rows, wave_numbers


def linear(x: Array, weight: Array, bias: Array, dout: Array) -> Any:
    """y = x @ W + b."""
    rows = x.reshape(-1, x.shape[-1])
    out = x @ weight + bias
    dy = dout.reshape(-1, dout.shape[-1])  # 0
    dbias = sum_rows(dout)  # 1
    dweight = T(rows) @ dy  # 2
    dx = dout @ T(weight)  # 3
    return out, dx, dweight, dbias


def embedding(ids: Array, table: Array, dout: Array) -> Any:
    """Rows of the table."""
    out = pick(table, ids)
    summed = scatter(dout, ids, table)  # 1, 2
    dtable = summed  # 1, 2
    return out, dtable


def dropout(x: Array, dout: Array, keep: Array, p: float) -> Any:
    """x · keep / (1 - p)."""
    scale = 1 / (1 - p)
    out = x * keep * scale
    kept = dout * keep  # 1
    dx = kept * scale  # 1
    return out, dx


def rotary(x: Array, positions: Array, dout: Array, base: float, interleaved: bool) -> Any:
    """x · cos + x' · sin, the partner x' with the sign in the sine."""
    theta = wave_numbers(x, base)
    angle = positions[..., None] * theta
    cosine = pairs(cos(angle), cos(angle), interleaved)
    sine = pairs(-sin(angle), sin(angle), interleaved)
    out = x * cosine + partner(x, interleaved) * sine
    straight = dout * cosine  # 1, 2
    crossed = partner(dout, interleaved) * sine  # 1, 2
    dx = straight - crossed  # 1, 2
    return out, dx
