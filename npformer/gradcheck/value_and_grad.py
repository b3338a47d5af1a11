"""Checks of code that returns a loss and its gradients at once: one function, or a whole model."""

from __future__ import annotations

import contextlib
import inspect
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import blind_spots
from .check import check
from .derivative import directional_slope, stencil_gradient
from .judge import judge
from .report import Report
from .slope import EPS
from .streams import own_stream
from .verdicts import Expert, Finding, Reference, Result, Verdict

Array = npt.NDArray[Any]


def check_value_and_grad(
    f: Callable[..., tuple[Any, Any]],
    inputs: Mapping[str, Any] | Sequence[Any],
    *,
    op: str | None = None,
    wrt: str | Iterable[str] | None = None,
    strict: bool = False,
    experts: Sequence[Expert] = (),
) -> Report:
    """Check a function that returns ``(loss, gradients)``.

    Parameters
    ----------
    f : callable
        ``f(*inputs)`` returns a real number and the gradients: a bare array, a tuple in the order of the
        differentiable inputs, or a mapping by name.
    inputs, op, wrt, strict, experts
        As for `check`.

    Returns
    -------
    Report

    Examples
    --------
    >>> import numpy as np
    >>> report = check_value_and_grad(lambda x: (np.sum(x**2), 2 * x), [np.array([1.0, -3.0])])
    >>> report.passed
    True
    """

    def forward(*args: Any, **named: Any) -> tuple[Any, Any]:
        result = f(*args, **named)
        if not isinstance(result, (tuple, list)) or len(result) != 2 or np.ndim(result[0]) != 0:
            got = type(result).__name__
            if isinstance(result, (tuple, list)):
                got += " of " + (", ".join(type(part).__name__ for part in result) or "nothing")
            raise TypeError(
                "check_value_and_grad: f: expected (loss, gradients), the loss one number, "
                f"got {got}{_shape_of_loss(result)}"
            )
        return result[0], result[1]

    def backward(dout: Any, gradients: Any) -> Any:
        return gradients

    with contextlib.suppress(TypeError, ValueError):  # the names of the inputs are those of f
        forward.__signature__ = inspect.signature(f)  # type: ignore[attr-defined]
    return check(forward, backward, inputs, op=op, wrt=wrt, dout=np.ones(()), strict=strict, experts=experts)


def _shape_of_loss(result: Any) -> str:
    pair = isinstance(result, (tuple, list)) and len(result) == 2
    return f", the first of shape {np.shape(result[0])}" if pair else ""


def check_params(
    loss_and_grad: Callable[[Mapping[str, Array]], tuple[Any, Mapping[str, Array]]],
    params: Mapping[str, Array],
    *,
    wrt: str | Iterable[str] | None = None,
    directions: int = 8,
    every_entry: bool = False,
    loss: Callable[[Mapping[str, Array]], Any] | None = None,
    op: str | None = None,
    rng: np.random.Generator | None = None,
    strict: bool = False,
) -> Report:
    """Check the gradient of a loss with respect to the parameters of a whole model.

    Parameters
    ----------
    loss_and_grad : callable
        Takes a mapping of names to arrays, returns the loss and a mapping of the same names to gradients. It
        must do the same every time: batch and dropout fixed.
    params : mapping of str to ndarray
        The point, float64 for a sharp check. Never at initialisation: see `Report.blind_spots`.
    wrt : str or iterable of str, optional
        The parameters to check (default: all).
    directions : int
        Compare along so many random directions of length 1 in every parameter: about 12 evaluations each.
    every_entry : bool
        Compare every entry instead: one evaluation each by the complex step where the code runs in complex,
        else the stencil.
    loss : callable, optional
        The loss alone, when that is cheaper to evaluate.
    op, strict
        As for `check`.
    rng : numpy.random.Generator, optional
        Draws the directions; by default numbers that no seed gives.

    Returns
    -------
    Report
        With directions, an "entry" is a direction, and "given" the gradient's part along it.

    Raises
    ------
    ValueError
        If `wrt` names no parameter, there is none, or `directions` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.random.default_rng(0).standard_normal((2, 5, 3))
    >>> def loss_and_grad(params):
    ...     error = x @ params["weight"] + params["bias"] - y
    ...     return (error**2).sum() / 2, {"weight": x.T @ error, "bias": error.mean(axis=0)}
    >>> report = check_params(loss_and_grad, {"weight": np.eye(3), "bias": np.arange(3.0)})
    >>> report["weight"].verdict.name, report["bias"].verdict.name
    ('OK', 'WRONG')
    """
    names = list(params) if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
    for name in names:
        if name not in params:
            raise ValueError(f"check_params: wrt: expected names among {sorted(params)}, got {name!r}")
        if not (isinstance(params[name], np.ndarray) and params[name].dtype.kind == "f"):
            raise ValueError(
                f"check_params: params: expected real floating-point arrays, got something else for {name}"
            )
    if not names:
        raise ValueError("check_params: params: expected at least one parameter, got none")
    if directions < 1:
        raise ValueError(f"check_params: directions: expected a positive number, got {directions}")
    rng = rng if rng is not None else own_stream("directions")
    only_loss = loss if loss is not None else lambda p: loss_and_grad(p)[0]

    base = {name: np.array(value) for name, value in params.items()}
    given, observed, value, steady = _observe(loss_and_grad, base, names)
    spots = blind_spots.of_inputs({name: base[name] for name in names})
    if not steady:
        results = [
            Result(
                name,
                observed[name][0].verdict,
                False,
                tuple(observed[name]),
                base[name].shape,
                given=given[name],
            )
            for name in names
        ]
        return Report(op, tuple(results), tuple(spots), strict)

    wide = {name: x.astype(np.float64) if x.dtype.kind == "f" else x for name, x in base.items()}
    points: dict[str, tuple[Array, Array | None, Reference]] = {}
    for name in names:
        if every_entry:
            points[name] = base[name], given[name], _every_entry(only_loss, wide, name)
        else:
            points[name] = _along(only_loss, wide, name, base[name], given[name], directions, rng)
    scale_all = max(
        float(np.max(np.abs(r.gradient), initial=0.0, where=np.isfinite(r.gradient)))
        for *_, r in points.values()
    )
    results = []
    for name, (x, a, numeric) in points.items():
        if any(f.verdict is Verdict.SHAPE for f in observed[name]):
            a = None
        result = judge(
            name,
            x,
            a,
            numeric,
            scale_all=scale_all,
            noise=abs(value),
            dout_single=False,
            observed=observed[name],
        )
        results.append(replace(result, shape=base[name].shape))
    spots += blind_spots.of_gradients(
        {name: r.gradient for name, (_, _, r) in points.items()},
        abs(value),
        {r.name: (r.tolerance * r.scale, base[r.name].dtype.itemsize) for r in results},
    )
    return Report(op, tuple(results), tuple(spots), strict)


def _observe(
    loss_and_grad: Callable[[Mapping[str, Array]], tuple[Any, Mapping[str, Array]]],
    base: dict[str, Array],
    names: list[str],
) -> tuple[dict[str, Array | None], dict[str, list[Finding]], float, bool]:
    """Call twice and watch: gradients (copied), findings by name, the loss, whether both calls agree."""
    found: dict[str, list[Finding]] = {name: [] for name in names}
    first = {name: x.copy() for name, x in base.items()}
    loss, gradients = loss_and_grad(first)
    value = float(loss)
    given: dict[str, Array | None] = {}
    for name in names:
        if not np.array_equal(first[name], base[name], equal_nan=True):
            found[name].append(
                Finding(Verdict.INPUT_MUTATED, f"The call changed the parameter {name} in place.")
            )
        raw = gradients.get(name)
        given[name] = None if raw is None else np.array(raw)
        if raw is None:
            found[name].append(Finding(Verdict.SHAPE, f"No gradient was returned for {name}."))
            continue
        if np.shape(raw) != base[name].shape:
            sentence = f"The gradient of {name} has shape {np.shape(raw)}, the parameter {base[name].shape}."
            found[name].append(Finding(Verdict.SHAPE, sentence))
        others = [(f"the parameter {key}", x) for key, x in first.items()]
        others += [(f"the gradient of {key}", x) for key, x in gradients.items() if key != name]
        for what, other in others:
            if isinstance(raw, np.ndarray) and isinstance(other, np.ndarray) and np.shares_memory(raw, other):
                found[name].append(
                    Finding(Verdict.ALIASED, f"The gradient of {name} shares its memory with {what}.")
                )
    again, gradients_again = loss_and_grad({name: x.copy() for name, x in base.items()})
    steady = float(again) == value or (math.isnan(float(again)) and math.isnan(value))
    for name in names:
        if not steady:
            sentence = f"Two calls at the same point gave the losses {value!r} and {float(again)!r}."
            found[name].insert(0, Finding(Verdict.NONDETERMINISTIC, sentence))
        elif given[name] is not None:
            a, b = given[name], np.asarray(gradients_again.get(name))
            if a is not None and not (a.shape == b.shape and np.array_equal(a, b, equal_nan=True)):
                doubled = a.shape == b.shape and np.allclose(b, 2 * a, rtol=1e-12, atol=0)
                why = ": twice the first, so gradients of an earlier call are added to" if doubled else ""
                sentence = f"The gradient of {name} differs between two calls at the same point{why}."
                found[name].insert(0, Finding(Verdict.NONDETERMINISTIC, sentence))
    return given, found, value, steady


def _every_entry(loss: Callable[[Mapping[str, Array]], Any], base: dict[str, Array], name: str) -> Reference:
    """Complex step alone where the code runs that way, checked by the stencil along one direction."""
    x = base[name]
    gradient = np.zeros(x.shape)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            moved = x.astype(np.complex128)
            for where in np.ndindex(x.shape):
                moved[where] += 1e-30j
                value = np.asarray(loss(_replaced(base, name, moved)))
                moved[where] = x[where]
                if value.dtype.kind != "c":
                    raise TypeError("the imaginary part was dropped")
                gradient[where] = float(value.imag) / 1e-30
    except Exception:  # whatever the code raises on complex numbers
        return _by_stencil(loss, base, name)
    direction = own_stream("directions").standard_normal(x.shape)
    direction /= math.sqrt(float(np.sum(direction * direction))) or 1.0
    along = directional_slope(lambda moved: float(loss(_replaced(base, name, moved))), x, direction)
    size = float(np.sqrt(np.sum(gradient * gradient)))
    off = abs(along.value - float(np.sum(gradient * direction)))
    if not off <= 30 * along.error + 1e-12 * size:  # it runs, but does something else for complex; or a kink
        return _by_stencil(loss, base, name)
    return Reference(
        "complex step", gradient, np.full(x.shape, along.error), gradient, gradient, np.zeros(x.shape, bool)
    )


def _by_stencil(loss: Callable[[Mapping[str, Array]], Any], base: dict[str, Array], name: str) -> Reference:
    d = stencil_gradient(
        lambda x: np.asarray(loss(_replaced(base, name, x))), {"x": base[name]}, "x", np.ones(())
    )
    return _with_kinks(d.gradient, d.error, d.jump)


def _along(
    loss: Callable[[Mapping[str, Array]], Any],
    base: dict[str, Array],
    name: str,
    x: Array,
    given: Array | None,
    directions: int,
    rng: np.random.Generator,
) -> tuple[Array, Array | None, Reference]:
    """One number per direction: the point (for its dtype), the given slopes, the numeric ones."""

    def at(moved: Array) -> float:
        return float(loss(_replaced(base, name, moved)))

    value, error, jump, along = (np.zeros(directions) for _ in range(4))
    for i in range(directions):
        direction = rng.standard_normal(x.shape)
        direction /= math.sqrt(float(np.sum(direction * direction))) or 1.0
        found = directional_slope(at, base[name], direction)
        value[i], error[i], jump[i], _ = found
        if given is not None and given.shape == x.shape and given.dtype.kind in "fiub":
            along[i] = float(np.sum(np.asarray(given, np.float64) * direction))
    point = np.full(directions, float(np.max(np.abs(x), initial=0.0))).astype(x.dtype)
    return point, None if given is None else along.astype(given.dtype), _with_kinks(value, error, jump)


def _replaced(base: Mapping[str, Array], name: str, x: Array) -> dict[str, Array]:
    """Copies of all parameters, one of them replaced: the code may change them in place."""
    return {key: (x if key == name else value).copy() for key, value in base.items()}


def _with_kinks(value: Array, error: Array, jump: Array) -> Reference:
    low, high = value - np.abs(jump) / 2, value + np.abs(jump) / 2
    return Reference("9-point stencil", value, error + EPS, low, high, jump != 0)
