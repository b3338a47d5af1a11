"""Elementwise functions, and the gate of SwiGLU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import erf


def relu_forward(x: Any) -> Any:
    """max(x, 0)."""
    return np.where(x.real > 0, x, 0), x


def relu_backward(dout: Any, x: Any) -> Any:
    """Return dx."""
    mask = x > 0
    return dout * mask


def tanh_forward(x: Any) -> Any:
    """tanh(x)."""
    y = np.tanh(x)
    return y, (x, y)


def tanh_backward(dout: Any, cache: Any) -> Any:
    """Return dx."""
    x, y = cache
    slope = 1 - y**2
    return dout * slope


def sigmoid(x: Any) -> Any:
    """1 / (1 + e⁻ˣ)."""
    return 1 / (1 + np.exp(-x))


def sigmoid_forward(x: Any) -> Any:
    """Return σ(x)."""
    y = sigmoid(x)
    return y, (x, y)


def sigmoid_backward(dout: Any, cache: Any) -> Any:
    """Return dx."""
    x, y = cache
    slope = y * (1 - y)
    return dout * slope


def silu_forward(x: Any) -> Any:
    """x σ(x)."""
    return x * sigmoid(x), x


def silu_backward(dout: Any, x: Any) -> Any:
    """Return dx."""
    s = sigmoid(x)
    inner = x * s * (1 - s)
    slope = s + inner
    return dout * slope


def gelu_forward(x: Any) -> Any:
    """x Φ(x)."""
    return x * 0.5 * (1 + erf(x / math.sqrt(2))), x


def gelu_backward(dout: Any, x: Any) -> Any:
    """Return dx."""
    cdf = 0.5 * (1 + erf(x / math.sqrt(2)))
    pdf = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    slope = cdf + x * pdf
    return dout * slope


def gelu_tanh_forward(x: Any) -> Any:
    """½ x (1 + tanh(√(2/π)(x + 0.044715 x³)))."""
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t), (x, t)


def gelu_tanh_backward(dout: Any, cache: Any) -> Any:
    """Return dx."""
    x, t = cache
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    slope = 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du
    return dout * slope


def swiglu_forward(gate: Any, up: Any) -> Any:
    """silu(gate) · up."""
    return gate * sigmoid(gate) * up, (gate, up)


def swiglu_backward(dout: Any, cache: Any) -> Any:
    """Return dgate, dup."""
    gate, up = cache
    s = sigmoid(gate)
    dsilu = dout * up
    slope = s + gate * s * (1 - s)
    dgate = dsilu * slope
    dup = dout * gate * s
    return dgate, dup
