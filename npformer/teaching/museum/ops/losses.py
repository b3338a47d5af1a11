"""The losses."""

from __future__ import annotations

from typing import Any

import numpy as np


def cross_entropy_forward(logits: Any, targets: Any) -> Any:
    """Return the mean of -log softmax at the targets that are not -100."""
    N = len(targets)
    e = np.exp(logits - logits.real.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    valid = targets != -100
    losses = -np.log(p[np.arange(N), np.where(valid, targets, 0)])
    return np.asarray((losses * valid).sum() / valid.sum()), (p, targets, valid)


def cross_entropy_backward(dout: Any, cache: Any) -> Any:
    """Return dlogits."""
    p, targets, valid = cache
    N = len(targets)
    onehot = np.zeros_like(p)
    onehot[np.arange(N), np.where(valid, targets, 0)] = 1
    dlogits = p - onehot
    dlogits = dlogits * valid[:, None]
    dlogits = dlogits / valid.sum()
    return dlogits * dout


def binary_cross_entropy_with_logits_forward(logits: Any, targets: Any) -> Any:
    """Return the mean of -(y log σ(x) + (1 - y) log(1 - σ(x)))."""
    s = 1 / (1 + np.exp(-logits))
    losses = -(targets * np.log(s) + (1 - targets) * np.log(1 - s))
    return np.asarray(losses.mean()), (logits, s, targets)


def binary_cross_entropy_with_logits_backward(dout: Any, cache: Any) -> Any:
    """Return dlogits."""
    logits, s, targets = cache
    difference = s - targets
    upstream = dout / s.size
    return difference * upstream


def mse_loss_forward(input: Any, target: Any) -> Any:
    """Return the mean of (input - target)²."""
    d = input - target
    return np.asarray((d**2).mean()), d


def mse_loss_backward(dout: Any, d: Any) -> Any:
    """Return dinput, dtarget."""
    upstream = dout / d.size
    dinput = upstream * 2 * d
    dtarget = -dinput
    return dinput, dtarget.copy()


def info_nce_forward(queries: Any, keys: Any, temperature: Any = 0.3) -> Any:
    """Return the cross entropy of cosines over the temperature, with the diagonal as targets."""
    nq = np.sqrt((queries**2).sum(axis=1, keepdims=True))
    nk = np.sqrt((keys**2).sum(axis=1, keepdims=True))
    q, k = queries / nq, keys / nk
    S = q @ k.T / temperature
    e = np.exp(S - S.real.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return np.asarray(-np.log(np.diagonal(p)).mean()), (q, k, nq, nk, p, temperature)


def info_nce_backward(dout: Any, cache: Any) -> Any:
    """Return dqueries, dkeys."""
    q, k, nq, nk, p, temperature = cache
    dS = (p - np.eye(len(p), dtype=p.dtype)) * dout / len(p)
    dS = dS / temperature
    dq = dS @ k
    dk = dS.T @ q
    dq = dq - q * (dq * q).sum(axis=1, keepdims=True)
    dk = dk - k * (dk * k).sum(axis=1, keepdims=True)
    dq = dq / nq
    dk = dk / nk
    return dq, dk


def distillation_forward(logits: Any, teacher_logits: Any, temperature: Any = 1.7) -> Any:
    """Return τ² times the mean KL divergence of the student's soft predictions from the teacher's."""
    t = np.exp((teacher_logits - teacher_logits.max(axis=1, keepdims=True)) / temperature)
    q = t / t.sum(axis=1, keepdims=True)
    e = np.exp((logits - logits.real.max(axis=1, keepdims=True)) / temperature)
    p = e / e.sum(axis=1, keepdims=True)
    divergences = (q * (np.log(q) - np.log(p))).sum(axis=1)
    return np.asarray(temperature**2 * divergences.mean()), (p, q, temperature)


def distillation_backward(dout: Any, cache: Any) -> Any:
    """Return dlogits."""
    p, q, temperature = cache
    dK = dout * temperature**2
    dloss = dK / len(p)
    difference = p - q
    dlogits = dloss * difference / temperature
    return dlogits
