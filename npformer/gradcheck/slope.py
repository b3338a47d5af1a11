"""The derivative of a function of one number: a wide central stencil that chooses its own step.

Along one entry, the change of the output dotted with the cotangent is a function of one number,

    s(t) = Σ dout · (f(x + t·e) - f(x))                        s(0) = 0

and the wanted gradient is s'(0). The 9-point central stencil of step h,

    g(h) = (4/5 D₁ - 1/5 D₂ + 4/105 D₃ - 1/280 D₄) / h         D_k = s(k·h) - s(-k·h)

has an error of order h⁸ (truncation) + rounding / h. A good h depends on how fast f bends, which
nobody knows beforehand: so h starts at 3.5e-2 and is halved, and of all the h tried the one with the
smallest |g(h) - g(h/2)| is taken; that difference is the error estimate. g(h/2) needs four new values of
f, since D₁ and D₂ of h are D₂ and D₄ of h/2; and as soon as the difference is rounding, halving stops.

The even part of the same values tells a kink from a smooth point. Where s has the slope r to the right
and l to the left, E_k = s(k·h) + s(-k·h) starts with (r - l)·k·h; where s is smooth it has only even powers:

    jump(h) = (14/5 E₁ - 7/5 E₂ + 2/5 E₃ - 1/20 E₄) / h  =  (r - l) + order h⁷
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

ODD = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
EVEN = (14 / 5, -7 / 5, 2 / 5, -1 / 20)
STENCIL = (-4, -3, -2, -1, 1, 2, 3, 4)  # the k whose s(k·h) it reads

FIRST_STEP = 9 / 256  # 3.5e-2 with four significant bits, so that k·h and (almost always) x + k·h are exact
OTHER_STEP = 13 / 512  # 2.5e-2, as exact: none of its halves is one of the first's
EPS = float(np.finfo(np.float64).eps)
HALVINGS = 5  # always granted; more only where the result is still poor
NARROWEST = FIRST_STEP / 2**20  # 3e-8: a narrower step would measure rounding
CONVERGED = 3e-13  # |g(h) - g(h/2)| of the scale: g(h/2) is then far better than that
POOR = 1e-11
AGREED, APART = 1e-3, 1e-2  # of the scale
NO_JUMP = 1e-8
CLEAR, TWICE = 1e3, 0.05  # roundings; of the value at half the step
ROUNDING = 8.0  # how much more than one rounding of every output is still rounding: sums of a few products


class Slope(NamedTuple):
    """The derivative of a function of one number at 0."""

    value: float
    error: float  # estimate of |value - true|
    jump: float  # right slope - left slope; 0.0 where the function is smooth
    step: float = math.nan  # of the stencil that was chosen

    @property
    def left(self) -> float:
        """The slope to the left."""
        return self.value - self.jump / 2

    @property
    def right(self) -> float:
        """The slope to the right."""
        return self.value + self.jump / 2


class _Rung(NamedTuple):
    """What comparing the stencils of steps h and h/2 gave."""

    h: float
    value: float  # g(h/2)
    difference: float  # |g(h) - g(h/2)|, at least the rounding to expect
    rounding: float
    jump: float  # of h/2
    kinked: bool  # is the jump more than truncation and rounding?


def slope(
    s: Callable[[float], float], noise: float, scale: float = 0.0, at: float = 0.0, first: float = FIRST_STEP
) -> Slope:
    """Differentiate `s` at 0, where s(0) = 0, choosing the step.

    Parameters
    ----------
    s : callable
        Of one float; a value that is not finite counts as out of reach.
    noise : float
        Rounding error to expect in one value of `s`.
    scale : float
        A slope this large is usual here; errors are judged against the larger of it and the result.
    at : float
        The entry that `s` changes. Where it is large, its own rounding counts as well, and the step may grow
        up to a part of it.
    first : float
        The widest step, of few significant bits.

    Returns
    -------
    Slope

    Examples
    --------
    >>> round(slope(lambda t: math.exp(t) - 1, noise=1e-16).value, 12)
    1.0
    >>> kink = slope(lambda t: max(t, 0.0), noise=1e-16)
    >>> kink.left, kink.right
    (0.0, 1.0)
    """
    seen: dict[float, float] = {}

    def value_at(t: float) -> float:
        if t not in seen:
            seen[t] = s(t)
        return seen[t]

    def rung(h: float) -> _Rung:
        wide, _ = _odd_and_even(value_at, h)
        value, jump = _odd_and_even(value_at, h / 2)
        rounding = (noise + EPS * abs(at) * max(scale, abs(value))) / h
        difference = max(abs(wide - value), rounding)
        if not (math.isfinite(difference) and math.isfinite(jump)):
            return _Rung(h, math.nan, math.inf, 0.0, 0.0, False)
        own = EPS * max(abs(value_at(4 * h)), abs(value_at(-4 * h))) / h  # of s: all there is where f(x) is 0
        allowed = max(NO_JUMP * max(scale, abs(value), abs(jump)), 64 * max(rounding, own), 16 * difference)
        return _Rung(h, value, difference, rounding, jump, abs(jump) > allowed)

    def good_to(part: float) -> bool:
        return any(not r.kinked and r.difference <= part * max(scale, abs(r.value)) for r in rungs)

    def departs(new: _Rung) -> bool:
        """Did three wider steps agree, and this one is far off? Then it sees the digits of the outputs."""
        wider = [r for r in rungs[_jumps(rungs) : -1] if not r.kinked and math.isfinite(r.value)]
        if len(wider) < 3 or not math.isfinite(new.value):
            return False
        best = min(wider, key=lambda r: r.difference).value
        usual = max(scale, abs(best))
        agree = sum(abs(r.value - best) <= AGREED * usual for r in wider) >= 3
        return agree and abs(new.value - best) > APART * usual

    rungs: list[_Rung] = []  # from the widest step to the narrowest
    rising = 0  # how often in a row a narrower step was worse, as it is when rounding rules
    h = first
    while h >= NARROWEST:
        new = rung(h)
        worse = bool(rungs) and rungs[-1].difference < new.difference < 1e-3 * abs(new.value)
        rising = rising + 1 if worse and not new.kinked else 0
        rungs.append(new)
        if good_to(CONVERGED) or (not new.kinked and new.difference <= ROUNDING * new.rounding):
            break
        if len(rungs) >= HALVINGS and (good_to(POOR) or rising > 1):
            break
        if len(rungs) > HALVINGS and departs(new):
            break
        if len(rungs) >= HALVINGS and all(r.kinked for r in rungs):  # a kink: look whether it stays one
            rungs.append(rung(NARROWEST))
            if rungs[-1].kinked and abs(rungs[-1].jump) > abs(new.jump) / 2:
                break
            rungs.pop()
        h /= 2

    h = 2 * first
    while 4 * h <= abs(at) < math.inf and not rungs[0].kinked and not good_to(CONVERGED):
        new = rung(h)
        rungs.insert(0, new)
        if new.difference > 2 * rungs[1].difference:
            break
        h *= 2
    return _choose(rungs)


def wide_slope(s: Callable[[float], float], step: float = FIRST_STEP) -> float:
    """The derivative of `s` at 0 by the stencil of one step alone, by default the widest.

    Parameters
    ----------
    s : callable
        Of one float.
    step : float
        E.g. what `slope` chose for a function that bends about as much.

    Returns
    -------
    float

    Examples
    --------
    >>> round(wide_slope(math.sin), 9)
    1.0
    """
    return _odd_and_even(s, step)[0]


def _odd_and_even(s: Callable[[float], float], h: float) -> tuple[float, float]:
    """g(h) and jump(h) of the module's docstring."""
    odd = even = 0.0
    for k in (1, 2, 3, 4):
        right, left = s(k * h), s(-k * h)
        odd += ODD[k - 1] * (right - left)
        even += EVEN[k - 1] * (right + left)
    return odd / h, even / h


def _jumps(rungs: list[_Rung]) -> int:
    """How many of the widest rungs see a jump alone, which is 1/h in each: a norm of 1e-6 turned round.

    They agree with each other as far as a much larger slope elsewhere is concerned, and say nothing of this.
    """
    count = 0
    for wide, narrow in itertools.pairwise(rungs):
        clear = abs(wide.value) > CLEAR * wide.rounding
        if not (clear and abs(narrow.value - 2 * wide.value) <= TWICE * abs(narrow.value)):
            break
        count += 1
    return count if count >= 3 else 0


def _choose(rungs: list[_Rung]) -> Slope:
    """The best of the rungs, which stand from the widest step to the narrowest.

    Of many differences one may be small by luck. Rounding grows as 1/h, so that a narrower rung's difference
    times its step bounds it: the error of a rung is at least that over its own step.
    """
    last = rungs[-1]
    if last.kinked and last.h <= NARROWEST:
        best = min((r for r in rungs if r.kinked), key=lambda r: r.difference)
        return Slope(best.value, best.difference, best.jump, best.h / 2)
    chosen, error, rounding = last, math.inf, 0.0
    jumps = _jumps(rungs)
    if jumps and jumps == len(rungs) - 1:  # the last sees it, too: it is there, and there is no slope
        return Slope(rungs[0].value, last.difference, 0.0, rungs[0].h / 2)
    for r in reversed(rungs[jumps:]):
        if r.kinked or not math.isfinite(r.difference):
            continue
        rounding = max(rounding, r.difference * r.h)
        if rounding / r.h < error:
            chosen, error = r, rounding / r.h
    return Slope(chosen.value, error, 0.0, chosen.h / 2)
