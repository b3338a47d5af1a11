"""What classification and tagging share: the weights of classes, and the way back from their loss.

    loss = Σ_i w_(y_i) · -log p_i(y_i)  /  Σ_i w_(y_i)       torch.nn.CrossEntropyLoss's weighted mean

The mean does not depend on the scale of the weights. So they are scaled until the smallest that is not 0 is
1: then no label that counts has a weight below 1, and a sum of weights is a number of targets like any other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..functional import cross_entropy, cross_entropy_backward
from ..models._arguments import integers
from ._tokens import Metrics

Array = Any


def checked_class_weights(objective: str, n_labels: int, class_weights: npt.ArrayLike | None) -> Array | None:
    """Return the weights (n_labels,) as they are used, or None.

    Examples
    --------
    >>> checked_class_weights("SequenceClassification", 3, [0.5, 0.25, 0.0])
    array([2., 1., 0.])
    """
    if isinstance(n_labels, bool) or not isinstance(n_labels, (int, np.integer)) or n_labels < 2:
        raise ValueError(f"{objective}: n_labels: expected an integer from 2 on, got {n_labels!r}")
    if class_weights is None:
        return None
    weights = np.asarray(class_weights, np.float64)
    if weights.shape != (n_labels,):
        raise ValueError(
            f"{objective}: class_weights: expected {n_labels} numbers, one for each label, "
            f"got shape {weights.shape}"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError(
            f"{objective}: class_weights: expected numbers >= 0, one above 0 at least, got {weights.tolist()}"
        )
    return weights / weights[weights > 0].min()


def checked_labels(objective: str, argument: str, labels: npt.ArrayLike, n: int, n_labels: int) -> Array:
    """Return n labels in [0, n_labels)."""
    found = integers(objective, argument, labels, 1, n_labels)
    if len(found) != n:
        raise ValueError(f"{objective}: {argument}: expected {n} labels, got {len(found)}")
    return found


def number_of_targets(labels: Array | None, weights: Array | None) -> Any:
    """Return by what a whole batch's loss is divided: the number of labels, or the sum of their weights."""
    if labels is None:
        return 0
    return int(labels.size) if weights is None else float(weights.sum())


def loss_of_labels(
    logits: Array, labels: Array, weights: Array | None, normalizer: float, keep: bool
) -> tuple[Metrics, Array | None]:
    """Return the weighted sum of the labels' cross entropies, and the gradient of loss / `normalizer`.

    Parameters
    ----------
    logits : ndarray, shape (n, n_labels)
    labels : ndarray of int, shape (n,)
    weights : ndarray, shape (n,), optional
        Of each label; None = all 1.
    normalizer : float
        The sum of the weights over the whole batch.
    keep : bool
        False: only the loss.

    Returns
    -------
    metrics : Metrics
        All three sums are weighted.
    dlogits : ndarray, shape (n, n_labels), or None
    """
    w = np.ones(len(labels)) if weights is None else weights
    w = w.astype(logits.real.dtype)
    losses, c_loss = cross_entropy(logits, labels, reduction="none")
    loss_sum = (w * losses).sum()  # 1
    right = logits.real.argmax(axis=-1) == labels
    n_correct: Any = int(right.sum()) if weights is None else float(weights[right].sum())
    value = loss_sum if np.iscomplexobj(loss_sum) else float(loss_sum)
    metrics = Metrics(value, n_correct, number_of_targets(labels, weights))
    # 1. loss / normalizer = Σ_i w_i · loss_i / normalizer:    dloss_i = w_i / normalizer
    return metrics, cross_entropy_backward(w / float(normalizer), c_loss) if keep else None  # 1
