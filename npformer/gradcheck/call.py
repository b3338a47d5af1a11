"""How somebody's forward and backward are called, and what they do besides computing.

The forward gets the inputs, by position for a sequence and by name for a mapping. Two conventions are
understood, told apart by what the forward returns:

    out, cache = forward(...)      gradients = backward(dout, cache)
    out        = forward(...)      gradients = backward(dout, ...the inputs...)
                                   gradients = backward(dout) where it takes no more: the rest is in an object

A tuple of two is (out, cache), unless the backward cannot take two arguments. `out` may itself be a tuple of
arrays; `dout` is then one too. The gradients may be a bare array, a tuple in the order of the
differentiable inputs (with or without None for the others), or a mapping by name ("x" or "dx").
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .derivative import fresh
from .verdicts import Finding, Verdict

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
            return result[0], result[1], True
        return result, None, False

    def differentiate(self, dout: Any, inputs: Mapping[str, Any], cache: Any, cached: bool) -> Any:
        """Call the backward with exactly these objects."""
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


def parts(out: Any) -> list[Array]:
    """The arrays of an output, which is one array or a tuple of them."""
    return [np.asarray(part) for part in out] if isinstance(out, (tuple, list)) else [np.asarray(out)]


def joined(out: Any) -> Array:
    """An output as one array that shares nothing with it: several are joined end to end."""
    if not isinstance(out, (tuple, list)):
        return np.array(out)
    return np.concatenate([part.ravel() for part in parts(out)])


@dataclass(frozen=True)
class Observation:
    """What the calls at the point gave, and what they did besides."""

    out: Any  # copies
    dout: Any
    given: dict[str, Any]  # the gradient as it was returned (copied), None where there is none
    findings: dict[str, list[Finding]]  # by differentiable input
    steady: bool = True  # does the forward give the same twice? Otherwise it has no derivative


def observe(problem: Problem, dout: Any, rng: np.random.Generator) -> Observation:
    """Run forward and backward twice and watch what they touch.

    Run A: forward, backward, and the backward again with the same cache. Run B: all from the start, and the
    backward once more with another dout.
    """
    found: dict[str, list[Finding]] = {name: [] for name in problem.wrt}

    def find(verdict: Verdict, sentence: str, names: Iterable[str] = problem.wrt) -> None:
        for name in names:
            found[name].append(Finding(verdict, sentence))

    a = fresh(problem.inputs)
    out, cache, cached = problem.evaluate(a)
    kept_out = _copied(out)
    if dout is None:
        douts = tuple(rng.standard_normal(part.shape).astype(_real(part)) for part in parts(out))
        dout = douts if isinstance(out, (tuple, list)) else douts[0]
    elif [p.shape for p in parts(dout)] != [p.shape for p in parts(out)]:
        shapes = [p.shape for p in parts(out)], [p.shape for p in parts(dout)]
        raise ValueError(f"check: dout: expected the shape of the output {shapes[0]}, got {shapes[1]}")
    kept_dout = _copied(dout)
    for name in _changed(a, problem.inputs):
        find(Verdict.INPUT_MUTATED, f"The forward changed its input {name} in place.", _about(name, problem))

    if not cached:  # the backward gets the inputs themselves: as they were, and Generators not yet drawn from
        a = fresh(problem.inputs)
    given_dout = _copied(kept_dout)
    before = fresh({name: value for name, value in a.items() if isinstance(value, np.ndarray)})
    raw = _named(problem.differentiate(given_dout, a, cache, cached), problem)
    if isinstance(raw, str):
        find(Verdict.SHAPE, raw)
        return Observation(kept_out, kept_dout, dict.fromkeys(problem.wrt), found)
    given = {name: _copied(raw[name]) for name in problem.wrt}
    if not _same(given_dout, kept_dout):
        find(
            Verdict.DOUT_MUTATED,
            "The backward changed dout in place: whoever uses it next gets other numbers.",
        )
    for name in _changed(a, before):
        find(Verdict.INPUT_MUTATED, f"The backward changed the input {name} in place.", _about(name, problem))
    _find_shared(raw, a, given_dout, found)

    again_a = a if cached else fresh(problem.inputs)
    second = by_name(problem.differentiate(_copied(kept_dout), again_a, cache, cached), problem)
    b = fresh(problem.inputs)
    again, cache_b, _ = problem.evaluate(b)
    b = b if cached else fresh(problem.inputs)
    anew = by_name(problem.differentiate(_copied(kept_dout), b, cache_b, cached), problem)
    other_dout = _copied(tuple(1 - part for part in parts(kept_dout)))  # would show in a buffer used again
    problem.differentiate(other_dout if isinstance(kept_dout, tuple) else other_dout[0], b, cache_b, cached)
    if not _same(again, kept_out):
        find(
            Verdict.NONDETERMINISTIC,
            f"The forward called twice with the same inputs gave {_how_different(again, kept_out)}: "
            "randomness that is no input, or a state kept between calls.",
        )
        return Observation(kept_out, kept_dout, given, found, steady=False)
    for name in problem.wrt:
        if not _same(raw[name], given[name]):
            find(
                Verdict.ALIASED,
                f"A later call overwrote the gradient of {name}: a buffer used again.",
                [name],
            )
        repeated, fresh_one = second[name], anew[name]
        if not _same(repeated, given[name]):
            why = (
                "though all from the start gives the same again: the first call used up or changed its cache"
                if _same(fresh_one, given[name])
                else "and so does all from the start: randomness drawn in the backward, or a state it keeps"
            )
            what = "the same cache" if cached else "the same inputs"
            find(
                Verdict.NONDETERMINISTIC,
                f"The backward called twice with {what} gave different numbers, {why}.",
                [name],
            )
        elif not _same(fresh_one, given[name]):
            find(
                Verdict.NONDETERMINISTIC,
                "Forward and backward called again from the start gave a different gradient: "
                "a state kept between calls.",
                [name],
            )
    return Observation(kept_out, kept_dout, given, found)


def by_name(gradients: Any, problem: Problem) -> dict[str, Any]:
    """Return copies of the gradients to check by input; None where there is none."""
    named = _named(gradients, problem)
    return {name: None if isinstance(named, str) else _copied(named[name]) for name in problem.wrt}


def _about(name: str, problem: Problem) -> Iterable[str]:
    """The inputs whose results carry a finding about `name`: itself, or all where it has no result."""
    return [name] if name in problem.wrt else problem.wrt


def _named(gradients: Any, problem: Problem) -> dict[str, Any] | str:
    """The gradients by input name, or a sentence why they cannot be told apart."""
    names = problem.differentiable
    fields = getattr(gradients, "_fields", ())
    if fields and {field.removeprefix("d") for field in fields} == {name.removeprefix("d") for name in names}:
        gradients = gradients._asdict()
    if isinstance(gradients, Mapping):
        return {name: gradients.get(name, gradients.get("d" + name)) for name in names}
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
    wanted = f"{len(names)} differentiable inputs ({', '.join(names)})"
    count = f"{len(gradients)} gradient{'s' if len(gradients) != 1 else ''}"
    return f"The backward returned {count} for {wanted}; if the others are constants, say so by wrt."


def _find_shared(
    gradients: Mapping[str, Any], inputs: Mapping[str, Any], dout: Any, found: dict[str, list[Finding]]
) -> None:
    others = [(f"the input {key}", value) for key, value in inputs.items()]
    others += [("dout", part) for part in parts(dout)]
    for name in found:
        gradient = gradients[name]
        peers = [(f"the gradient of {key}", value) for key, value in gradients.items() if key != name]
        for what, other in [*others, *peers]:
            both = isinstance(gradient, np.ndarray) and isinstance(other, np.ndarray)
            if both and np.shares_memory(gradient, other):
                sentence = (
                    f"The gradient of {name} shares its memory with {what}: changing one changes the other."
                )
                found[name].append(Finding(Verdict.ALIASED, sentence))


def _changed(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    """The arrays that are no longer what they were."""
    return [name for name, old in then.items() if isinstance(old, np.ndarray) and not _same(now[name], old)]


def _copied(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(_copied(part) for part in value)
    return None if value is None else np.array(value)


def _same(a: Any, b: Any) -> bool:
    """Equal bit for bit, NaN equal to NaN."""
    if a is None or b is None:
        return a is b
    pairs = list(zip(parts(a), parts(b), strict=False))
    if len(parts(a)) != len(parts(b)):
        return False
    return all(p.shape == q.shape and np.array_equal(p, q, equal_nan=p.dtype.kind in "fc") for p, q in pairs)


def _how_different(a: Any, b: Any) -> str:
    one, other = joined(a), joined(b)
    if one.shape != other.shape:
        return "outputs of different shapes"
    return f"different outputs (in {int(np.sum(one != other))} of {one.size} entries)"


def _real(part: Array) -> Any:
    return part.dtype if part.dtype.kind == "f" else np.float64


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
