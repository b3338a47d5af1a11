"""Learning rates that change with the step: warm-up, then constant, linear, cosine or square-root decay.

With W = warmup_steps, N = total_steps and steps s counted from 0,

    s < W:         lr · (s + 1) / (W + 1)                                  warm-up, straight to lr at step W
    W <= s < N:    lr                                                      constant
                   final_lr + (lr - final_lr) · (1 - p)                    linear      p = (s - W) / (N - W)
                   final_lr + (lr - final_lr) · (1 + cos(π · p)) / 2       cosine
    s >= N:        final_lr
    s >= W:        lr · sqrt((W + 1) / (s + 1))                            noam, which has no end

No step is wasted: the first already has a rate above 0, and the last, s = N - 1, still one above final_lr.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ._arguments import bad_value, require_count, require_number

Schedule = Callable[[int], float]


def constant(lr: float, warmup_steps: int = 0) -> Schedule:
    """The same rate throughout, after a linear warm-up.

    Parameters
    ----------
    lr : float
        The rate from step `warmup_steps` on.
    warmup_steps : int
        How many steps come before it.

    Returns
    -------
    callable
        From a step, counted from 0, to its learning rate.

    Raises
    ------
    ValueError, TypeError
        If a number is negative, not finite or not of its kind.

    Examples
    --------
    >>> rate = constant(0.4, warmup_steps=3)
    >>> [round(rate(s), 6) for s in (0, 1, 2, 3, 1000)]
    [0.1, 0.2, 0.3, 0.4, 0.4]
    """
    lr = require_number("constant", "lr", lr, 0.0)
    warmup_steps = require_count("constant", "warmup_steps", warmup_steps, 0)

    def rate(step: int) -> float:
        step = require_count("constant", "step", step, 0)
        return _warmup(lr, step, warmup_steps) if step < warmup_steps else lr

    return rate


def linear(lr: float, total_steps: int, warmup_steps: int = 0, final_lr: float = 0.0) -> Schedule:
    """Linear warm-up to `lr`, then straight to `final_lr`.

    Parameters
    ----------
    lr : float
        The peak, at step `warmup_steps`.
    total_steps : int
        From this step on the rate is `final_lr`; the last step of a run of this length is total_steps - 1.
    warmup_steps : int
        At most `total_steps`.
    final_lr : float

    Returns
    -------
    callable
        From a step, counted from 0, to its learning rate.

    Raises
    ------
    ValueError, TypeError
        If a number is negative, not finite or not of its kind, or the warm-up is longer than the run.

    Examples
    --------
    >>> rate = linear(0.4, total_steps=7, warmup_steps=3)
    >>> [round(rate(s), 6) for s in range(9)]
    [0.1, 0.2, 0.3, 0.4, 0.3, 0.2, 0.1, 0.0, 0.0]
    """
    lr, total_steps, warmup_steps, final_lr = _checked("linear", lr, total_steps, warmup_steps, final_lr)

    def rate(step: int) -> float:
        step = require_count("linear", "step", step, 0)
        if step < warmup_steps:
            return _warmup(lr, step, warmup_steps)
        if step >= total_steps:
            return final_lr
        p = (step - warmup_steps) / (total_steps - warmup_steps)
        return final_lr + (lr - final_lr) * (1 - p)

    return rate


def cosine(lr: float, total_steps: int, warmup_steps: int = 0, final_lr: float = 0.0) -> Schedule:
    """Linear warm-up to `lr`, then half a cosine down to `final_lr`.

    Parameters, errors and result are those of `linear`.

    References
    ----------
    Loshchilov, Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts, arXiv:1608.03983,
    equation 5, without restarts.

    Examples
    --------
    >>> rate = cosine(0.4, total_steps=7, warmup_steps=3)
    >>> [round(rate(s), 6) for s in range(9)]
    [0.1, 0.2, 0.3, 0.4, 0.341421, 0.2, 0.058579, 0.0, 0.0]
    """
    lr, total_steps, warmup_steps, final_lr = _checked("cosine", lr, total_steps, warmup_steps, final_lr)

    def rate(step: int) -> float:
        step = require_count("cosine", "step", step, 0)
        if step < warmup_steps:
            return _warmup(lr, step, warmup_steps)
        if step >= total_steps:
            return final_lr
        p = (step - warmup_steps) / (total_steps - warmup_steps)
        return final_lr + (lr - final_lr) * ((1 + math.cos(math.pi * p)) / 2)

    return rate


def noam(lr: float, warmup_steps: int) -> Schedule:
    """Linear warm-up to `lr`, then down with the square root of the step, however long the run is.

    The paper's rate is that of ``lr=(d_model * (warmup_steps + 1)) ** -0.5``.

    Parameters, errors and result are those of `constant`.

    References
    ----------
    Vaswani et al.: Attention Is All You Need, arXiv:1706.03762, equation 3. The name is Noam Shazeer's.

    Examples
    --------
    >>> rate = noam(0.4, warmup_steps=3)
    >>> [round(rate(s), 6) for s in (0, 1, 2, 3, 15, 63)]
    [0.1, 0.2, 0.3, 0.4, 0.2, 0.1]
    """
    lr = require_number("noam", "lr", lr, 0.0)
    warmup_steps = require_count("noam", "warmup_steps", warmup_steps, 0)

    def rate(step: int) -> float:
        step = require_count("noam", "step", step, 0)
        if step < warmup_steps:
            return _warmup(lr, step, warmup_steps)
        return lr * math.sqrt((warmup_steps + 1) / (step + 1))

    return rate


def _warmup(lr: float, step: int, warmup_steps: int) -> float:
    return lr * (step + 1) / (warmup_steps + 1)


def _checked(
    op: str, lr: float, total_steps: int, warmup_steps: int, final_lr: float
) -> tuple[float, int, int, float]:
    lr = require_number(op, "lr", lr, 0.0)
    total_steps = require_count(op, "total_steps", total_steps, 1)
    warmup_steps = require_count(op, "warmup_steps", warmup_steps, 0)
    if warmup_steps > total_steps:
        bad_value(op, "warmup_steps", f"at most total_steps = {total_steps}", warmup_steps)
    return lr, total_steps, warmup_steps, require_number(op, "final_lr", final_lr, 0.0)
