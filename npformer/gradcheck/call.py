"""How somebody's forward and backward are called, and how their answers are read.

The forward gets the inputs, by position for a sequence and by name for a mapping. Two conventions are
understood, told apart by what the forward returns:

    out, cache = forward(...)      gradients = backward(dout, cache)
    out        = forward(...)      gradients = backward(dout, ...the inputs...)
                                   gradients = backward(dout) where it takes no more: the rest is in an object

A tuple of two is (out, cache), unless the backward cannot take two arguments. What comes last and is no array
of numbers is a cache in any case: in a list [out, cache], after several outputs (for a backward of the tuple
of their douts and the cache, or of each of them and the cache), or one that a backward of the inputs leaves
alone. `out` may itself be a tuple of arrays; `dout` is then one too. The gradients may be a bare array, a
tuple in the order of the differentiable inputs (with or without None for the others), or a mapping by name
("x" or "dx").
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .derivative import fresh

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """A forward and a backward at one point."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: dict[str, Any]  # copies of what was given
    by_name: bool
    differentiable: tuple[str, ...]
    wrt: tuple[str, ...]  # of these, the ones to check
    may_cache: bool  # can the backward be called as backward(dout, cache)?

    def evaluate(self, inputs: Mapping[str, Any]) -> tuple[Any, Any, bool]:
        """Call the forward with exactly these objects; (out, cache, whether there is a cache)."""
        result = self.forward(**inputs) if self.by_name else self.forward(*inputs.values())
        if isinstance(result, tuple) and len(result) == 2 and self.may_cache:
            return _output(result[0]), result[1], True
        if isinstance(result, (tuple, list)) and len(result) > 1 and not _is_numbers(result[-1]):
            *outs, cache = result
            out = outs[0] if len(outs) == 1 else tuple(outs)
            if all(map(_is_numbers, outs)) and (self.may_cache or _takes(self.backward, 1 + len(outs))):
                return _output(out), cache, True
            if len(outs) == 1 and _is_numbers(out) and _takes(self.backward, 1 + len(inputs)):
                return _output(out), None, False  # the backward takes the inputs
            raise TypeError(
                f"check: forward: expected out or (out, cache), got a {type(result).__name__} of "
                f"{', '.join(map(_kind, result))}; the backward takes {_arguments(self.backward)}"
            )
        return _output(result), None, False

    def differentiate(self, dout: Any, inputs: Mapping[str, Any], cache: Any, cached: bool) -> Any:
        """Call the backward with exactly these objects."""
        if cached and not self.may_cache:
            return self.backward(*dout, cache)
        if cached:
            return self.backward(dout, cache)
        named = _by_keyword(self.backward, inputs)
        if named is not None:
            return self.backward(dout, **named)
        alone = not _takes(self.backward, 1 + len(inputs)) and _takes(self.backward, 1)
        return (
            self.backward(dout)
            if alone and not isinstance(dout, tuple)
            else self.backward(dout, *inputs.values())
        )


def make_problem(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Mapping[str, Any] | Sequence[Any],
    wrt: str | Iterable[str] | None,
) -> Problem:
    """Give names to the inputs and find the differentiable ones: arrays of real floating-point numbers.

    Raises
    ------
    ValueError
        If `wrt` names no input, or nothing is left to check.
    TypeError
        If `inputs` is neither a mapping nor a sequence, or `wrt` names an input that is no real number.
    """
    if isinstance(inputs, np.ndarray) or not isinstance(inputs, (Mapping, Sequence)):
        raise TypeError(
            f"check: inputs: expected a sequence or a mapping of inputs, got {type(inputs).__name__}"
        )
    if isinstance(inputs, Mapping):
        named = dict(inputs)
    else:
        names = _parameters(forward)
        names = [*names[: len(inputs)], *(f"input{i}" for i in range(len(names), len(inputs)))]
        named = dict(zip(names, inputs, strict=True))
    by_name = isinstance(inputs, Mapping) and _binds(forward, named)
    if by_name:  # a tuple of gradients is in the order of the function's arguments
        order = [name for name in _parameters(forward) if name in named]
        named = {name: named[name] for name in [*order, *(name for name in named if name not in order)]}
    named = fresh(named)

    chosen = list(named) if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
    for name in chosen:
        if name not in named:
            raise ValueError(f"check: wrt: expected names among {sorted(named)}, got {name!r}")
        if wrt is not None and not _is_float(named[name]):
            if not isinstance(named[name], (float, np.floating)):
                raise TypeError(
                    f"check: wrt: expected real floating-point inputs, got {_kind(named[name])} for {name}"
                )
            named[name] = np.asarray(named[name])
        if wrt is not None and not np.isfinite(named[name]).all():
            raise ValueError(f"check: wrt: expected finite numbers, got {_kind(named[name])} for {name}")
    # (an additive mask of 0 and -inf is a constant: nothing can be moved to both sides of -inf)
    differentiable = tuple(
        name for name, value in named.items() if _is_float(value) and np.isfinite(value).all()
    )
    chosen = [name for name in differentiable if name in chosen]
    if not chosen:
        kinds = ", ".join(f"{name}: {_kind(value)}" for name, value in named.items())
        raise ValueError(
            "check: inputs: expected at least one array of finite floating-point numbers, "
            f"got {kinds or 'none'}"
        )
    return Problem(forward, backward, named, by_name, differentiable, tuple(chosen), _takes(backward, 2))


def _output(out: Any) -> Any:
    """An output as it came, of which it is certain that it is numbers."""
    if isinstance(out, list) and not any(isinstance(part, np.ndarray) for part in out):
        out = np.asarray(out)  # one array, written out in lists
    if isinstance(out, Mapping) or any(part.dtype.kind not in "biufc" for part in parts(out)):
        kinds = ", ".join(_kind(part) for part in out) if isinstance(out, (tuple, list)) else _kind(out)
        raise TypeError(f"check: forward: expected numbers, in an array or a tuple of arrays, got {kinds}")
    return out


def _is_numbers(value: Any) -> bool:
    """Is it an array or a number, or an array written out in lists?"""
    if isinstance(value, (tuple, Mapping)) or value is None:
        return False
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # ragged
        return False
    return array.dtype.kind in "biufc" or isinstance(value, np.ndarray)


def parts(out: Any) -> list[Array]:
    """The arrays of an output, which is one array or a tuple of them."""
    return [np.asarray(part) for part in out] if isinstance(out, (tuple, list)) else [np.asarray(out)]


def joined(out: Any) -> Array:
    """An output as one array that shares nothing with it: several are joined end to end."""
    if not isinstance(out, (tuple, list)):
        return np.array(out)
    return np.concatenate([part.ravel() for part in parts(out)])


def by_name(gradients: Any, problem: Problem) -> dict[str, Any]:
    """Return copies of the gradients to check by input; None where there is none."""
    named = by_input(gradients, problem)
    return {name: None if isinstance(named, str) else copied(named[name]) for name in problem.wrt}


def by_input(gradients: Any, problem: Problem) -> dict[str, Any] | str:
    """The gradients by input name, or a sentence why they cannot be told apart."""
    told = _told_apart(gradients, problem)
    if isinstance(told, dict):
        for name, gradient in told.items():
            if isinstance(gradient, (tuple, list)):
                return f"The gradient of {name} is a {type(gradient).__name__}, not an array."
    return told


def _told_apart(gradients: Any, problem: Problem) -> dict[str, Any] | str:
    names = problem.differentiable
    fields = getattr(gradients, "_fields", ())
    if fields and {field.removeprefix("d") for field in fields} == {name.removeprefix("d") for name in names}:
        gradients = gradients._asdict()
    if isinstance(gradients, Mapping):
        return {name: gradients.get(name, gradients.get("d" + name)) for name in names}
    if is_nested_list(gradients, problem):
        gradients = np.asarray(gradients)
    if not isinstance(gradients, (tuple, list)):
        gradients = (gradients,)
    present = [gradient for gradient in gradients if gradient is not None]
    for keys, values in (
        (names, gradients),
        (names, present),
        (problem.wrt, present),
        (tuple(problem.inputs), gradients),
    ):
        if len(keys) == len(values):
            return dict.fromkeys(names) | dict(zip(keys, values, strict=True))
    wanted = f"{len(names)} differentiable input{'s' if len(names) != 1 else ''} ({', '.join(names)})"
    count = f"{len(gradients)} gradient{'s' if len(gradients) != 1 else ''}"
    return f"The backward returned {count} for {wanted}; if the others are constants, say so by wrt."


def numbers_with_a_gradient(gradients: Any, problem: Problem) -> list[str]:
    """The Python floats among the inputs for which a gradient was returned, in its place or by its name."""
    numbers = [name for name, value in problem.inputs.items() if is_number(value)]
    if isinstance(gradients, Mapping):
        found = {name: gradients.get(name, gradients.get("d" + name)) for name in numbers}
    elif isinstance(gradients, (tuple, list)) and len(gradients) > len(problem.differentiable):
        present = [gradient for gradient in gradients if gradient is not None]
        if [np.shape(g) for g in present] == [np.shape(problem.inputs[n]) for n in problem.differentiable]:
            return []  # None for what was absent: as many gradients as inputs and numbers, by chance
        names = [name for name in problem.inputs if name in numbers or name in problem.differentiable]
        keys = next((k for k in (names, list(problem.inputs)) if len(k) == len(gradients)), [])
        found = dict(zip(keys, gradients, strict=False))
    else:
        return []
    return [name for name in numbers if found.get(name) is not None]


def is_number(value: Any) -> bool:
    """Is it a Python float (or NumPy's), which could be differentiated?"""
    return isinstance(value, (float, np.floating)) and bool(np.isfinite(value))


def is_nested_list(gradients: Any, problem: Problem) -> bool:
    """Is it the one gradient that there is, written out in lists?"""
    if not isinstance(gradients, list) or len(problem.differentiable) != 1 or len(gradients) == 1:
        return False
    try:
        return np.shape(gradients) == problem.inputs[problem.differentiable[0]].shape
    except ValueError:  # ragged
        return False


def copied(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(copied(part) for part in value)
    return None if value is None else np.array(value)


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _kind(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return type(value).__name__
    finite = value.dtype.kind != "f" or np.isfinite(value).all()
    return f"array of {value.dtype}{'' if finite else ' with entries that are not finite'}"


def called(problem: Problem, out: Any) -> list[str]:
    """What is to be known where two values came back and were taken for two outputs: how that was decided."""
    if not isinstance(out, tuple) or len(out) != 2:
        return []
    names = _parameters(problem.backward)
    return [
        f"The forward returned two values. They were taken for two outputs, not for (out, cache), since the "
        f"backward takes {len(names) or 'other than two'} arguments ({', '.join(names)}): it was called as "
        f"backward(dout, {', '.join(problem.inputs)}), with a dout for each output."
    ]


def _arguments(function: Callable[..., Any]) -> str:
    names = _parameters(function)
    return f"{len(names)} argument{'s' if len(names) != 1 else ''} ({', '.join(names)})"


def _parameters(function: Callable[..., Any]) -> list[str]:
    """Names of the parameters that may be given by position; [] where nobody knows."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _by_keyword(backward: Callable[..., Any], inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """The inputs that a backward asks for by their names, or None where it asks for others."""
    try:
        parameters = list(inspect.signature(backward).parameters.values())[1:]
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(inputs)
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if len(named) < len(parameters) or not named:
        return None
    if any(p.default is p.empty and p.name not in inputs for p in named):
        return None
    return {p.name: inputs[p.name] for p in named if p.name in inputs} or None


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # no signature to look at
        return True
    return True


def _binds(function: Callable[..., Any], named: Mapping[str, Any]) -> bool:
    try:
        inspect.signature(function).bind(**named)
    except (TypeError, ValueError):
        return False
    return True
