"""Activations whose derivative is one line."""

from __future__ import annotations

from typing import Any

from . import language
from .language import Array, exp, where


def relu(x: Array, dout: Array) -> Any:
    """max(x, 0)."""
    positive = x.real > 0
    out = where(positive, x, 0)
    slope = 1.0 * positive  # 1
    dx = dout * slope  # 1
    return out, dx


def tanh(x: Array, dout: Array) -> Any:
    """tanh(x)."""
    y = language.tanh(x)
    out = y
    slope = 1 - y * y  # 1
    dx = dout * slope  # 2
    return out, dx


def sigmoid(x: Array, dout: Array) -> Any:
    """1 / (1 + e⁻ˣ)."""
    y = 1 / (1 + exp(-x))
    out = y
    slope = y * (1 - y)  # 1
    dx = dout * slope  # 2
    return out, dx


def silu(x: Array, dout: Array) -> Any:
    """x · σ(x)."""
    s = 1 / (1 + exp(-x))
    out = x * s
    ds = s * (1 - s)  # 1
    through_s = x * ds  # 1
    slope = s + through_s  # 1
    dx = dout * slope  # 2
    return out, dx
