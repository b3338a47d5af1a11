"""Scores of several seeds: mean and standard deviation, and how far one group is above another."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_numbers


class MeanStd(NamedTuple):
    """Mean and sample standard deviation."""

    mean: float
    std: float


class _Moments(NamedTuple):
    """The mean, and d_i = (x_i - mean) / 2^e, which stay in range whatever the numbers are."""

    mean: float
    d: Array
    e: int


def _moments(score: str, argument: str, values: npt.ArrayLike) -> _Moments:
    x = as_numbers(score, argument, values)
    e = int(np.frexp(np.abs(x).max())[1])
    x = np.ldexp(x, -e)  # into [-1, 1], exactly
    d = x - x[0]  # equal values have exactly no spread
    shift = d.mean()
    d -= shift
    return _Moments(math.ldexp(float(x[0] + shift), e), d, e)


def _within(*groups: _Moments) -> float:
    """Return √(Σ (x_i - mean)² / Σ (n - 1)), the sums over all groups."""
    largest = [e + int(np.frexp(np.abs(d).max())[1]) for _, d, e in groups if d.any()]
    if not largest:
        return 0.0
    most = max(largest)  # no deviation is larger than 2^most: the squares of what is left stay in range
    squares = sum(float((np.ldexp(d, e - most) ** 2).sum()) for _, d, e in groups)
    std = math.sqrt(squares / sum(len(d) - 1 for _, d, _ in groups))
    with np.errstate(over="ignore"):  # of the largest floats the deviation may be none
        return float(np.ldexp(std, most))


def mean_and_std(values: npt.ArrayLike) -> MeanStd:
    """Mean and sample standard deviation: x̄ = Σ x_i / n and s = √(Σ (x_i - x̄)² / (n - 1)).

    Parameters
    ----------
    values : array_like of real numbers, shape (n,), n >= 2
        Such as the scores of a run's seeds.

    Returns
    -------
    MeanStd

    Raises
    ------
    ValueError
        If there are fewer than two numbers, or one is not finite.
    TypeError
        If there are other things than real numbers.

    Examples
    --------
    >>> mean, std = mean_and_std([90, 92, 97])
    >>> round(mean, 4), round(std, 4)
    (93.0, 3.6056)
    """
    moments = _moments("mean_and_std", "values", values)
    return MeanStd(moments.mean, _within(moments))


def pooled_std(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Standard deviation within two groups, each around its own mean.

        s = √((Σ (a_i - ā)² + Σ (b_i - b̄)²) / (n_a + n_b - 2))

    Parameters
    ----------
    a, b : array_like of real numbers, shapes (n_a,) and (n_b,), both >= 2

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        As `mean_and_std`.

    References
    ----------
    Cohen: Statistical Power Analysis for the Behavioral Sciences, 2nd edition, 1988, section 2.5.

    Examples
    --------
    >>> round(pooled_std([90, 92, 97], [80, 81]), 4)  # √((26 + 0.5) / 3)
    2.9721
    """
    return _within(_moments("pooled_std", "a", a), _moments("pooled_std", "b", b))


def pooled_deviations(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """By how many pooled standard deviations the mean of `a` is above that of `b`: (ā - b̄) / s.

    Parameters
    ----------
    a, b : array_like of real numbers, shapes (n_a,) and (n_b,), both >= 2

    Returns
    -------
    float
        Negative where `a` is below. Without any spread, infinite; or nan where the means are equal, too.

    Raises
    ------
    ValueError, TypeError
        As `mean_and_std`.

    References
    ----------
    Cohen 1988 (see `pooled_std`): his d.

    Examples
    --------
    >>> round(pooled_deviations([90, 92, 97], [80, 81]), 4)
    4.2058
    """
    difference = _moments("pooled_deviations", "a", a).mean - _moments("pooled_deviations", "b", b).mean
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.float64(difference) / pooled_std(a, b))
