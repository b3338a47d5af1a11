"""Attention in tiles: the weights come out of the row's log-sum-exp L once more, and D out of the output.

Each line is of all tiles at once: the gradients do not know in which order they were summed.
"""

from __future__ import annotations

from typing import Any

from .language import Array, T, exp, gather, group_sum, largest, log, neg_inf_where, sum_over, sum_to, where


def flash_attention(
    q: Array,
    k: Array,
    v: Array,
    bias: Array,
    dout: Array,
    allowed: Array,
    scale: float,
    keep: Array,
    p: float,
) -> Any:
    """softmax(scale · q kᵀ + bias) v; allowed, keep and bias may be everything, ones and zeros."""
    k_each = gather(k, q)
    v_each = gather(v, q)
    Z = scale * (q @ T(k_each)) + bias + neg_inf_where(~allowed)
    m = largest(Z, -1)
    total = sum_over(exp(Z - m), -1)
    l = where(total == 0, 1, total)
    L = m + log(l)
    keep_scale = 1 / (1 - p)
    P_forward = exp(Z - m) / l
    out = (P_forward * keep * keep_scale) @ v_each
    P = exp(Z - L)  # 0
    P_kept = P * keep * keep_scale  # 0
    weights = P_kept  # 1
    dv_each = T(weights) @ dout  # 1
    dP_kept = dout @ T(v_each)  # 1
    dP = dP_kept * keep * keep_scale  # 2
    D = sum_over(dout * out, -1)  # 3
    centred = dP - D  # 3
    p_softmax = P  # 3
    dS = p_softmax * centred  # 3
    dbias = sum_to(dS, bias)  # 4
    dZ_q = scale * dS  # 6
    dZ_k = scale * dS  # 6
    dq = dZ_q @ k_each  # 6
    dk_each = T(dZ_k) @ q  # 6
    dk = group_sum(dk_each, k)  # 6
    dv = group_sum(dv_each, v)  # 1
    return out, dq, dk, dv, dbias
