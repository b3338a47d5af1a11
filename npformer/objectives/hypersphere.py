"""What sentence vectors of length 1 should be: alike where the sentences are, spread out otherwise.

    alignment    mean of |x - y|² over pairs that belong together
    uniformity   log of the mean of exp(-2 |x - y|²) over all pairs of different sentences

Both are better where they are smaller. Vectors that are all alike are aligned and not uniform: 0 and 0.

References
----------
Wang, Isola: Understanding Contrastive Representation Learning through Alignment and Uniformity on the
Hypersphere, arXiv:2005.10242, section 4.1 (with the exponents α = 2 and t = 2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def alignment(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the mean squared distance of partners, from 0 to 4.

    Parameters
    ----------
    x, y : array_like, shape (N, d)
        Row i of each belong together. They are scaled to length 1 here; a row of zeros stays.

    Returns
    -------
    float
        0 without a pair.

    Examples
    --------
    >>> alignment([[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [1.0, 0.0]])
    1.0
    """
    difference = of_length_1(x) - of_length_1(y)
    return float((difference * difference).sum() / max(len(difference), 1))


def uniformity(x: npt.ArrayLike) -> float:
    """Return how far from evenly spread vectors are, from 0 (all alike) down.

    Parameters
    ----------
    x : array_like, shape (N, d)
        Scaled to length 1 here; a row of zeros stays.

    Returns
    -------
    float
        0 with fewer than two vectors.

    Examples
    --------
    >>> round(uniformity([[1.0, 0.0], [-1.0, 0.0]]), 6)
    -8.0
    """
    x = of_length_1(x)
    N = len(x)
    if N < 2:
        return 0.0
    length = x.any(axis=1).astype(x.dtype)  # 1, of a row of zeros 0
    squared = (length[:, None] + length - 2 * (x @ x.T))[np.triu_indices(N, 1)]
    return float(np.log(np.exp(-2 * squared).mean()))


def of_length_1(x: npt.ArrayLike) -> Array:
    """Return the rows of x, in float64, over their lengths; a row of zeros stays."""
    x = np.asarray(x, np.float64)
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.asarray(x / np.where(length == 0, 1, length))
