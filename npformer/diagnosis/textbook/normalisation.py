"""Softmax, its logarithm, and the norms."""

from __future__ import annotations

from typing import Any

from .language import (
    Array,
    at_largest,
    exp,
    is_largest,
    largest,
    log,
    mean_over,
    sqrt,
    sum_over,
    sum_rows,
    where,
)


def softmax(x: Array, dout: Array, axis: int) -> Any:
    """p = exp(x) / Σ exp(x)."""
    e = exp(x - largest(x, axis))
    total = sum_over(e, axis)
    p = e / total
    out = p
    p_dout = dout * p  # 1
    along = sum_over(p_dout, axis)  # 1, 2
    centred = dout - along  # 1, 2
    dx = p * centred  # 1, 2
    return out, dx


def softmax_from_the_top(x: Array, dout: Array, axis: int) -> Any:
    """The same with dout taken from its value at the largest entry."""
    e = exp(x - largest(x, axis))
    total = sum_over(e, axis)
    p = e / total
    out = p
    dout_top = at_largest(dout, x, axis)  # 2
    c = dout - dout_top  # 2
    c_p = c * p  # 1, 2
    along = sum_over(c_p, axis)  # 1, 2
    centred = c - along  # 1, 2
    dx = p * centred  # 1, 2
    return out, dx


def log_softmax(x: Array, dout: Array, axis: int) -> Any:
    """log p = x - log Σ exp(x)."""
    z = x - largest(x, axis)
    log_p = z - log(sum_over(exp(z), axis))
    p = exp(log_p)
    out = log_p
    total = sum_over(dout, axis)  # 1
    spread = p * total  # 1
    dx = dout - spread  # 1, 2
    return out, dx


def log_softmax_by_the_others(x: Array, dout: Array, axis: int) -> Any:
    """The same with the gradient at the largest entry taken from the others."""
    z = x - largest(x, axis)
    log_p = z - log(sum_over(exp(z), axis))
    p = exp(log_p)
    out = log_p
    total = sum_over(dout, axis)  # 1
    spread = p * total  # 1
    plain = dout - spread  # 1
    others = where(is_largest(x, axis), 0, plain)  # 2
    at_top = -sum_over(others, axis)  # 2
    dx = where(is_largest(x, axis), at_top, others)  # 2
    return out, dx


def layer_norm(x: Array, gamma: Array, beta: Array, dout: Array, eps: float) -> Any:
    """out = gamma · x_hat + beta."""
    mu = mean_over(x, -1)
    d = x - mu
    var = mean_over(d * d, -1)
    rstd = 1 / sqrt(var + eps)
    x_hat = d * rstd
    out = gamma * x_hat + beta
    dbeta = sum_rows(dout)  # 1
    dgamma = sum_rows(dout * x_hat)  # 2
    dx_hat = dout * gamma  # 3
    mean_dx_hat = mean_over(dx_hat, -1)  # 5
    mean_dx_hat_x_hat = mean_over(dx_hat * x_hat, -1)  # 4
    through_mean = mean_dx_hat  # 5
    through_var = x_hat * mean_dx_hat_x_hat  # 4
    centred = dx_hat - through_mean - through_var  # 4, 5
    dx = rstd * centred  # 4, 5
    return out, dx, dgamma, dbeta


def rms_norm(x: Array, gamma: Array, dout: Array, eps: float) -> Any:
    """out = gamma · x / sqrt(mean(x²) + eps)."""
    ms = mean_over(x * x, -1)
    rrms = 1 / sqrt(ms + eps)
    x_hat = x * rrms
    out = gamma * x_hat
    dgamma = sum_rows(dout * x_hat)  # 1
    dx_hat = dout * gamma  # 2
    mean_dx_hat_x_hat = mean_over(dx_hat * x_hat, -1)  # 3
    through_ms = x_hat * mean_dx_hat_x_hat  # 3
    centred = dx_hat - through_ms  # 3
    dx = rrms * centred  # 3
    return out, dx, dgamma
