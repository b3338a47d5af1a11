"""`check`: a forward, its hand-written backward and a point; out comes a verdict for every input."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import blind_spots, linearity
from .arrays import recognise
from .call import Problem, by_name, called, copied, joined, make_problem, numbers_with_a_gradient, parts
from .derivative import fresh
from .judge import judge
from .observe import Observation, observe
from .reference import reference
from .report import Report
from .streams import own_stream
from .verdicts import Evidence, Expert, Finding, Hypothesis, Reference, Result, Verdict

Array = npt.NDArray[Any]

EXPLAINED = 0.999999  # of the error
NEARBY = 1e-5  # of each number: a hundred roundings of float32, which come out otherwise there


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
    experts: Sequence[Expert] = (),
) -> Report:
    """Check a hand-written backward against numeric derivatives, every entry of every differentiable input.

    Parameters
    ----------
    forward : callable
        ``forward(*inputs)`` returns ``(out, cache)``, or ``out`` alone, where `out` is an array or a tuple of
        arrays.
    backward : callable
        ``backward(dout, cache)``, or ``backward(dout, *inputs)`` where the forward returns no cache (a tuple
        of two counts as output and cache unless the backward cannot be called with two arguments). Returns
        the gradients of the differentiable inputs in their order, as a bare array where there is one, or as
        a mapping by name.
    inputs : sequence or mapping of str to anything
        The point. Real floating-point arrays are differentiated; everything else (integers, booleans,
        Generators, None, settings) is passed on. A sequence gets its names from the forward's signature; a
        mapping is passed by keyword where the signature allows it. Every evaluation gets fresh copies,
        Generators included.
    op : str, optional
        A name for the report.
    wrt : str or iterable of str, optional
        The inputs to check (default: all differentiable ones). A Python float named here counts as one,
        and so does one that the backward returns a gradient for.
    rng : numpy.random.Generator, optional
        Draws the cotangent, standard normal; by default numbers that no seed gives, since a cotangent that is
        one of the inputs hides much.
    dout : array_like, or tuple of them for several outputs, optional
        The cotangent itself. The backward is then not asked for others, which would show whether it is
        linear in it.
    strict : bool
        Fail when the point has a blind spot.
    experts : sequence of callables
        Each gets the Evidence of a failed check and returns hypotheses about the cause by input. What the
        arrays alone tell is asked last, where nobody explained the error.

    Returns
    -------
    Report

    Raises
    ------
    ValueError, TypeError
        If there is nothing to differentiate, or `wrt` or `dout` do not fit. What forward and backward raise
        at the point itself comes through.

    Notes
    -----
    float32 inputs are judged at float32's accuracy, against derivatives taken in float64.

    Examples
    --------
    >>> import numpy as np
    >>> def forward(x, w):
    ...     return x @ w, (x, w)
    >>> def backward(dout, cache):
    ...     x, w = cache
    ...     return dout @ w.T, x.T @ dout
    >>> rng = np.random.default_rng(0)
    >>> report = check(forward, backward, [rng.standard_normal((3, 4)), rng.standard_normal((4, 2))])
    >>> report.passed, report["w"].verdict.name
    (True, 'OK')
    """
    problem = make_problem(forward, backward, inputs, wrt)
    rng = rng if rng is not None else own_stream("cotangent")
    seen = observe(problem, dout, rng)
    if wrt is None and (numbers := numbers_with_a_gradient(seen.returned, problem)):
        problem = make_problem(forward, backward, inputs, [*problem.wrt, *numbers])
        seen = observe(problem, dout if dout is not None else seen.dout, rng)
    if not seen.steady:
        results = [_unjudged(name, problem, seen) for name in problem.wrt]
        return Report(op, tuple(results), tuple(blind_spots.of_inputs(problem.inputs)), strict)

    out = joined(seen.out)
    if out.size and not np.isfinite(out).any():
        return _without_an_output(problem, seen, op, strict)
    coarse = _float32_output(problem, out)
    f, cotangent, inputs_wide = _function(problem, seen, coarse=bool(coarse))
    noise = _size(f, inputs_wide, np.where(np.isfinite(out), out, 0), cotangent)
    references = {name: reference(f, inputs_wide, name, cotangent) for name in problem.wrt}
    scale_all = max(_largest(r.gradient) for r in references.values())
    unsteady = any(f.verdict is Verdict.NONDETERMINISTIC for found in seen.findings.values() for f in found)
    # (with a cotangent of the user's, a backward that knows no other is all right: that of a scalar loss)
    linear = {} if unsteady or dout is not None else linearity.of_backward(problem, seen)
    results = [
        judge(
            name,
            problem.inputs[name],
            seen.given[name],
            references[name],
            scale_all=scale_all,
            noise=noise,
            dout_single=all(part.dtype.itemsize < 8 for part in parts(seen.dout)),
            observed=[*seen.findings[name], *coarse, *linear.get(name, ())],
            error_nearby=functools.partial(
                _error_nearby, problem, name, f, inputs_wide, seen, may_move_dout=dout is None
            ),
        )
        for name in problem.wrt
    ]
    if not all(result.passed for result in results):

        def numeric_for(name: str, other: Array) -> Array:
            wide = np.where(np.isfinite(out), other, 0).astype(np.float64)
            return reference(f, inputs_wide, name, wide).gradient

        def output_at(changed: Mapping[str, Any]) -> Array:
            try:
                with np.errstate(all="ignore"):
                    return f(**fresh({**inputs_wide, **changed}))
            except Exception:  # it is somebody's code, and this is not the point that was asked for
                return np.full(out.shape, np.nan)

        evidence = _evidence(problem, seen, results, references, op, numeric_for, output_at)
        results = _with_hypotheses(results, evidence, experts)
    spots = [
        *blind_spots.of_inputs(problem.inputs),
        *blind_spots.of_settings(problem.forward, problem.inputs),
        *blind_spots.of_choice(problem.inputs, problem.wrt),
        *(blind_spots.of_numbers(problem.inputs) if wrt is None else ()),
        *blind_spots.of_gradients(
            {name: r.gradient for name, r in references.items()},
            noise,
            {r.name: (r.tolerance * r.scale, problem.inputs[r.name].dtype.itemsize) for r in results},
        ),
        *blind_spots.of_call(out, joined(seen.dout)),
        *blind_spots.of_cotangent(problem.inputs, parts(seen.dout)),
    ]
    return Report(op, tuple(results), tuple(spots), strict, tuple(called(problem, seen.out)))


def _function(
    problem: Problem, seen: Observation, coarse: bool
) -> tuple[Callable[..., Array], Array, dict[str, Any]]:
    """The forward as a function of inputs by name, giving one array; its cotangent and its inputs.

    Outputs that are not finite at the point (the scores of masked keys) are left out: set to zero. Where the
    code fails away from the point it is outside its domain: NaN, and the stencil takes a narrower step.
    """
    finite = np.isfinite(joined(seen.out))
    cotangent = np.where(finite, joined(seen.dout), 0).astype(np.float64)
    settled = False

    def f(**inputs: Any) -> Array:
        try:
            out = joined(problem.evaluate(inputs)[0])
        except Exception:
            if not settled or any(isinstance(x, np.ndarray) and x.dtype.kind == "c" for x in inputs.values()):
                raise
            return np.full(finite.shape, np.nan)
        if out.shape != finite.shape:  # x[x > 0]: no derivative across that step
            return np.full(finite.shape, np.nan)
        if coarse and out.dtype.kind == "f":  # says how far its digits can be trusted
            out = out.astype(np.float32)
        return np.where(finite, out, 0)

    wide = {name: _wide(value) for name, value in problem.inputs.items()}
    try:
        f(**fresh(wide))
    except Exception:
        if all(value is wide[name] for name, value in problem.inputs.items()):
            raise
        return _narrow(f, problem), cotangent, wide
    settled = True
    return f, cotangent, wide


def _error_nearby(
    problem: Problem,
    name: str,
    f: Callable[..., Array],
    inputs: Mapping[str, Any],
    seen: Observation,
    *,
    may_move_dout: bool,
) -> Array | None:
    """Given minus numeric at a point so near that a mistake in a formula makes the same error there.

    Rounding makes another one. A cotangent of the user's stays: the backward may know no other.
    """
    rng = own_stream("nearby")

    def moved(x: Any) -> Any:
        is_float = isinstance(x, np.ndarray) and x.dtype.kind == "f"
        return x * (1 + NEARBY * rng.uniform(-1, 1, x.shape)) if is_float else x

    point = {key: moved(x) for key, x in fresh(inputs).items()}
    dout = copied(seen.dout)
    if may_move_dout:
        dout = tuple(map(moved, dout)) if isinstance(dout, tuple) else moved(dout)
    cotangent = np.where(np.isfinite(joined(seen.out)), joined(dout), 0).astype(np.float64)
    try:
        there = fresh(point)
        _, cache, cached = problem.evaluate(there)
        again = there if cached else fresh(point)
        given = by_name(problem.differentiate(copied(dout), again, cache, cached), problem)[name]
        error = np.asarray(given, np.float64) - reference(f, point, name, cotangent).gradient
    except Exception:  # it is somebody's code, and this is not the point that was asked for
        return None
    return error if np.isfinite(error).all() else None


def _size(f: Callable[..., Array], inputs: Mapping[str, Any], out: Array, cotangent: Array) -> float:
    """How large dout · out is, of which a gradient's rounding is a few eps: without what is constant in it.

    An output that has a large constant added (a score of -1e30) would excuse any gradient. So the outputs are
    also had at inputs that are moved by up to a tenth; those of order 1 count in any case.
    """
    with np.errstate(over="ignore"):
        whole = float(np.linalg.norm(cotangent * out))
    rng = own_stream("moves")

    def moved(x: Any) -> Any:
        if not (isinstance(x, np.ndarray) and x.dtype.kind == "f"):
            return x
        u = 0.1 * rng.uniform(-1, 1, x.shape)
        return x + u * np.where(x == 0, 1, np.where(np.isfinite(x), np.abs(x), 0))

    try:
        other = f(**fresh({name: moved(x) for name, x in inputs.items()}))
    except Exception:  # it is somebody's code, and this is not the point that was asked for
        return whole
    with np.errstate(all="ignore"):
        varies = 10 * float(np.linalg.norm(cotangent * (out - other)))
    usual = float(np.linalg.norm(cotangent * np.minimum(np.abs(out), 1)))
    return min(whole, max(varies, usual)) if np.isfinite(varies) else whole


def _narrow(f: Callable[..., Array], problem: Problem) -> Callable[..., Array]:
    """`f` for code that takes float32 alone."""
    dtypes = {name: x.dtype for name, x in problem.inputs.items() if isinstance(x, np.ndarray)}

    def narrow(**inputs: Any) -> Array:
        return f(**{name: x.astype(dtypes[name]) if name in dtypes else x for name, x in inputs.items()})

    return narrow


def _wide(value: Any) -> Any:
    narrow = isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype.itemsize < 8
    return value.astype(np.float64) if narrow else value


def _float32_output(problem: Problem, out: Array) -> list[Finding]:
    """Did a forward of float64 inputs give nothing but float32 numbers?"""
    floats = [x for x in problem.inputs.values() if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    if any(x.dtype.itemsize < 8 for x in floats) or all(_fits_float32(x) for x in floats):
        return []
    if not (out.dtype.kind == "f" and out.any() and np.isfinite(out).all() and _fits_float32(out)):
        return []
    if (out == np.rint(out)).all():  # counts, signs: exact in any precision
        return []
    sentence = "The inputs are float64, yet float32 can hold every output: float32 inside the forward."
    return [Finding(Verdict.PRECISION, sentence)]


def _fits_float32(x: Array) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.array_equal(x, x.astype(np.float32), equal_nan=True))


def _without_an_output(problem: Problem, seen: Observation, op: str | None, strict: bool) -> Report:
    """The report where no output is finite: nothing can be differentiated, and no gradient blamed."""
    out = joined(seen.out)
    where = f" at {(0,) * out.ndim}" if out.ndim else ""
    sentence = f"The output is not finite: {out.flat[0]}{where}. It has no derivative; choose another point."
    results = [
        Result(
            name,
            Verdict.CANNOT_TELL,
            False,
            (Finding(Verdict.CANNOT_TELL, sentence),),
            problem.inputs[name].shape,
            given=seen.given[name],
        )
        for name in problem.wrt
    ]
    return Report(op, tuple(results), tuple(blind_spots.of_call(out, joined(seen.dout))), strict)


def _unjudged(name: str, problem: Problem, seen: Observation) -> Result:
    findings = tuple(sorted(seen.findings[name], key=lambda finding: finding.verdict.rank))
    shape = problem.inputs[name].shape
    return Result(name, findings[0].verdict, False, findings, shape, given=seen.given[name])


def _evidence(
    problem: Problem,
    seen: Observation,
    results: Sequence[Result],
    references: Mapping[str, Reference],
    op: str | None,
    numeric_for: Callable[[str, Array], Array],
    output_at: Callable[[Mapping[str, Any]], Array],
) -> Evidence:
    numbers = {Verdict.WRONG, Verdict.SHAPE, Verdict.NONFINITE, Verdict.PRECISION}
    return Evidence(
        op=op,
        wrong=tuple(
            r.name for r in results if not r.passed and any(f.verdict in numbers for f in r.findings)
        ),
        verdicts={result.name: result.verdict for result in results},
        given=dict(seen.given),
        numeric={name: r.gradient for name, r in references.items()},
        inputs=fresh(problem.inputs),
        out=seen.out,
        dout=seen.dout,
        cache=problem.evaluate(fresh(problem.inputs))[1],
        forward=problem.forward,
        backward=problem.backward,
        numeric_for=numeric_for,
        output_at=output_at,
        told_apart=seen.told_apart,
    )


def _with_hypotheses(
    results: Sequence[Result], evidence: Evidence, experts: Sequence[Expert]
) -> list[Result]:
    """Each failed result with what is said of it: by the experts, else by the arrays alone."""
    said: dict[str, list[Hypothesis]] = {name: [] for name in evidence.wrong}
    for expert in [*experts, recognise]:
        unexplained = tuple(name for name, found in said.items() if not _explained(found))
        if unexplained:
            for name, hypotheses in expert(replace(evidence, wrong=unexplained)).items():
                said[name] += hypotheses
    found = []
    for result in results:
        ranked = sorted(said.get(result.name, ()), key=lambda hypothesis: -hypothesis.share)  # stable
        found.append(replace(result, hypotheses=tuple(ranked[:3])))
    return found


def _explained(hypotheses: Sequence[Hypothesis]) -> bool:
    return any(hypothesis.share >= EXPLAINED for hypothesis in hypotheses)


def _largest(x: Array) -> float:
    finite = x[np.isfinite(x)]
    largest = float(np.max(np.abs(finite), initial=0.0))
    return largest if math.isfinite(largest) else 0.0
