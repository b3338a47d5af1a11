"""One vector for a text: the mean of the outputs of its real tokens.

    n_b      = Σ_t mask_bt                      real tokens of text b
    pooled_b = Σ_t mask_bt · hidden_bt / n_b    padding has no say, neither in the sum nor in n_b

A text that is nothing but padding has the mean 0.
"""

from __future__ import annotations

import numpy as np

from .parameters import Array


def mean_pooled(hidden: Array, mask: Array) -> tuple[Array, Array]:
    """Return the mean of each text's outputs, and what the backward needs.

    Parameters
    ----------
    hidden : ndarray, shape (B, T, d_model)
    mask : ndarray of bool, shape (B, T)
        True = a real token.

    Returns
    -------
    pooled : ndarray, shape (B, d_model)
    weights : ndarray, shape (B, T)
        1 / n_b at the real tokens, 0 elsewhere.

    References
    ----------
    Reimers, Gurevych: Sentence-BERT, arXiv:1908.10084, section 3 (pooling).

    Examples
    --------
    >>> hidden = np.array([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]]])
    >>> pooled, weights = mean_pooled(hidden, np.array([[True, True, False]]))
    >>> pooled, weights
    (array([[2., 4.]]), array([[0.5, 0.5, 0. ]]))
    """
    n = np.maximum(mask.sum(axis=1, keepdims=True), 1)
    weights = (mask / n).astype(hidden.dtype)  # (B, T)
    return (weights[:, None, :] @ hidden)[:, 0], weights  # 1


# The backward.
#
#   1. pooled_b = Σ_t w_bt hidden_bt, and w_bt = mask_bt / n_b is a constant:   dhidden_bt = w_bt · dpooled_b
#      so every real token gets the same share, and padding exactly nothing.
def mean_pooled_backward(dpooled: Array, weights: Array) -> Array:
    """Return the gradient of `mean_pooled` with respect to `hidden`, (B, T, d_model).

    Examples
    --------
    >>> mean_pooled_backward(np.array([[4.0, 8.0]]), np.array([[0.5, 0.5, 0.0]]))
    array([[[2., 4.],
            [2., 4.],
            [0., 0.]]])
    """
    dhidden: Array = weights[:, :, None] * dpooled[:, None, :]  # 1
    return dhidden
