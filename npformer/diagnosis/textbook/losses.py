"""The losses; `divisor` is what the sum of the losses is divided by."""

from __future__ import annotations

from typing import Any

from .language import (
    Array,
    T,
    exp,
    is_largest,
    largest,
    log,
    one_hot,
    sqrt,
    sum_everything,
    sum_over,
    where,
)


def cross_entropy(
    logits: Array, targets: Array, dout: Array, valid: Array, divisor: float, smoothing: float
) -> Any:
    """-log softmax(logits) at the target."""
    V = logits.shape[-1]
    e = exp(logits - largest(logits, -1))
    p = e / sum_over(e, -1)
    y = (1 - smoothing) * one_hot(targets, V) + smoothing / V
    loss = -sum_over(y * log(p), -1, False)
    counted = where(valid, loss, 0)
    out = (sum_everything(counted) if dout.ndim == 0 else counted) / divisor
    upstream = dout[..., None]  # 1
    masked = upstream * valid[..., None]  # 1
    dloss = masked / divisor  # 1
    difference = p - y  # 2, 3
    dlogits = dloss * difference  # 2, 3
    return out, dlogits


def cross_entropy_by_the_others(
    logits: Array, targets: Array, dout: Array, valid: Array, divisor: float, smoothing: float
) -> Any:
    """The same with 1 - p at the target taken from the other classes where p is nearly 1."""
    V = logits.shape[-1]
    exp_d = exp(logits - largest(logits, -1))
    s = sum_over(where(is_largest(logits, -1), 0, exp_d), -1)
    p = exp_d / (1 + s)
    hit = one_hot(targets, V) > 0
    hit_is_largest = sum_over(hit & is_largest(logits, -1), -1)
    y = (1 - smoothing) * hit + smoothing / V
    loss = -sum_over(y * log(p), -1, False)
    counted = where(valid, loss, 0)
    out = (sum_everything(counted) if dout.ndim == 0 else counted) / divisor
    dloss = dout[..., None] * valid[..., None] / divisor  # 1
    share = dloss / (1 + s)  # 2
    dloss_p = exp_d * share  # 2
    spread = dloss * (smoothing / V)  # 2
    elsewhere = dloss_p - spread  # 2
    exp_target = sum_over(where(hit, exp_d, 0), -1)  # 3
    one_minus_p = where(hit_is_largest, s / (1 + s), 1 - exp_target / (1 + s))  # 3
    at_target = dloss * ((smoothing - smoothing / V) - one_minus_p)  # 3
    both = where(hit, at_target, elsewhere)  # 2, 3
    dlogits = where(valid[..., None], both, 0)  # 1
    return out, dlogits


def binary_cross_entropy_with_logits(
    logits: Array, targets: Array, dout: Array, weight: Array, divisor: float
) -> Any:
    """-(y log σ(x) + (1 - y) log(1 - σ(x)))."""
    sigma = 1 / (1 + exp(-logits))
    loss = -weight * (targets * log(sigma) + (1 - targets) * log(1 - sigma))
    out = (sum_everything(loss) if dout.ndim == 0 else loss) / divisor
    dloss = dout / divisor  # 1
    weighted = dloss * weight  # 2
    difference = sigma - targets  # 2, 3
    dlogits = weighted * difference  # 2, 3
    return out, dlogits


def mse_loss(input: Array, target: Array, dout: Array, divisor: float) -> Any:
    """(input - target)²."""
    d = input - target
    out = (sum_everything(d * d) if dout.ndim == 0 else d * d) / divisor
    dloss = dout / divisor  # 1
    dd = dloss * 2 * d  # 2
    dinput = dd  # 3
    dtarget = -dd  # 3
    return out, dinput, dtarget


def info_nce(queries: Array, keys: Array, dout: Array, temperature: float, targets: Array) -> Any:
    """Cross entropy of the cosines over the temperature, with the targets on the diagonal."""
    N = 1.0 * len(queries)
    norm_q = sqrt(sum_over(queries * queries, -1))
    norm_k = sqrt(sum_over(keys * keys, -1))
    q_hat = queries / norm_q
    k_hat = keys / norm_k
    S = q_hat @ T(k_hat) / temperature
    e = exp(S - largest(S, -1))
    p = e / sum_over(e, -1)
    onehot = one_hot(targets, len(queries))
    out = -sum_everything(onehot * log(p)) / N
    difference = p - onehot  # 1
    dS = dout * difference / N  # 1
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


def distillation(logits: Array, teacher_logits: Array, dout: Array, temperature: float) -> Any:
    """τ² times the mean KL divergence of a student's soft predictions from a teacher's."""
    N = 1.0 * len(logits)
    t = teacher_logits / temperature
    e_t = exp(t - largest(t, -1))
    q = e_t / sum_over(e_t, -1)
    u = logits / temperature
    e_u = exp(u - largest(u, -1))
    p = e_u / sum_over(e_u, -1)
    out = temperature * temperature * sum_everything(q * (log(q) - log(p))) / N
    squared = temperature * temperature  # 1
    dK = dout * squared  # 1
    dloss = dK / N  # 1
    difference = p - q  # 2, 3
    du = dloss * difference  # 2, 3
    dlogits = du / temperature  # 4
    return out, dlogits
