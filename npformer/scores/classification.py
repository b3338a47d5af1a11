"""Scores of predicted classes: accuracy, the confusion matrix, F1 of each class, macro-F1, Matthews.

All are read off the confusion matrix C: C[i, j] examples of class i were predicted as class j.

    s   = Σ_ij C[i, j]      examples            t_k = Σ_j C[k, j]      of class k
    c   = Σ_k C[k, k]       right ones          p_k = Σ_i C[i, k]      predicted as class k

The classes are the labels that occur in the truth or among the predictions, as in scikit-learn.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ._arguments import Array, Labels, label_pair
from .precision_recall import PrecisionRecall


class Confusion(NamedTuple):
    """A confusion matrix and the labels of its rows and columns."""

    labels: tuple[Any, ...]  # K of them, sorted
    matrix: Array  # (K, K) of int64: rows are true, columns predicted


def _confusion(score: str, truth: Labels, predicted: Labels) -> Confusion:
    truth, predicted = label_pair(score, truth, predicted)
    labels = sorted({*truth, *predicted})
    K = len(labels)
    number = {label: k for k, label in enumerate(labels)}
    cells = [number[i] * K + number[j] for i, j in zip(truth, predicted, strict=True)]
    return Confusion(tuple(labels), np.bincount(cells, minlength=K * K).reshape(K, K))


def confusion_matrix(truth: Labels, predicted: Labels) -> Confusion:
    """How often each class was predicted as each.

    Parameters
    ----------
    truth, predicted : sequences of strings or of integers, of one length
        The label of each example, and the one given to it. True and False count as 1 and 0.

    Returns
    -------
    Confusion
        `labels`, sorted, and `matrix`: row i, column j counts the examples of class i predicted as class j.

    Raises
    ------
    ValueError
        If there are no labels, or not equally many on both sides.
    TypeError
        If a label is neither string nor integer, or both kinds occur.

    Examples
    --------
    >>> labels, matrix = confusion_matrix(["cat", "cat", "dog", "cow"], ["cat", "dog", "dog", "dog"])
    >>> labels
    ('cat', 'cow', 'dog')
    >>> matrix
    array([[1, 0, 1],
           [0, 0, 1],
           [0, 0, 1]])
    """
    return _confusion("confusion_matrix", truth, predicted)


def accuracy(truth: Labels, predicted: Labels) -> float:
    """Share of the examples whose label is right: c / s.

    Parameters
    ----------
    truth, predicted : sequences of strings or of integers, of one length

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError, TypeError
        As `confusion_matrix`.

    Examples
    --------
    >>> accuracy(["cat", "cat", "dog", "cow"], ["cat", "dog", "dog", "dog"])
    0.5
    """
    truth, predicted = label_pair("accuracy", truth, predicted)
    return sum(a == b for a, b in zip(truth, predicted, strict=True)) / len(truth)


def _scores_of_classes(score: str, truth: Labels, predicted: Labels) -> dict[Any, PrecisionRecall]:
    labels, C = _confusion(score, truth, predicted)
    counts = zip(C.diagonal().tolist(), C.sum(axis=0).tolist(), C.sum(axis=1).tolist(), strict=True)
    return {label: PrecisionRecall(*three) for label, three in zip(labels, counts, strict=True)}


def class_scores(truth: Labels, predicted: Labels) -> dict[Any, PrecisionRecall]:
    """Precision C[k, k] / p_k, recall C[k, k] / t_k and F1 2 C[k, k] / (p_k + t_k) of each class k.

    Parameters
    ----------
    truth, predicted : sequences of strings or of integers, of one length

    Returns
    -------
    dict of label to PrecisionRecall
        Sorted by label. The precision of a class that was never predicted is 0, as is the recall of one
        that never occurs.

    Raises
    ------
    ValueError, TypeError
        As `confusion_matrix`.

    Examples
    --------
    >>> scores = class_scores(["cat", "cat", "dog", "cow"], ["cat", "dog", "dog", "dog"])
    >>> scores["dog"]
    PrecisionRecall(n_correct=1, n_predicted=3, n_true=1)
    >>> scores["dog"].recall, scores["dog"].f1, scores["cow"].precision
    (1.0, 0.5, 0.0)
    """
    return _scores_of_classes("class_scores", truth, predicted)


def macro_f1(truth: Labels, predicted: Labels) -> float:
    """Mean of the classes' F1, each class counting the same: Σ_k F1_k / K.

    Parameters
    ----------
    truth, predicted : sequences of strings or of integers, of one length

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError, TypeError
        As `confusion_matrix`.

    Notes
    -----
    K counts the classes that occur on either side. It is the mean of F1, not the F1 of the mean precision
    and recall; the two differ (Opitz, Burst: Macro F1 and Macro F1, arXiv:1911.03347).

    Examples
    --------
    >>> round(macro_f1(["cat", "cat", "dog", "cow"], ["cat", "dog", "dog", "dog"]), 6)  # of 2/3, 0 and 1/2
    0.388889
    """
    scores = _scores_of_classes("macro_f1", truth, predicted).values()
    return sum(score.f1 for score in scores) / len(scores)


def matthews(truth: Labels, predicted: Labels) -> float:
    """Matthews' correlation coefficient of truth and prediction, for any number of classes.

        R_K = (c s - Σ_k p_k t_k) / √((s² - Σ_k p_k²) (s² - Σ_k t_k²))

    which for two classes is (TP · TN - FP · FN) / √((TP + FP) (TP + FN) (TN + FP) (TN + FN)).

    Parameters
    ----------
    truth, predicted : sequences of strings or of integers, of one length

    Returns
    -------
    float
        1 where all is right, 0 where the prediction tells nothing of the truth. It is 0, too, where one of
        the two has a single class, whose correlation is 0 / 0.

    Raises
    ------
    ValueError, TypeError
        As `confusion_matrix`.

    References
    ----------
    Matthews: Comparison of the predicted and observed secondary structure of T4 phage lysozyme, BBA
    Protein Structure 405, 1975. Gorodkin: Comparing two K-category assignments by a K-category correlation
    coefficient, Computational Biology and Chemistry 28, 2004.

    Examples
    --------
    >>> round(matthews([1, 1, 1, 0, 0], [1, 1, 0, 0, 1]), 6)  # (2 · 1 - 1 · 1) / √(3 · 3 · 2 · 2)
    0.166667
    >>> round(matthews(["cat", "cat", "dog", "cow"], ["cat", "dog", "dog", "dog"]), 6)  # 3 / √60
    0.387298
    """
    C = _confusion("matthews", truth, predicted).matrix
    # Python's integers have no largest: s⁴ is below the root
    s, c = int(C.sum()), int(C.trace())
    t, p = C.sum(axis=1).tolist(), C.sum(axis=0).tolist()
    covariance = c * s - sum(p_k * t_k for p_k, t_k in zip(p, t, strict=True))
    variances = (s * s - sum(p_k * p_k for p_k in p)) * (s * s - sum(t_k * t_k for t_k in t))
    return covariance / math.sqrt(variances) if variances else 0.0
