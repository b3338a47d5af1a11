"""What a forward and its backward do besides computing: change, share or keep something, draw at random."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .call import Problem, by_input, by_name, copied, is_nested_list, joined, parts
from .derivative import fresh
from .verdicts import Finding, Verdict

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Observation:
    """What the calls at the point gave, and what they did besides."""

    out: Any  # copies
    dout: Any
    given: dict[str, Any]  # the gradient as it was returned (copied), None where there is none
    findings: dict[str, list[Finding]]  # by differentiable input
    steady: bool = True  # does the forward give the same twice? Otherwise it has no derivative
    told_apart: bool = True  # which gradient belongs to which input?
    returned: Any = None  # by the backward, as it came


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
    kept_out = copied(out)
    if any(part.dtype.kind == "c" for part in parts(out)):
        raise TypeError("check: forward: expected real numbers of real inputs, got complex ones")
    if dout is None:
        douts = tuple(np.asarray(rng.standard_normal(part.shape), _real(part)) for part in parts(out))
        # (what flows into an output that is not finite cannot be checked: nothing is sent there)
        for drawn, part in zip(douts, parts(out), strict=True):
            drawn[~np.isfinite(part)] = 0
        dout = douts if isinstance(out, (tuple, list)) else douts[0]
    elif isinstance(dout, list) and [p.shape for p in parts(dout)] != [p.shape for p in parts(out)]:
        dout = np.asarray(dout)  # one array, written out in lists
    if [p.shape for p in parts(dout)] != [p.shape for p in parts(out)]:
        shapes = [p.shape for p in parts(out)], [p.shape for p in parts(dout)]
        raise ValueError(f"check: dout: expected the shape of the output {shapes[0]}, got {shapes[1]}")
    kept_dout = copied(dout)
    for name in _changed(a, problem.inputs):
        find(Verdict.INPUT_MUTATED, f"The forward changed its input {name} in place.", _about(name, problem))

    if not cached:  # the backward gets the inputs themselves: as they were, and Generators not yet drawn from
        a = fresh(problem.inputs)
    given_dout = copied(kept_dout)
    before = fresh({name: value for name, value in a.items() if isinstance(value, np.ndarray)})
    returned = problem.differentiate(given_dout, a, cache, cached)
    raw = by_input(returned, problem)
    if is_nested_list(returned, problem):
        find(Verdict.DTYPE, "The gradient is a list of lists, not an array.")
    if isinstance(raw, str):
        find(Verdict.SHAPE, raw)
        return Observation(
            kept_out, kept_dout, dict.fromkeys(problem.wrt), found, told_apart=False, returned=returned
        )
    given = {name: copied(raw[name]) for name in problem.wrt}
    if not _same(given_dout, kept_dout):
        find(
            Verdict.DOUT_MUTATED,
            "The backward changed dout in place: whoever uses it next gets other numbers.",
        )
    for name in _changed(a, before):
        find(Verdict.INPUT_MUTATED, f"The backward changed the input {name} in place.", _about(name, problem))
    _find_shared(raw, a, given_dout, found)

    again_a = a if cached else fresh(problem.inputs)
    second = by_name(problem.differentiate(copied(kept_dout), again_a, cache, cached), problem)
    b = fresh(problem.inputs)
    again, cache_b, _ = problem.evaluate(b)
    b = b if cached else fresh(problem.inputs)
    anew = by_name(problem.differentiate(copied(kept_dout), b, cache_b, cached), problem)
    other_dout = copied(tuple(1 - part for part in parts(kept_dout)))  # would show in a buffer used again
    with contextlib.suppress(Exception):  # at the dout of the check it runs: that is what is judged
        problem.differentiate(
            other_dout if isinstance(kept_dout, tuple) else other_dout[0], b, cache_b, cached
        )
    if not _same(again, kept_out):
        find(
            Verdict.NONDETERMINISTIC,
            f"The forward called twice with the same inputs gave {_how_different(again, kept_out)}: "
            "randomness that is no input, or a state kept between calls.",
        )
        return Observation(kept_out, kept_dout, given, found, steady=False, returned=returned)
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
    return Observation(kept_out, kept_dout, given, found, returned=returned)


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


def _about(name: str, problem: Problem) -> Iterable[str]:
    """The inputs whose results carry a finding about `name`: itself, or all where it has no result."""
    return [name] if name in problem.wrt else problem.wrt


def _real(part: Array) -> Any:
    return part.dtype if part.dtype.kind == "f" else np.float64
