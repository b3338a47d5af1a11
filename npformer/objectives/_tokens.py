"""What every objective that predicts tokens has: sums over the targets, and the way back from their loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..functional import cross_entropy, cross_entropy_backward

Array = Any


def at_least_one(n: Any) -> Any:
    """Return a number of targets to divide by; of an array, each of its entries.

    Examples
    --------
    >>> at_least_one(0), at_least_one(np.array([7, 0]))
    (1, array([7, 1]))
    """
    return np.maximum(n, 1) if isinstance(n, np.ndarray) else max(n, 1)


class Metrics(NamedTuple):
    """Sums over targets; add them up over micro-batches, then divide.

    Each is a number or, of an objective of k parts, an array of shape (k,) with an entry for each part, since
    every part has targets of its own to be divided by.

    Examples
    --------
    >>> one = Metrics(6.0, 1, 3) + Metrics(2.0, 1, 1)
    >>> one.loss, one.accuracy
    (2.0, 0.5)
    >>> two = Metrics(np.array([8.0, 3.0]), np.array([2, 5]), np.array([4, 6]))
    >>> two.loss, two.losses, two.accuracies
    (2.5, [2.0, 0.5], [0.5, 0.8333333333333334])
    """

    loss_sum: Any  # of a part, times its weight
    n_correct: Any
    n_targets: Any

    def __add__(self, other: Metrics) -> Metrics:  # type: ignore[override]
        return Metrics(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def loss(self) -> float:
        """Nats per target, added up over the parts; a part without targets has none."""
        return float(np.sum(self.loss_sum / at_least_one(self.n_targets)))

    @property
    def accuracy(self) -> float:
        """Share of the (first part's) targets whose most probable token is the true one."""
        return self.accuracies[0]

    @property
    def losses(self) -> list[float]:
        """Each part's share of `loss`."""
        return list(map(float, np.atleast_1d(self.loss_sum / at_least_one(self.n_targets))))

    @property
    def accuracies(self) -> list[float]:
        """The accuracy of each part."""
        return list(map(float, np.atleast_1d(self.n_correct / at_least_one(self.n_targets))))

    def of_parts(self, names: Sequence[str]) -> dict[str, float]:
        """Return "loss_NAME" and "accuracy_NAME" of each part; nothing without `names`, for one part.

        Examples
        --------
        >>> Metrics(np.array([8.0, 3.0]), np.array([2, 5]), np.array([4, 5])).of_parts(("mlm", "nsp"))
        {'loss_mlm': 2.0, 'accuracy_mlm': 0.5, 'loss_nsp': 0.6, 'accuracy_nsp': 1.0}
        """
        found: dict[str, float] = {}
        for name, loss, accuracy in zip(names, self.losses, self.accuracies, strict=False):
            found |= {f"loss_{name}": loss, f"accuracy_{name}": accuracy}
        return found


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
