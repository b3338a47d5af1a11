"""`npformer.check`: the gradient check with everything plugged in that can name a mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import gradcheck
from ..gradcheck import Report
from .expert import recall


def check(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Mapping[str, Any] | Sequence[Any],
    *,
    op: str | None = None,
    wrt: str | Iterable[str] | None = None,
    rng: np.random.Generator | None = None,
    dout: Any = None,
    strict: bool = False,
) -> Report:
    """Check a hand-written backward, and name the mistake in it.

    Parameters
    ----------
    forward, backward : callable
        ``forward(*inputs)`` returns ``(out, cache)`` for a ``backward(dout, cache)``, or `out` alone for a
        ``backward(dout, *inputs)``. Gradients come in the order of the differentiable inputs, or by name.
    inputs : sequence or mapping of str to anything
        The point. Real floating-point arrays are differentiated, everything else is passed on.
    wrt, rng, dout, strict
        As in `npformer.gradcheck.check`.
    op : str, optional
        Which of npformer's ops the forward is ("layer_norm"). Left out, the op is recognised by its output.

    Returns
    -------
    Report
        Each failed input has hypotheses: the name of the mistake, the fact, the typical cause, the fix.

    Raises
    ------
    ValueError, TypeError
        As `npformer.gradcheck.check`.

    Notes
    -----
    The op's backward is replayed with each mistake switched on, alone and in pairs, and the gradients that
    follow are compared with the given ones.

    Examples
    --------
    >>> import numpy as np
    >>> def softmax(x):
    ...     p = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    ...     return p, p
    >>> x = np.random.default_rng(0).standard_normal((3, 4))
    >>> report = check(softmax, lambda dout, p: p * dout, [x])
    >>> report["x"].hypotheses[0].identifier
    'sum-term-missing'
    """
    return gradcheck.check(
        forward, backward, inputs, op=op, wrt=wrt, rng=rng, dout=dout, strict=strict, experts=(recall,)
    )
