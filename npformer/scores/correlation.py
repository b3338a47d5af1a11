"""Correlation of predicted with true numbers: Pearson's, and Spearman's of their ranks."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_numbers, require_same_length


def _deviations(x: Array) -> Array | None:
    """Return (x - mean) / |x - mean|; None where all of `x` are the same number."""
    x = np.ldexp(x, -np.frexp(np.abs(x).max())[1])  # into [-1, 1], exactly: no difference overflows
    d = x - x[0]  # 0 for a constant, and nothing lost where the numbers are close together
    largest = np.abs(d).max()
    if largest == 0:
        return None
    d /= largest  # so that the squares stay in range
    d -= d.mean()
    return d / np.sqrt((d * d).sum())


def _pearson(x: Array, y: Array) -> float:
    u, v = _deviations(x), _deviations(y)
    if u is None or v is None:
        return math.nan
    return float(np.clip(u @ v, -1.0, 1.0))


def pearson(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Pearson's correlation: how close the points (x_i, y_i) are to a straight line.

        r = Σ_i (x_i - x̄) (y_i - ȳ) / √(Σ_i (x_i - x̄)² · Σ_i (y_i - ȳ)²)

    Parameters
    ----------
    x, y : array_like of real numbers, shape (n,), n >= 2

    Returns
    -------
    float
        From -1 to 1. nan where one of the two is constant: a constant correlates with nothing, r is 0 / 0.

    Raises
    ------
    ValueError
        If the lengths differ, there are fewer than two numbers, or one is not finite.
    TypeError
        If there are other things than real numbers.

    References
    ----------
    Pearson: Note on regression and inheritance in the case of two parents, Proceedings of the Royal
    Society of London 58, 1895.

    Examples
    --------
    >>> round(pearson([1, 2, 3, 4], [1, 3, 2, 5]), 6)
    0.831522
    >>> pearson([1, 2, 3], [7, 7, 7])
    nan
    """
    x, y = as_numbers("pearson", "x", x), as_numbers("pearson", "y", y)
    require_same_length("pearson", "y", y, "numbers", "x", x)
    return _pearson(x, y)


def ranks(x: npt.ArrayLike) -> Array:
    """Ranks from 1; equal numbers share the mean of the ranks that they take up.

    Of m equal numbers the last has the rank R = how many numbers are <= them, so they share R - (m - 1) / 2.

    Parameters
    ----------
    x : array_like of real numbers, shape (n,), n >= 2

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    ValueError, TypeError
        As `pearson`.

    Examples
    --------
    >>> ranks([30, 10, 20, 20])
    array([4. , 1. , 2.5, 2.5])
    """
    _, which, m = np.unique(as_numbers("ranks", "x", x), return_inverse=True, return_counts=True)
    R = np.cumsum(m)
    return (R - (m - 1) / 2)[which]


def spearman(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Spearman's correlation: Pearson's of the ranks. How far one number grows with the other.

        ρ = r(ranks(x), ranks(y))

    Parameters
    ----------
    x, y : array_like of real numbers, shape (n,), n >= 2

    Returns
    -------
    float
        From -1 to 1. nan where one of the two is constant.

    Raises
    ------
    ValueError, TypeError
        As `pearson`.

    Notes
    -----
    The short formula 1 - 6 Σ d² / (n (n² - 1)) holds without ties alone; this one holds always.

    References
    ----------
    Spearman: The proof and measurement of association between two things, American Journal of
    Psychology 15, 1904.

    Examples
    --------
    >>> round(spearman([1, 2, 3, 4], [1, 10, 100, 1000]), 6)
    1.0
    >>> round(spearman([1, 2, 3, 4], [1, 3, 3, 2]), 6)  # ranks 1, 3.5, 3.5, 2
    0.316228
    """
    x, y = as_numbers("spearman", "x", x), as_numbers("spearman", "y", y)
    require_same_length("spearman", "y", y, "numbers", "x", x)
    return _pearson(ranks(x), ranks(y))
