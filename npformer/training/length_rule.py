"""What the lengths of a pair's segments give away about its class: a baseline for objectives of pairs.

    feature   tokens of the first segment, of the second, or of both
    rule      feature <= t, and for either answer the share of class 1 among the training pairs that have it

Of all features and thresholds t the one that tells most training pairs right is taken: a decision tree of
depth 1. What a model has learnt of the texts is what it knows beyond that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def lengths_of(mask: Array, segment_ids: Array) -> Array:
    """Return the tokens of the first segment, of the second and of both, marks included, shape (B, 3).

    Examples
    --------
    >>> mask = np.array([[True, True, True, True, True, False]])
    >>> lengths_of(mask, np.array([[0, 0, 0, 1, 1, 0]]))
    array([[3, 2, 5]])
    """
    both = mask.sum(axis=1)
    second = (segment_ids.astype(bool) & mask).sum(axis=1)
    return np.stack([both - second, second, both], axis=1)


@dataclass(frozen=True)
class LengthRule:
    """A threshold on a length, learnt with `learn`."""

    feature: int  # column of `lengths_of`
    threshold: int
    shares: tuple[float, float]  # of class 1 up to the threshold, and above it

    @classmethod
    def learn(cls, lengths: Array, classes: Array) -> LengthRule:
        """Return the rule that tells most of some pairs right, of equals the first.

        Parameters
        ----------
        lengths : ndarray of int, shape (N, 3)
        classes : ndarray of int, shape (N,)
            0 or 1. N is at least 1.

        Examples
        --------
        >>> lengths = np.array([[2, 2, 4], [2, 3, 5], [2, 7, 9], [2, 8, 10]])
        >>> rule = LengthRule.learn(lengths, np.array([0, 0, 1, 1]))
        >>> rule.feature, rule.threshold, rule.shares
        (1, 3, (0.25, 0.75))
        """
        best: tuple[int, LengthRule] | None = None
        for feature, x in enumerate(lengths.T):
            of_class = [np.bincount(x[classes == k], minlength=x.max() + 1) for k in (0, 1)]
            below = [np.cumsum(counts) for counts in of_class]  # up to each threshold
            above = [counts[-1] - counts for counts in below]
            right = np.maximum(*below) + np.maximum(*above)
            t = int(right.argmax())
            # (n_1 + 1) / (n + 2), Laplace's rule of succession: never 0, so that no loss is infinite.
            shares = tuple(float((n1[t] + 1) / (n0[t] + n1[t] + 2)) for n0, n1 in (below, above))
            if best is None or right[t] > best[0]:
                best = int(right[t]), cls(feature, t, (shares[0], shares[1]))
        assert best is not None
        return best[1]

    def score(self, lengths: Array, classes: Array) -> tuple[float, float]:
        """Return the mean loss in nats on some pairs, and the share that is told right."""
        above = (lengths[:, self.feature] > self.threshold).astype(int)
        p = np.array(self.shares)[above]
        of_class = np.where(classes == 1, p, 1 - p)
        return float(-np.log(of_class).mean()), float(((p > 0.5) == (classes == 1)).mean())
