"""What the arrays alone tell of a mistake: no knowledge of the op is used here.

a is the given gradient, n the numeric one, e = a - n the error. Every detector looks for one relation that
holds for all entries with at most a few free numbers, and says nothing otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..verdicts import Evidence, Hypothesis
from .relations import relations
from .structure import structure

__all__ = ["recognise"]


def recognise(evidence: Evidence) -> Mapping[str, Sequence[Hypothesis]]:
    """Return what the arrays tell of every wrong gradient: a relation, or where the error sits.

    Examples
    --------
    >>> import numpy as np
    >>> from npformer.gradcheck import check
    >>> x = np.random.default_rng(0).standard_normal((3, 4))
    >>> report = check(lambda x: (x**2, x), lambda dout, x: dout * x, [x])
    >>> report["x"].hypotheses[0].identifier, report["x"].hypotheses[0].fact
    ('scaled', 'The given gradient of x is 0.5 times the numeric one: 1/2, everywhere.')
    """
    found = {}
    for name in evidence.wrong:
        found[name] = relations(evidence, name) or structure(evidence, name)
    return found
