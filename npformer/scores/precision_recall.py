"""Precision, recall and F1: three ratios of the same three counts.

    precision = correct / predicted      of what was predicted, the share that is right
    recall    = correct / true           of what there is, the share that was found
    F1        = 2 · precision · recall / (precision + recall) = 2 · correct / (predicted + true)

What is counted differs: examples of a class, entities of a type, n-grams of a text.
"""

from __future__ import annotations

from typing import NamedTuple


class PrecisionRecall(NamedTuple):
    """The three counts, and the ratios made of them. A ratio of nothing is 0.

    Two are added count by count, so that `sum`-ming over classes or texts gives the micro average.

    References
    ----------
    van Rijsbergen: Information Retrieval, 2nd edition, 1979, chapter 7: F1 = 1 - E with equal weights.

    Examples
    --------
    >>> found = PrecisionRecall(n_correct=3, n_predicted=4, n_true=6)
    >>> found.precision, found.recall, found.f1
    (0.75, 0.5, 0.6)
    >>> found + PrecisionRecall(1, 1, 1)
    PrecisionRecall(n_correct=4, n_predicted=5, n_true=7)
    """

    n_correct: int
    n_predicted: int
    n_true: int

    def __add__(self, other: PrecisionRecall) -> PrecisionRecall:  # type: ignore[override]
        return PrecisionRecall(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def precision(self) -> float:
        """Share of what was predicted that is right."""
        return self.n_correct / max(self.n_predicted, 1)

    @property
    def recall(self) -> float:
        """Share of what there is that was found."""
        return self.n_correct / max(self.n_true, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.n_correct / max(self.n_predicted + self.n_true, 1)
