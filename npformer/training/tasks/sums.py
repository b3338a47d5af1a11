"""Sums of objectives, as a person writes them: mlm+nsp, mlm+0.5*nsp."""

from __future__ import annotations

import math
import re

_PART = re.compile(r"(?:(\d+(?:\.\d*)?|\.\d+)\*)?([a-z][a-z0-9_]*)")


def weights_of(objective: str) -> dict[str, float]:
    """Return the parts of a sum by name, with their weights; 1 where none is given.

    Parameters
    ----------
    objective : str
        Parts with "+" between them, each NAME or WEIGHT*NAME, the weight a decimal number above 0.

    Raises
    ------
    ValueError
        If it does not read like this, or a name comes twice.

    Examples
    --------
    >>> weights_of("mlm+0.5*nsp"), weights_of("clm")
    ({'mlm': 1.0, 'nsp': 0.5}, {'clm': 1.0})
    """
    found: dict[str, float] = {}
    for part in objective.split("+"):
        match = _PART.fullmatch(part)
        weight = float(match[1] or 1) if match else 0.0
        if match is None or not 0 < weight < math.inf or match[2] in found:
            expected = "NAME or a sum such as mlm+0.5*nsp, each name once, weights above 0"
            raise ValueError(f"objective: expected {expected}, got {objective!r}")
        found[match[2]] = weight
    return found
