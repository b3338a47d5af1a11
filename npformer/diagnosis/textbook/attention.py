"""Attention, and multi-head attention of a sequence to itself or to another."""

from __future__ import annotations

from typing import Any

from .language import (
    Array,
    T,
    capped,
    exp,
    gather,
    group_sum,
    heads,
    largest,
    mean_over,
    merge,
    neg_inf_where,
    sqrt,
    sum_over,
    sum_rows,
    sum_to,
    tanh,
    turn,
    where,
    within,
)


def scaled_dot_product_attention(
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
    e = exp(Z - largest(Z, -1))
    total = sum_over(e, -1)
    P = e / where(total == 0, 1, total)
    keep_scale = 1 / (1 - p)
    P_kept = P * keep * keep_scale
    out = P_kept @ v_each
    weights = P_kept  # 1
    dv_each = T(weights) @ dout  # 1
    dP_kept = dout @ T(v_each)  # 1
    dP = dP_kept * keep * keep_scale  # 2
    p_softmax = P  # 3
    P_dP = p_softmax * dP  # 3
    D = sum_over(P_dP, -1)  # 3
    centred = dP - D  # 3
    dS = p_softmax * centred  # 3
    dbias = sum_to(dS, bias)  # 4
    dZ_q = scale * dS  # 6
    dZ_k = scale * dS  # 6
    dq = dZ_q @ k_each  # 6
    dk_each = T(dZ_k) @ q  # 6
    dk = group_sum(dk_each, k)  # 6
    dv = group_sum(dv_each, v)  # 1
    return out, dq, dk, dv, dbias


def softcapped_attention(
    q: Array,
    k: Array,
    v: Array,
    bias: Array,
    dout: Array,
    allowed: Array,
    window: float,
    offset: int,
    scale: float,
    c: float,
    keep: Array,
    p: float,
) -> Any:
    """Attention in a window, with scores under a softcap c; both may be inf, and then are none."""
    k_each = gather(k, q)
    v_each = gather(v, q)
    near = within(q, k, window, offset)
    Z_0 = scale * (q @ T(k_each))
    Z_c = capped(Z_0, c)
    Z = Z_c + bias + neg_inf_where(~(allowed & near))
    e = exp(Z - largest(Z, -1))
    total = sum_over(e, -1)
    P = e / where(total == 0, 1, total)
    keep_scale = 1 / (1 - p)
    P_kept = P * keep * keep_scale
    out = P_kept @ v_each
    weights = P_kept  # 1
    dv_each = T(weights) @ dout  # 1
    dP_kept = dout @ T(v_each)  # 1
    dP = dP_kept * keep * keep_scale  # 2
    p_softmax = P  # 3
    P_dP = p_softmax * dP  # 3
    D = sum_over(P_dP, -1)  # 3
    centred = dP - D  # 3
    dS = p_softmax * centred  # 3
    dbias = sum_to(dS, bias)  # 4
    slope = 1 - tanh(Z_0 / c) ** 2  # 5
    dZ_0 = dS * slope  # 5
    dZ_q = scale * dZ_0  # 6
    dZ_k = scale * dZ_0  # 6
    dq = dZ_q @ k_each  # 6
    dk_each = T(dZ_k) @ q  # 6
    dk = group_sum(dk_each, k)  # 6
    dv = group_sum(dv_each, v)  # 1
    return out, dq, dk, dv, dbias


def multi_head_attention(
    x: Array,
    w_q: Array,
    w_k: Array,
    w_v: Array,
    w_o: Array,
    b_q: Array,
    b_k: Array,
    b_v: Array,
    b_o: Array,
    dout: Array,
    h: int,
    allowed: Array,
    scale: float,
    keep: Array,
    p: float,
) -> Any:
    """Self-attention with h heads."""
    Q = heads(x @ w_q + b_q, h)
    K = heads(x @ w_k + b_k, h)
    V = heads(x @ w_v + b_v, h)
    Z = scale * (Q @ T(K)) + neg_inf_where(~allowed)
    e = exp(Z - largest(Z, -1))
    total = sum_over(e, -1)
    P = e / where(total == 0, 1, total)
    keep_scale = 1 / (1 - p)
    P_kept = P * keep * keep_scale
    O = P_kept @ V
    joined = merge(O)
    out = joined @ w_o + b_o
    rows = x.reshape(-1, x.shape[-1])
    dy = dout.reshape(-1, dout.shape[-1])  # 8
    joined_rows = joined.reshape(-1, joined.shape[-1])
    db_o = sum_rows(dout)  # 8
    dw_o = T(joined_rows) @ dy  # 8
    djoined = dout @ T(w_o)  # 8
    dO = heads(djoined, h)  # 6
    dV = T(P_kept) @ dO  # 5
    dP_kept = dO @ T(V)  # 5
    dP = dP_kept * keep * keep_scale  # 5
    D = sum_over(P * dP, -1)  # 5
    centred = dP - D  # 5
    dS = P * centred  # 5
    dZ = scale * dS  # 5
    dQ = dZ @ K  # 5
    dK = T(dZ) @ Q  # 5
    dq = merge(dQ)  # 2
    dk = merge(dK)  # 2
    dv = merge(dV)  # 2
    db_q = sum_rows(dq)  # 1
    db_k = sum_rows(dk)  # 1
    db_v = sum_rows(dv)  # 1
    dw_q = T(rows) @ dq.reshape(-1, dq.shape[-1])  # 1
    dw_k = T(rows) @ dk.reshape(-1, dk.shape[-1])  # 1
    dw_v = T(rows) @ dv.reshape(-1, dv.shape[-1])  # 1
    through_q = dq @ T(w_q)  # 1
    through_k = dk @ T(w_k)  # 1
    through_v = dv @ T(w_v)  # 1
    dx = through_q + through_k + through_v  # 1
    return out, dx, dw_q, dw_k, dw_v, dw_o, db_q, db_k, db_v, db_o


def query_key_norm_attention(
    x: Array,
    w_q: Array,
    w_k: Array,
    w_v: Array,
    w_o: Array,
    gamma_q: Array,
    gamma_k: Array,
    b_q: Array,
    b_k: Array,
    b_v: Array,
    b_o: Array,
    dout: Array,
    h: int,
    base: float,
    interleaved: bool,
    keep: Array,
    p: float,
    allowed: Array,
    scale: float,
    eps: float,
) -> Any:
    """Self-attention with h heads, whose queries and keys are normalised, and rotated unless base is inf."""
    Q_0 = heads(x @ w_q + b_q, h)
    K_0 = heads(x @ w_k + b_k, h)
    V = heads(x @ w_v + b_v, h)
    rrms_q = 1 / sqrt(mean_over(Q_0 * Q_0, -1) + eps)
    rrms_k = 1 / sqrt(mean_over(K_0 * K_0, -1) + eps)
    q_hat = Q_0 * rrms_q
    k_hat = K_0 * rrms_k
    Q = turn(gamma_q * q_hat, base, interleaved)
    K = turn(gamma_k * k_hat, base, interleaved)
    Z = scale * (Q @ T(K)) + neg_inf_where(~allowed)
    e = exp(Z - largest(Z, -1))
    total = sum_over(e, -1)
    P = e / where(total == 0, 1, total)
    keep_scale = 1 / (1 - p)
    P_kept = P * keep * keep_scale
    O = P_kept @ V
    joined = merge(O)
    out = joined @ w_o + b_o
    rows = x.reshape(-1, x.shape[-1])
    dy = dout.reshape(-1, dout.shape[-1])  # 8
    joined_rows = joined.reshape(-1, joined.shape[-1])
    db_o = sum_rows(dout)  # 8
    dw_o = T(joined_rows) @ dy  # 8
    djoined = dout @ T(w_o)  # 8
    dO = heads(djoined, h)  # 6
    dV = T(P_kept) @ dO  # 5
    dP_kept = dO @ T(V)  # 5
    dP = dP_kept * keep * keep_scale  # 5
    D = sum_over(P * dP, -1)  # 5
    centred = dP - D  # 5
    dS = P * centred  # 5
    dZ = scale * dS  # 5
    dQ_turned = dZ @ K  # 5
    dK_turned = T(dZ) @ Q  # 5
    dQ_n = turn(dQ_turned, base, interleaved, -1)  # 4
    dK_n = turn(dK_turned, base, interleaved, -1)  # 4
    dgamma_q = sum_rows(dQ_n * q_hat)  # 3
    dgamma_k = sum_rows(dK_n * k_hat)  # 3
    dq_hat = dQ_n * gamma_q  # 3
    dk_hat = dK_n * gamma_k  # 3
    through_ms_q = q_hat * mean_over(dq_hat * q_hat, -1)  # 3
    through_ms_k = k_hat * mean_over(dk_hat * k_hat, -1)  # 3
    across_q = dq_hat - through_ms_q  # 3
    across_k = dk_hat - through_ms_k  # 3
    dQ = rrms_q * across_q  # 3
    dK = rrms_k * across_k  # 3
    dq = merge(dQ)  # 2
    dk = merge(dK)  # 2
    dv = merge(dV)  # 2
    db_q = sum_rows(dq)  # 1
    db_k = sum_rows(dk)  # 1
    db_v = sum_rows(dv)  # 1
    dw_q = T(rows) @ dq.reshape(-1, dq.shape[-1])  # 1
    dw_k = T(rows) @ dk.reshape(-1, dk.shape[-1])  # 1
    dw_v = T(rows) @ dv.reshape(-1, dv.shape[-1])  # 1
    through_q = dq @ T(w_q)  # 1
    through_k = dk @ T(w_k)  # 1
    through_v = dv @ T(w_v)  # 1
    dx = through_q + through_k + through_v  # 1
    return out, dx, dw_q, dw_k, dw_v, dw_o, dgamma_q, dgamma_k, db_q, db_k, db_v, db_o
