"""The numeric gradient a given one is held against: stencil and complex step together, and kinks.

The stencil always runs: it works for any code, knows its error and sees kinks. Where the code runs in complex
too and agrees with the stencil within the stencil's error, the complex step is the reference, since it is a
hundred times sharper. Code that drops the imaginary part raises; code that drops it in one branch, or takes
another branch for complex numbers, disagrees, however small the part that is lost (a regulariser of 1e-8 by
np.linalg.norm): the stencil is the reference then. Two steps may agree by luck, so where the two derivatives
differ the stencil is asked again with steps that it has not seen, and differs as much from itself, or not.
Unless a far narrower difference sides with the complex step, or the stencil itself is good for nothing: the
function then varies faster than the stencil can follow. Or the outputs go in stairs (scores with -1e9 added
have seven digits left), where the stencil of the widest step decides. A gradient of zero has no size that an
error could be held against: there the rounding of the outputs is no reason to distrust the stencil.

Where the stencil leaves the domain of the function (sqrt at 1e-7), the complex step stands for it, if it
agrees with the stencil elsewhere, and with a step much smaller than the entry there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .derivative import complex_step_gradient, fresh, stencil_gradient, stencil_slope, widened
from .slope import EPS, FIRST_STEP, NARROWEST, OTHER_STEP, wide_slope
from .verdicts import Reference, digits_lost

Array = npt.NDArray[Any]

KINK_STEP = 2.0**-20  # 1e-6: as near as one output's slope is still good to four digits
NARROW_STEP = 2.0**-24  # 6e-8
TINY_STEP = 2.0**-30  # 1e-9
MOVES = 1e-6  # of an output at the widest step: TINY_STEP moves it by 3e-14 then, a hundred roundings
STAIRS = 1e-4  # of the largest slope: what stairs leave of the widest stencil
AGREES = 30.0  # of the stencil's estimated error
ROUNDED = 1e-13  # of the largest slope
VAGUE = 0.01  # of the largest slope: a stencil with such errors has nothing to say against the complex step
ROUNDINGS = 100.0  # of the outputs, in the difference of two of them
NEAR = 2.0**-12  # of an entry
NEAR_AGREES = 1e-3


def reference(
    f: Callable[..., npt.ArrayLike], inputs: Mapping[str, Any], name: str, dout: Array
) -> Reference:
    """The best numeric gradient of Σ dout · f(**inputs) with respect to `inputs[name]`.

    Parameters
    ----------
    f, inputs, name, dout
        As in `numeric_gradient`.

    Returns
    -------
    Reference

    Examples
    --------
    >>> import numpy as np
    >>> reference(lambda x: x * x, {"x": np.array([3.0])}, "x", np.ones(1)).method
    'complex step'
    >>> abs_at_0 = reference(lambda x: np.abs(x), {"x": np.zeros(1)}, "x", np.ones(1))
    >>> abs_at_0.method, abs_at_0.low.round(4), abs_at_0.high.round(4)
    ('9-point stencil', array([-1.]), array([1.]))
    """
    d = stencil_gradient(f, inputs, name, dout)
    kinks = d.jump != 0
    method, gradient = "9-point stencil", d.gradient
    try:
        sharp = complex_step_gradient(f, inputs, name, dout)
    except TypeError:
        sharp = None
    if sharp is not None:
        outside = ~kinks & ~(np.isfinite(d.gradient) & np.isfinite(d.error))  # of the function's domain
        smooth = ~kinks & ~outside
        scale = float(np.max(np.abs(sharp[smooth]), initial=0.0))
        allowed = AGREES * d.error[smooth] + ROUNDED * scale
        with np.errstate(invalid="ignore"):
            agrees = np.abs(sharp - d.gradient)[smooth] <= allowed
        disputed = np.argwhere(smooth)[~agrees]
        vague = np.full(sharp.shape, VAGUE * float(np.max(np.abs(d.gradient[smooth]), initial=0.0)))
        if disputed.size:
            vague += _rounding(f, inputs, name, dout)
        if (
            np.isfinite(sharp[smooth]).all()
            and (smooth.any() or not outside.any())
            and all(
                d.error[where] > vague[where]
                or _within_its_luck(f, inputs, name, dout, where, sharp[where], d.gradient[where], scale)
                or _sides_with(sharp[where], d.gradient[where], _narrow_slope(f, inputs, name, dout, where))
                or _in_stairs(f, inputs, name, dout, where, sharp[where], scale)
                for where in map(tuple, disputed.tolist())
            )
        ):
            method, gradient = "complex step", np.where(smooth, sharp, d.gradient)
            for where in map(tuple, np.argwhere(outside).tolist()):
                if _stays_inside(f, inputs, name, dout, where, sharp[where]):
                    gradient[where] = sharp[where]
    low, high = gradient.copy(), gradient.copy()
    for where in map(tuple, np.argwhere(kinks).tolist()):
        low[where], high[where] = _slopes_at_a_kink(f, inputs, name, dout, where)
    return Reference(method, gradient, d.error, low, high, kinks)


def _rounding(f: Callable[..., npt.ArrayLike], inputs: Mapping[str, Any], name: str, dout: Array) -> Array:
    """The error per entry that a stencil may have by rounding alone, of a gradient that is zero as well."""
    base = widened(inputs, name)
    with np.errstate(all="ignore"):
        outputs = np.abs(dout * np.array(f(**fresh(base))))
    size = np.abs(base[name])
    digits = EPS * digits_lost(base[name])
    total = float(np.sum(outputs, where=np.isfinite(outputs)))
    return np.asarray(ROUNDINGS * digits * total / np.clip(size, NARROWEST, FIRST_STEP))


def _stays_inside(
    f: Callable[..., npt.ArrayLike],
    inputs: Mapping[str, Any],
    name: str,
    dout: Array,
    where: tuple[int, ...],
    sharp: float,
) -> bool:
    """Does a step much smaller than the entry, which stays in the domain, side with the complex step?"""
    change = _along(f, inputs, name, where)
    step = float(np.abs(np.asarray(inputs[name])[where])) * NEAR
    if not (0 < step < np.inf and np.isfinite(sharp)):
        return False
    with np.errstate(all="ignore"):
        near = float(np.sum(dout * (change(step) - change(-step)))) / (2 * step)
    return abs(near - sharp) <= NEAR_AGREES * abs(sharp)


def _within_its_luck(
    f: Callable[..., npt.ArrayLike],
    inputs: Mapping[str, Any],
    name: str,
    dout: Array,
    where: tuple[int, ...],
    sharp: float,
    stencil: float,
    scale: float,
) -> bool:
    """Does the stencil, with other steps, differ from itself about as much as from the complex step?"""
    again = stencil_slope(f, inputs, name, dout, where, scale, OTHER_STEP)
    if again.jump != 0:
        return False
    error = max(again.error, abs(again.value - stencil))
    return abs(sharp - again.value) <= AGREES * error + ROUNDED * scale


def _sides_with(sharp: float, stencil: float, narrow: float) -> bool:
    return abs(narrow - sharp) <= 1e-3 * abs(narrow - stencil)


def _narrow_slope(
    f: Callable[..., npt.ArrayLike], inputs: Mapping[str, Any], name: str, dout: Array, where: tuple[int, ...]
) -> float:
    """The central difference of a step so narrow that its rounding leaves six digits at most."""
    change = _along(f, inputs, name, where)
    return float(np.sum(dout * (change(NARROW_STEP) - change(-NARROW_STEP))) / (2 * NARROW_STEP))


def _in_stairs(
    f: Callable[..., npt.ArrayLike],
    inputs: Mapping[str, Any],
    name: str,
    dout: Array,
    where: tuple[int, ...],
    sharp: float,
    scale: float,
) -> bool:
    """Does a tiny step leave outputs as they are which it must move, and the widest stencil give `sharp`?"""
    change = _along(f, inputs, name, where)
    stays = (change(TINY_STEP) == 0) & (change(-TINY_STEP) == 0)
    with np.errstate(invalid="ignore"):
        moves = np.abs(change(FIRST_STEP)) > MOVES
    if not (stays & moves).any():
        return False
    return abs(wide_slope(lambda t: float(np.sum(dout * change(t)))) - sharp) <= STAIRS * scale


def _along(
    f: Callable[..., npt.ArrayLike], inputs: Mapping[str, Any], name: str, where: tuple[int, ...]
) -> Callable[[float], Array]:
    """f(x + t·e) - f(x) of the step t in one entry."""
    base = widened(inputs, name)
    middle, centre = np.array(f(**fresh(base))), base[name][where]

    def change(t: float) -> Array:
        base[name][where] = centre + t
        return np.asarray(np.array(f(**fresh(base))) - middle)

    return change


def _slopes_at_a_kink(
    f: Callable[..., npt.ArrayLike], inputs: Mapping[str, Any], name: str, dout: Array, where: tuple[int, ...]
) -> tuple[float, float]:
    """The smallest and the largest Σ dout · slope, where each output may take its left or its right slope.

    A right subgradient may choose a side for every output on its own: at x = 0 of relu(W x) the choice 0
    for all outputs need not lie between the two one-sided slopes of the sum.
    """
    base = widened(inputs, name)
    middle = np.array(f(**fresh(base)))
    centre = base[name][where]
    base[name][where] = centre + KINK_STEP
    right = dout * (np.array(f(**fresh(base))) - middle) / KINK_STEP
    base[name][where] = centre - KINK_STEP
    left = dout * (middle - np.array(f(**fresh(base)))) / KINK_STEP
    return float(np.sum(np.minimum(left, right))), float(np.sum(np.maximum(left, right)))
