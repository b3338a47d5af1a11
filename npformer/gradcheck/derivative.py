"""Derivatives by numbers: a wide central stencil whose step is chosen by itself, and the complex step.

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

import copy
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ODD = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
EVEN = (14 / 5, -7 / 5, 2 / 5, -1 / 20)

FIRST_STEP = 9 / 256  # 3.5e-2 with four significant bits, so that k·h and (almost always) x + k·h are exact
EPS = float(np.finfo(np.float64).eps)
HALVINGS = 5  # always granted; more only where the result is still poor
MOST_HALVINGS = 20  # down to 3e-8: a narrower step would measure rounding
CONVERGED = 3e-13  # |g(h) - g(h/2)| of the scale: g(h/2) is then far better than that
POOR = 1e-11
NO_JUMP = 1e-8
ROUNDING = 8.0  # how much more than one rounding of every output is still rounding: sums of a few products


class Slope(NamedTuple):
    """The derivative of a function of one number at 0."""

    value: float
    error: float  # estimate of |value - true|
    jump: float  # right slope - left slope; 0.0 where the function is smooth

    @property
    def left(self) -> float:
        """The slope to the left."""
        return self.value - self.jump / 2

    @property
    def right(self) -> float:
        """The slope to the right."""
        return self.value + self.jump / 2


class Derivative(NamedTuple):
    """A numeric gradient with what is known about it."""

    gradient: Array
    error: Array  # per entry
    jump: Array  # per entry, right slope - left slope; 0.0 where the function is smooth


class _Rung(NamedTuple):
    """What comparing the stencils of steps h and h/2 gave."""

    h: float
    value: float  # g(h/2)
    difference: float  # |g(h) - g(h/2)|, at least the rounding to expect
    rounding: float
    jump: float  # of h/2
    kinked: bool  # is the jump more than truncation and rounding?


def slope(s: Callable[[float], float], noise: float, scale: float = 0.0, at: float = 0.0) -> Slope:
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
        allowed = max(NO_JUMP * max(scale, abs(value), abs(jump)), 64 * rounding, 16 * difference)
        return _Rung(h, value, difference, rounding, jump, abs(jump) > allowed)

    def good_to(part: float) -> bool:
        return any(not r.kinked and r.difference <= part * max(scale, abs(r.value)) for r in rungs)

    rungs: list[_Rung] = []  # from the widest step to the narrowest
    rising = 0  # how often in a row a narrower step was worse, as it is when rounding rules
    h, narrowest = FIRST_STEP, FIRST_STEP / 2**MOST_HALVINGS
    while h >= narrowest:
        new = rung(h)
        rising = rising + 1 if rungs and rungs[-1].difference < new.difference < 1e-3 * abs(new.value) else 0
        rungs.append(new)
        if good_to(CONVERGED) or (not new.kinked and new.difference <= ROUNDING * new.rounding):
            break
        if len(rungs) >= HALVINGS and (good_to(POOR) or rising > 1):
            break
        if len(rungs) >= HALVINGS and all(r.kinked for r in rungs):  # a kink: look whether it stays one
            rungs.append(rung(narrowest))
            if _same_jump(rungs[-1], new):
                break
            rungs.pop()
        h /= 2

    h = 2 * FIRST_STEP
    while 4 * h <= abs(at) and not rungs[0].kinked and not good_to(CONVERGED):
        new = rung(h)
        rungs.insert(0, new)
        if new.difference > 2 * rungs[1].difference:
            break
        h *= 2
    return _choose(rungs)


def _odd_and_even(s: Callable[[float], float], h: float) -> tuple[float, float]:
    """g(h) and jump(h) of the module's docstring."""
    odd = even = 0.0
    for k in (1, 2, 3, 4):
        right, left = s(k * h), s(-k * h)
        odd += ODD[k - 1] * (right - left)
        even += EVEN[k - 1] * (right + left)
    return odd / h, even / h


def _same_jump(a: _Rung, b: _Rung) -> bool:
    return a.kinked and b.kinked and abs(a.jump - b.jump) <= 0.01 * max(abs(a.jump), abs(b.jump))


def _choose(rungs: list[_Rung]) -> Slope:
    """The best of the rungs, which stand from the widest step to the narrowest.

    Of many differences one may be small by luck. Rounding grows as 1/h, so that a narrower rung's difference
    times its step bounds it: the error of a rung is at least that over its own step.
    """
    last = rungs[-1]
    if len(rungs) > 1 and _same_jump(last, rungs[-2]):
        best = min((r for r in rungs if _same_jump(r, last)), key=lambda r: r.difference)
        return Slope(best.value, best.difference, best.jump)
    chosen, error, rounding = last, math.inf, 0.0
    for r in reversed(rungs):
        if r.kinked or not math.isfinite(r.difference):
            continue
        rounding = max(rounding, r.difference * r.h)
        if rounding / r.h < error:
            chosen, error = r, rounding / r.h
    return Slope(chosen.value, error, 0.0)


def stencil_gradient(
    f: Callable[..., npt.ArrayLike], inputs: Mapping[str, Any], name: str, dout: npt.ArrayLike
) -> Derivative:
    """The gradient of Σ dout · f(**inputs) with respect to `inputs[name]`, with error and kinks per entry.

    Parameters and behaviour are those of `numeric_gradient`.

    Returns
    -------
    Derivative

    Examples
    --------
    >>> import numpy as np
    >>> d = stencil_gradient(lambda x: np.abs(x), {"x": np.array([-1.0, 0.0])}, "x", [1.0, 1.0])
    >>> d.gradient, d.jump
    (array([-1.,  0.]), array([0., 2.]))
    """
    base = widened(inputs, name)
    x = base[name]
    cotangent = np.asarray(dout)
    out = _output(f, base, cotangent)
    noise = float(np.finfo(out.dtype).eps) * math.sqrt(float(np.sum(np.square(cotangent * out))))

    gradient, error, jump = (np.zeros(x.shape) for _ in range(3))
    for where in np.ndindex(x.shape):
        centre = x[where]

        def s(t: float, where: tuple[int, ...] = where, centre: Any = centre) -> float:
            x[where] = centre + t  # x is this function's own copy, and f gets a copy of it
            return float(np.vdot(_output(f, base, cotangent) - out, cotangent))

        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = slope(s, noise, float(np.max(np.abs(gradient), initial=0.0)), float(centre))
        x[where] = centre
        gradient[where], error[where], jump[where] = found
    return Derivative(gradient, error, jump)


def numeric_gradient(
    f: Callable[..., npt.ArrayLike], inputs: Mapping[str, Any], name: str, dout: npt.ArrayLike
) -> tuple[Array, Array]:
    """The gradient of Σ dout · f(**inputs) with respect to `inputs[name]`, by the 9-point stencil.

    Parameters
    ----------
    f : callable
        Called with fresh copies of the inputs by name; returns an array. The output is copied before the
        next call, since a forward may return a view of its input or use a buffer again.
    inputs : mapping of str to anything
        float16 and float32 arrays are widened to float64 first. Generators are copied for every call.
    name : str
        The input to differentiate.
    dout : array_like
        The cotangent, of the shape of the output.

    Returns
    -------
    gradient : ndarray of float64, shape of the input
    error : ndarray of float64, shape of the input
        Estimate of |gradient - true| per entry; infinite where no step gave a finite value.

    Raises
    ------
    ValueError
        If `dout` does not have the shape of the output, or there is no such input.
    TypeError
        If the input is not a real floating-point array.

    Examples
    --------
    >>> import numpy as np
    >>> gradient, error = numeric_gradient(lambda x: x**3, {"x": np.array([1.0, 2.0])}, "x", [1.0, 10.0])
    >>> gradient.round(10), bool(error.max() < 1e-11)
    (array([  3., 120.]), True)
    """
    found = stencil_gradient(f, inputs, name, dout)
    return found.gradient, found.error


def complex_step_gradient(
    f: Callable[..., npt.ArrayLike],
    inputs: Mapping[str, Any],
    name: str,
    dout: npt.ArrayLike,
    h: float = 1e-30,
) -> Array:
    """The gradient of Σ dout · f(**inputs) with respect to `inputs[name]`, by the complex step.

    f(x + i·h) = f(x) + i·h·f'(x) + order h², so that the imaginary part divided by h is the derivative
    without any cancellation. It is right for analytic code alone: compare it with `numeric_gradient` once.

    Parameters
    ----------
    f, inputs, name, dout
        As in `numeric_gradient`. The differentiated input is made complex; where the code does not run that
        way, all real arrays among the inputs are.
    h : float
        The step. Choose a larger one where exp underflows (x < -25).

    Returns
    -------
    gradient : ndarray of float64, shape of the input

    Raises
    ------
    TypeError
        If the code does not run in complex, or drops the imaginary part.
    ValueError
        If `dout` does not have the shape of the output, or there is no such input.

    Examples
    --------
    >>> import numpy as np
    >>> complex_step_gradient(lambda x: np.exp(x), {"x": np.array([0.0, 1.0])}, "x", [1.0, 1.0])
    array([1.        , 2.71828183])
    """
    real = widened(inputs, name)
    floats = [key for key, value in real.items() if isinstance(value, np.ndarray) and value.dtype.kind == "f"]
    reason: Exception | None = None
    for names in ([name], floats):
        base = {key: value.astype(np.complex128) if key in names else value for key, value in real.items()}
        try:
            return _complex_step(f, base, name, np.asarray(dout), h)
        except ValueError as error:
            if "cotangent" in str(error):
                raise
            reason = error
        except Exception as error:  # whatever somebody's code raises on complex numbers
            reason = error
    raise TypeError(f"complex step of {name}: the code does not run in complex: {reason}") from reason


def directional_derivative(
    f: Callable[[Any], float], x: npt.ArrayLike, direction: npt.ArrayLike
) -> tuple[float, float]:
    """The derivative of t -> f(x + t·direction) at t = 0, by the 9-point stencil with its step chosen.

    Parameters
    ----------
    f : callable
        Of one array, returns one real number.
    x : array_like
    direction : array_like, shape of `x`
        Best of length about 1.

    Returns
    -------
    value : float
    error : float
        Estimate of |value - true|.

    Examples
    --------
    >>> import numpy as np
    >>> value, error = directional_derivative(lambda x: float(np.sum(x**2)), np.arange(3.0), [0.0, 0.6, 0.8])
    >>> round(value, 12), error < 1e-12
    (4.4, True)
    """
    found = directional_slope(f, x, direction)
    return found.value, found.error


def directional_slope(f: Callable[[Any], float], x: npt.ArrayLike, direction: npt.ArrayLike) -> Slope:
    """`directional_derivative` with the jump of the slope, which tells a kink.

    Returns
    -------
    Slope
    """
    centre, along = np.array(x, dtype=np.float64), np.array(direction, dtype=np.float64)
    if centre.shape != along.shape:
        raise ValueError(f"direction: expected the shape of x {centre.shape}, got shape {along.shape}")
    middle = float(f(centre.copy()))

    def s(t: float) -> float:
        return float(f(centre + t * along)) - middle

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return slope(s, EPS * abs(middle))


def error_of(a: npt.ArrayLike, n: npt.ArrayLike, scale_all: float = 0.0) -> float:
    """How far `a` is from the reference `n`: max |a - n| over max(max |n|, 1e-3 · scale_all).

    Parameters
    ----------
    a, n : array_like of the same shape
    scale_all : float
        The largest magnitude over all tensors of the op or model, so that a tensor whose true gradient is
        zero (a key bias) is not judged by its own rounding.

    Returns
    -------
    float
        0.0 where both are equal, infinite where either is not finite.

    Examples
    --------
    >>> error_of([1.0, 2.5], [1.0, 2.0]), error_of([0.125], [0.0], scale_all=1000.0)
    (0.25, 0.125)
    """
    given, reference = np.asarray(a), np.asarray(n)
    if given.shape != reference.shape:
        raise ValueError(f"error_of: a: expected the shape of n {reference.shape}, got shape {given.shape}")
    if given.size == 0:
        return 0.0
    with np.errstate(all="ignore"):
        worst = float(np.max(np.abs(given - reference)))
    if not math.isfinite(worst):
        return math.inf
    scale = max(float(np.max(np.abs(reference))), 1e-3 * scale_all)
    return worst / scale if scale > 0 else (0.0 if worst == 0 else math.inf)


def widened(inputs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Copies of the inputs, real floating-point arrays as float64; raise unless `name` is one of those."""
    if name not in inputs:
        raise ValueError(f"no input named {name!r}; there are {sorted(inputs)}")
    wide = {key: _widen(value) for key, value in inputs.items()}
    wide[name] = np.array(wide[name])  # a number given as an input may be differentiated too
    if wide[name].dtype != np.float64:
        raise TypeError(f"{name}: expected real floating-point numbers, got dtype {wide[name].dtype}")
    return wide


def fresh(value: Any) -> Any:
    """A copy of one input that shares nothing with it: arrays, Generators, containers of them."""
    if isinstance(value, np.ndarray):
        return value.copy()
    return copy.deepcopy(value)


def _widen(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f":
        return np.array(value, dtype=np.float64)
    return value


def _output(f: Callable[..., npt.ArrayLike], inputs: Mapping[str, Any], dout: Array) -> Array:
    """f(**copies of inputs) as an array that nothing else refers to, of the cotangent's shape."""
    out = np.array(f(**{key: fresh(value) for key, value in inputs.items()}))
    if out.shape != dout.shape:
        raise ValueError(f"cotangent: expected the output's shape {out.shape}, got shape {dout.shape}")
    return out if out.dtype.kind in "fc" else out.astype(np.float64)


def _complex_step(
    f: Callable[..., npt.ArrayLike], base: dict[str, Any], name: str, dout: Array, h: float
) -> Array:
    x = base[name]
    gradient = np.zeros(x.shape)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("error", np.exceptions.ComplexWarning)  # an imaginary part silently dropped
        for where in np.ndindex(x.shape):
            centre = x[where]
            x[where] = centre + 1j * h
            out = _output(f, base, dout)
            x[where] = centre
            if out.dtype.kind != "c":
                raise TypeError("the output is real: the imaginary part was dropped")
            gradient[where] = np.sum(out.imag * dout) / h
    return gradient
