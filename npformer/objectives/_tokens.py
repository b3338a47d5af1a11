"""What every objective that predicts tokens has: sums over the targets, and the way back from their loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..functional import cross_entropy, cross_entropy_backward

Array = Any


class Metrics(NamedTuple):
    """Sums over targets; add them up over micro-batches, then divide."""

    loss_sum: Any
    n_correct: int
    n_targets: int

    def __add__(self, other: Metrics) -> Metrics:  # type: ignore[override]
        return Metrics(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def loss(self) -> float:
        """Nats per target; 0 where there is none."""
        return float(self.loss_sum / max(self.n_targets, 1))

    @property
    def accuracy(self) -> float:
        """Share of targets whose most probable token is the true one."""
        return self.n_correct / max(self.n_targets, 1)


def loss_of_tokens(
    head: Any,
    hidden: Array,
    targets: Array,
    params: Any,
    grads: Any,
    normalizer: float,
    label_smoothing: float = 0.0,
    *,
    weight: float = 1.0,
    see: Callable[[Array], None] | None = None,
) -> tuple[Metrics, Array | None]:
    """Return the summed cross entropy of the targets, and the gradient of loss / `normalizer`.

    Parameters
    ----------
    head : MaskedLMHead or Unembedding
        Gives logits (..., V) for `hidden`.
    hidden : ndarray, shape (..., d_model)
    targets : ndarray of int, shape (...)
    params : Parameters
    grads : mapping of names to arrays, or None
        The head's gradients are added to it; None: only the loss, keeping nothing.
    normalizer : float
        Number of targets of the whole batch.
    label_smoothing : float
    weight : float
        Of loss and gradient.
    see : callable, optional
        Called with the logits, which are gone afterwards.

    Returns
    -------
    metrics : Metrics
    dhidden : ndarray, the shape of `hidden`, or None without `grads`
    """
    keep = grads is not None
    logits, c_head = head.forward(params, hidden, keep)
    if see is not None:
        see(logits)
    loss_sum, c_loss = cross_entropy(logits, targets, reduction="sum", label_smoothing=label_smoothing)
    n_correct = int((logits.real.argmax(axis=-1) == targets).sum())
    dtype = logits.dtype
    del logits  # (n, V) is large: none is kept longer than it is needed
    dhidden = None
    if keep:
        dlogits = cross_entropy_backward(np.asarray(weight / normalizer, dtype), c_loss)
        del c_loss
        dhidden = head.backward(params, dlogits, c_head, grads)
    value = weight * (loss_sum if np.iscomplexobj(loss_sum) else float(loss_sum))
    return Metrics(value, n_correct, int(np.size(targets))), dhidden
