"""Cross entropy: the mean over the rows that have a target of -log softmax(logits)[target].

    loss = 1/n_valid · Σ_valid (log Σ_j exp(logits_j) - logits_target)

A target of -100 means: this row does not count, neither in the sum nor in n_valid. If no row counts the loss
is 0 and so is the gradient.
"""

import numpy as np

Array = np.ndarray


def cross_entropy_forward(logits: Array, targets: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return the loss, a number, and the cache (p, targets), where p = softmax(logits).

    logits is (N, V), targets is (N,) of ids below V, or -100. Logits of 1000 must not overflow.
    """
    z = logits - logits.max(axis=-1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    valid = targets != -100
    picked = log_p[np.arange(len(targets)), np.where(valid, targets, 0)]
    loss = -(picked * valid).sum() / max(valid.sum(), 1)
    return np.asarray(loss, dtype=logits.dtype), (np.exp(log_p), targets)


def cross_entropy_backward(dout: Array, cache: tuple[Array, Array]) -> Array:
    """Return dlogits (N, V). dout is a number."""
    p, targets = cache
    valid = targets != -100
    dlogits = p.copy()
    dlogits[np.arange(len(targets)), np.where(valid, targets, 0)] -= 1
    dlogits *= valid[:, None]
    return dlogits * dout / max(int(valid.sum()), 1)
