"""Derivatives by numbers of functions of arrays: the 9-point stencil of `slope.py`, and the complex step.

The OUTPUTS are differenced and the differences dotted with the cotangent, entry by entry. Every call gets
fresh copies of all inputs, and every output is copied.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .slope import EPS, FIRST_STEP, Slope, slope

Array = npt.NDArray[Any]


class Derivative(NamedTuple):
    """A numeric gradient with what is known about it."""

    gradient: Array
    error: Array  # per entry
    jump: Array  # per entry, right slope - left slope; 0.0 where the function is smooth


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
    at = _slope_at(f, base, name, np.asarray(dout))
    gradient, error, jump = (np.zeros(x.shape) for _ in range(3))
    for where in np.ndindex(x.shape):
        gradient[where], error[where], jump[where], _ = at(
            where, float(np.max(np.abs(gradient), initial=0.0))
        )
    return Derivative(gradient, error, jump)


def stencil_slope(
    f: Callable[..., npt.ArrayLike],
    inputs: Mapping[str, Any],
    name: str,
    dout: npt.ArrayLike,
    where: tuple[int, ...],
    scale: float = 0.0,
    first: float = FIRST_STEP,
) -> Slope:
    """One entry of `stencil_gradient`, from a widest step of one's own.

    Parameters
    ----------
    f, inputs, name, dout
        As in `numeric_gradient`.
    where : tuple of int
        The entry.
    scale, first
        As in `slope`.

    Returns
    -------
    Slope
    """
    return _slope_at(f, widened(inputs, name), name, np.asarray(dout))(where, scale, first)


def _slope_at(
    f: Callable[..., npt.ArrayLike], base: dict[str, Any], name: str, cotangent: Array
) -> Callable[..., Slope]:
    """The slope in an entry of `base[name]`, which is changed and put back."""
    x = base[name]
    out = _output(f, base, cotangent)
    with np.errstate(over="ignore"):
        noise = float(np.finfo(out.dtype).eps) * math.sqrt(float(np.sum(np.square(cotangent * out))))

    def at(where: tuple[int, ...], scale: float, first: float = FIRST_STEP) -> Slope:
        centre = x[where]

        def s(t: float) -> float:
            x[where] = centre + t  # x is this function's own copy, and f gets a copy of it
            return float(np.vdot(_output(f, base, cotangent) - out, cotangent))

        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = slope(s, noise, scale, float(centre), first)
        x[where] = centre
        return found

    return at


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


def fresh(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Copies of the inputs that share nothing with them; Generators start again from the same state."""
    memo: dict[int, Any] = {}  # one Generator given twice stays one Generator
    return {key: _copy(value, memo) for key, value in inputs.items()}


def _copy(value: Any, memo: dict[int, Any]) -> Any:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.copy(order="K")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return copy.deepcopy(value, memo)


def _widen(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f":
        return np.array(value, dtype=np.float64)
    return value


def _output(f: Callable[..., npt.ArrayLike], inputs: Mapping[str, Any], dout: Array) -> Array:
    """f(**copies of inputs) as an array that nothing else refers to, of the cotangent's shape."""
    out = np.array(f(**fresh(inputs)))
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
