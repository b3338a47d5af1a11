"""Objectives, and what fine-tuning adds: contrast, pooling, class weights, adapters, the pooler, cosines."""

from __future__ import annotations

from typing import Any

import numpy as np


def hard_negatives_forward(queries: Any, keys: Any, negatives: Any, temperature: Any = 0.3) -> Any:
    """Return the cross entropy of cosines over the temperature, with hard negatives below the keys."""
    nq, nk, nn = (np.sqrt((x**2).sum(axis=1, keepdims=True)) for x in (queries, keys, negatives))
    q, k, n = queries / nq, keys / nk, negatives / nn
    S = q @ np.concatenate([k, n]).T / temperature
    e = np.exp(S - S.real.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return np.asarray(-np.log(np.diagonal(p)).mean()), (q, k, n, nq, nk, nn, p, temperature)


def hard_negatives_backward(dout: Any, cache: Any) -> Any:
    """Return dqueries, dkeys, dnegatives."""
    q, k, n, nq, nk, nn, p, temperature = cache
    N, M = len(k), len(n)
    onehot = np.eye(N, N + M, 0, p.dtype)
    dS = (p - onehot) * dout / N
    positive, negative = dS[:, :N] / temperature, dS[:, N:] / temperature
    dq = positive @ k
    dq = dq + negative @ n
    dk = positive.T @ q
    dn = negative.T @ q
    dq = (dq - q * (dq * q).sum(axis=1, keepdims=True)) / nq
    dk = (dk - k * (dk * k).sum(axis=1, keepdims=True)) / nk
    dn = (dn - n * (dn * n).sum(axis=1, keepdims=True)) / nn
    return dq, dk, dn


def symmetric_info_nce_forward(queries: Any, keys: Any, temperature: Any = 0.3) -> Any:
    """Return the mean of two cross entropies: of queries among keys, and of keys among queries."""
    nq = np.sqrt((queries**2).sum(axis=1, keepdims=True))
    nk = np.sqrt((keys**2).sum(axis=1, keepdims=True))
    q, k = queries / nq, keys / nk
    S = q @ k.T / temperature
    e1 = np.exp(S - S.real.max(axis=1, keepdims=True))
    e2 = np.exp(S.T - S.T.real.max(axis=1, keepdims=True))
    p1, p2 = e1 / e1.sum(axis=1, keepdims=True), e2 / e2.sum(axis=1, keepdims=True)
    out = -(np.log(np.diagonal(p1)).mean() + np.log(np.diagonal(p2)).mean()) / 2
    return np.asarray(out), (q, k, nq, nk, p1, p2, temperature)


def symmetric_info_nce_backward(dout: Any, cache: Any) -> Any:
    """Return dqueries, dkeys."""
    q, k, nq, nk, p1, p2, temperature = cache
    onehot = np.eye(len(q), dtype=q.dtype)
    forth = p1 - onehot
    back = p2 - onehot
    dS = (forth + back.T) / 2
    dS = dS * dout / len(q) / temperature
    dq = dS @ k
    dk = dS.T @ q
    dq = (dq - q * (dq * q).sum(axis=1, keepdims=True)) / nq
    dk = (dk - k * (dk * k).sum(axis=1, keepdims=True)) / nk
    return dq, dk


def mean_pooling_forward(hidden: Any, mask: Any) -> Any:
    """Return the mean of the outputs of each text's real tokens."""
    n = mask.sum(axis=1, keepdims=True)
    return (hidden * mask[:, :, None]).sum(axis=1) / n, (mask, n)


def mean_pooling_backward(dout: Any, cache: Any) -> Any:
    """Return dhidden."""
    mask, n = cache
    share = dout / n
    dhidden = share[:, None, :] * mask[:, :, None]
    return dhidden


def weighted_cross_entropy_forward(logits: Any, targets: Any, class_weights: Any) -> Any:
    """Return the mean of -log softmax at the targets, weighted by their classes."""
    e = np.exp(logits - logits.real.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    w = class_weights[targets]
    losses = -np.log(p[np.arange(len(targets)), targets])
    return np.asarray((w * losses).sum() / w.sum()), (p, targets, class_weights, w)


def weighted_cross_entropy_backward(dout: Any, cache: Any) -> Any:
    """Return dlogits."""
    p, targets, class_weights, w = cache
    onehot = np.eye(p.shape[1], dtype=p.dtype)[targets]
    total = w.sum()
    share = w[:, None]
    return (p - onehot) * share * dout / total


def lora_forward(x: Any, w: Any, a: Any, b: Any, alpha: Any = 5.0) -> Any:
    """y = x @ (w + alpha / r · a @ b)."""
    scale = alpha / a.shape[1]
    return x @ w + scale * (x @ a @ b), (x, w, a, b, alpha, scale)


def lora_backward(dout: Any, cache: Any) -> Any:
    """Return dx, dw, da, db."""
    x, w, a, b, alpha, scale = cache
    low = dout @ b.T
    da = scale * (x.T @ low)
    db = scale * ((x @ a).T @ dout)
    dx = dout @ w.T
    dx = dx + scale * (low @ a.T)
    return dx, x.T @ dout, da, db


def replaced_token_detection_forward(logits: Any, replaced: Any, mask: Any, weight: Any = 50.0) -> Any:
    """Return the weight times the mean over the real tokens of the binary cross entropy."""
    s = 1 / (1 + np.exp(-logits))
    losses = -(replaced * np.log(s) + (1 - replaced) * np.log(1 - s))
    n = mask.sum()
    return np.asarray(weight * (losses * mask).sum() / n), (s, replaced, mask, n, weight)


def replaced_token_detection_backward(dout: Any, cache: Any) -> Any:
    """Return dlogits."""
    s, replaced, mask, n, weight = cache
    upstream = dout * weight
    each = upstream / n
    difference = s - replaced
    return difference * mask * each


def pooler_forward(hidden: Any, w: Any, b: Any) -> Any:
    """Return tanh(h @ w + b) of the first token's output h."""
    first = hidden[:, 0]
    u = first @ w + b
    y = np.tanh(u)
    return y, (hidden.shape, first, w, y)


def pooler_backward(dout: Any, cache: Any) -> Any:
    """Return dhidden, dw, db."""
    shape, first, w, y = cache
    slope = 1 - y**2
    du = dout * slope
    dfirst = du @ w.T
    dhidden = np.zeros(shape, dout.dtype)
    dhidden[:, 0] = dfirst
    return dhidden, first.T @ du, du.sum(axis=0)


def cosine_similarity_forward(u: Any, v: Any) -> Any:
    """Return the cosine of u and v, row by row."""
    nu = np.sqrt((u**2).sum(axis=1, keepdims=True))
    nv = np.sqrt((v**2).sum(axis=1, keepdims=True))
    uh, vh = u / nu, v / nv
    cos = (uh * vh).sum(axis=1, keepdims=True)
    return cos[:, 0], (uh, vh, nu, nv, cos)


def cosine_similarity_backward(dout: Any, cache: Any) -> Any:
    """Return du, dv."""
    uh, vh, nu, nv, cos = cache
    du = vh - cos * uh
    dv = uh - cos * vh
    du, dv = du / nu, dv / nv
    return dout[:, None] * du, dout[:, None] * dv
