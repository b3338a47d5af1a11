"""What pre-training and fine-tuning are made of: contrast, pooling, class weights, adapters, replaced tokens.

The steps are those of functional/info_nce.py, models/pooling.py, objectives/_labels.py, nn/lora.py and
objectives/similarity.py, as far as these have numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .language import (
    Array,
    T,
    concatenate,
    exp,
    is_first,
    largest,
    log,
    maximum,
    one_hot,
    sqrt,
    sum_everything,
    sum_over,
    sum_rows,
    tanh,
)


def hard_negatives(queries: Array, keys: Array, negatives: Array, dout: Array, temperature: float) -> Any:
    """InfoNCE with more keys, which are no one's target."""
    N = 1.0 * len(queries)
    norm_q = sqrt(sum_over(queries * queries, -1))
    norm_k = sqrt(sum_over(keys * keys, -1))
    norm_n = sqrt(sum_over(negatives * negatives, -1))
    q_hat = queries / norm_q
    k_hat = keys / norm_k
    n_hat = negatives / norm_n
    S = concatenate([q_hat @ T(k_hat), q_hat @ T(n_hat)], -1) / temperature
    e = exp(S - largest(S, -1))
    p = e / sum_over(e, -1)
    onehot = one_hot(np.arange(len(queries)), S.shape[-1])
    out = -sum_everything(onehot * log(p)) / N
    difference = p - onehot  # 1
    dS = dout * difference / N  # 1
    dS_k = dS[:, : len(keys)]  # 1
    dS_n = dS[:, len(keys) :]  # 1
    dZ_k = dS_k / temperature  # 2
    dZ_n = dS_n / temperature  # 2
    through_k = dZ_k @ k_hat  # 2
    through_n = dZ_n @ n_hat  # 2
    dq_hat = through_k + through_n  # 2
    dk_hat = T(dZ_k) @ q_hat  # 3
    dn_hat = T(dZ_n) @ q_hat  # 3
    along_q = q_hat * sum_over(dq_hat * q_hat, -1)  # 4
    along_k = k_hat * sum_over(dk_hat * k_hat, -1)  # 4
    along_n = n_hat * sum_over(dn_hat * n_hat, -1)  # 4
    across_q = dq_hat - along_q  # 4
    across_k = dk_hat - along_k  # 4
    across_n = dn_hat - along_n  # 4
    dqueries = across_q / norm_q  # 4
    dkeys = across_k / norm_k  # 4
    dnegatives = across_n / norm_n  # 4
    return out, dqueries, dkeys, dnegatives


def symmetric_info_nce(queries: Array, keys: Array, dout: Array, temperature: float) -> Any:
    """Mean of InfoNCE of the queries among the keys, and of the keys among the queries."""
    N = 1.0 * len(queries)
    norm_q = sqrt(sum_over(queries * queries, -1))
    norm_k = sqrt(sum_over(keys * keys, -1))
    q_hat = queries / norm_q
    k_hat = keys / norm_k
    S = q_hat @ T(k_hat) / temperature
    e_forth = exp(S - largest(S, -1))
    e_back = exp(S - largest(S, -2))
    p_forth = e_forth / sum_over(e_forth, -1)
    p_back = e_back / sum_over(e_back, -2)
    onehot = one_hot(np.arange(len(queries)), len(queries))
    out = -sum_everything(onehot * (log(p_forth) + log(p_back))) / (2 * N)
    forth = p_forth - onehot  # 1
    back = p_back - onehot  # 1
    both = forth + back  # 1
    halved = both / 2  # 1
    dS = dout * halved / N  # 1
    dS_q = dS / temperature  # 2
    dS_k = dS / temperature  # 3
    dq_hat = dS_q @ k_hat  # 2
    dk_hat = T(dS_k) @ q_hat  # 3
    along_q = q_hat * sum_over(dq_hat * q_hat, -1)  # 4
    along_k = k_hat * sum_over(dk_hat * k_hat, -1)  # 4
    across_q = dq_hat - along_q  # 4
    across_k = dk_hat - along_k  # 4
    dqueries = across_q / norm_q  # 4
    dkeys = across_k / norm_k  # 4
    return out, dqueries, dkeys


def mean_pooling(hidden: Array, dout: Array, real: Array) -> Any:
    """Mean of the outputs of each text's real tokens."""
    n = maximum(sum_over(real, -1), 1)
    out = sum_over(hidden * real[..., None], -2, False) / n
    share = dout / n  # 1
    spread = share[..., None, :]  # 1
    dhidden = spread * real[..., None]  # 1
    return out, dhidden


def weighted_cross_entropy(
    logits: Array, class_weights: Array, targets: Array, dout: Array, divisor: float
) -> Any:
    """-log softmax(logits) at the target, times the weight of the target's class."""
    V = logits.shape[-1]
    e = exp(logits - largest(logits, -1))
    p = e / sum_over(e, -1)
    onehot = one_hot(targets, V)
    w = sum_over(onehot * class_weights, -1)
    loss = -sum_over(onehot * log(p), -1)
    counted = (w * loss)[..., 0]
    out = (sum_everything(counted) if dout.ndim == 0 else counted) / divisor
    dmean = dout[..., None] / divisor  # 1
    dloss = dmean * w  # 1
    difference = p - onehot  # 2
    dlogits = dloss * difference  # 2
    return out, dlogits


def lora(x: Array, weight: Array, a: Array, b: Array, dout: Array, s: float) -> Any:
    """y = x (W + s A B)."""
    rows = x.reshape(-1, x.shape[-1])
    out = x @ (weight + s * (a @ b))
    dy = dout.reshape(-1, dout.shape[-1])  # 0
    dadapted = T(rows) @ dy  # 0
    dweight = dadapted  # 1
    da = s * (dadapted @ T(b))  # 2
    db = s * (T(a) @ dadapted)  # 3
    through_weight = dout @ T(weight)  # 4
    through_adapter = s * (dout @ T(b) @ T(a))  # 4
    dx = through_weight + through_adapter  # 4
    return out, dx, dweight, da, db


def replaced_token_detection(
    logits: Array, targets: Array, dout: Array, real: Array, loss_weight: float, divisor: float
) -> Any:
    """Weight times the binary cross entropy of the real tokens: 1 is replaced, 0 is not."""
    sigma = 1 / (1 + exp(-logits))
    loss = -(targets * log(sigma) + (1 - targets) * log(1 - sigma))
    counted = real * loss
    out = loss_weight * (sum_everything(counted) if dout.ndim == 0 else counted) / divisor
    weighted = dout * loss_weight  # 1
    dmean = weighted / divisor  # 1
    dloss = dmean * real  # 1
    difference = sigma - targets  # 2
    dlogits = dloss * difference  # 2
    return out, dlogits


def pooler(hidden: Array, weight: Array, bias: Array, dout: Array) -> Any:
    """tanh(h W + b) of the first token's output h."""
    first = hidden[..., 0, :]
    u = first @ weight + bias
    y = tanh(u)
    out = y
    slope = 1 - y * y  # 1
    du = dout * slope  # 1
    dbias = sum_rows(du)  # 2
    dweight = T(first) @ du  # 2
    dfirst = du @ T(weight)  # 2
    each = dfirst[..., None, :]  # 3
    dhidden = each * is_first(hidden)  # 3
    return out, dhidden, dweight, dbias


def cosine_similarity(u: Array, v: Array, dout: Array) -> Any:
    """Cosine of u and v, row by row."""
    norm_u = sqrt(sum_over(u * u, -1))
    norm_v = sqrt(sum_over(v * v, -1))
    u_hat = u / norm_u
    v_hat = v / norm_v
    out = sum_over(u_hat * v_hat, -1, False)
    dcos = dout[..., None]  # 2
    du_hat = dcos * v_hat  # 2
    dv_hat = dcos * u_hat  # 2
    cos_u = sum_over(du_hat * u_hat, -1)  # 1
    cos_v = sum_over(dv_hat * v_hat, -1)  # 1
    across_u = du_hat - u_hat * cos_u  # 1
    across_v = dv_hat - v_hat * cos_v  # 1
    du = across_u / norm_u  # 1
    dv = across_v / norm_v  # 1
    return out, du, dv
