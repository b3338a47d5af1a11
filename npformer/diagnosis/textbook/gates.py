"""GELU in both forms, and SwiGLU."""

from __future__ import annotations

from typing import Any

from .language import Array, erf, exp, sqrt, tanh

PI = 3.141592653589793


def gelu(x: Array, dout: Array) -> Any:
    """x · Φ(x)."""
    Phi = 0.5 * (1 + erf(x / sqrt(2)))
    phi = exp(-x * x / 2) / sqrt(2 * PI)
    out = x * Phi
    inner = phi  # 1
    through_Phi = x * inner  # 1
    slope = Phi + through_Phi  # 1
    dx = dout * slope  # 3
    return out, dx


def gelu_tanh(x: Array, dout: Array) -> Any:
    """½ x (1 + tanh(u))."""
    u = sqrt(2 / PI) * (x + 0.044715 * x * x * x)
    t = tanh(u)
    out = 0.5 * x * (1 + t)
    du = sqrt(2 / PI) * (1 + 3 * 0.044715 * x * x)  # 2
    dt = 1 - t * t  # 2
    through_t = 0.5 * x * dt * du  # 2
    slope = 0.5 * (1 + t) + through_t  # 2
    dx = dout * slope  # 3
    return out, dx


def swiglu(gate: Array, up: Array, dout: Array) -> Any:
    """silu(gate) · up."""
    sigma = 1 / (1 + exp(-gate))
    s = gate * sigma
    out = s * up
    ds = dout * up  # 1
    dup = dout * s  # 2
    dsigma = sigma * (1 - sigma)  # 3
    slope = sigma + gate * dsigma  # 3
    dgate = ds * slope  # 3
    return out, dgate, dup
