"""Mutants that a third party makes of every backward: does the referee catch them, and what are they called?

    pip install cosmic-ray && python benchmarks/third_party_mutants.py

cosmic-ray replaces operators, numbers, comparisons and so on in the source of each `*_backward` of
npformer.functional; it shares nothing with the mistakes that the referee replays. A mutant whose gradients
are the original's at every case of the op (to 1e-12) is no mutant; one that raises is caught without a
referee. Of the others the referee must pass none. Those inside the switch set are the ones that a replayed
mistake reproduces exactly. What it says of a mutant counts as

    named      a mistake that gives exactly these gradients, in the step that was mutated
    same       a mistake that gives exactly these gradients, told of another step
    located    no known mistake; the right step of the derivation
    mislocated no known mistake; a wrong step
    unknown    no more than where the error sits
"""

from __future__ import annotations
import __future__

import argparse
import inspect
import json
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import npformer
from npformer import functional
from npformer.proof.cases import OPS, Case, cases

KINDS = ("named", "same", "located", "mislocated", "unknown")
STEP = re.compile(r"#\s*(\d[\d, ]*)")


def mutants(op: str) -> Iterator[tuple[str, str, str]]:
    """Yield (operator, the mutated source, the number of its step) for the backward of an op."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    source = inspect.getsource(getattr(functional, f"{op}_backward"))
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments():
            continue  # needs a choice of ours
        for occurrence in range(1000):
            mutated = mutate_code(source, operator(), occurrence)
            if mutated is None:
                break
            yield name, mutated, _step(source, mutated)


def _step(source: str, mutated: str) -> str:
    """The step of the line that was mutated: its own number, or that of the next line that has one."""
    lines, others = source.splitlines(), mutated.splitlines()
    where = next((i for i, (a, b) in enumerate(zip(lines, others, strict=False)) if a != b), len(lines))
    for line in lines[where:]:
        found = STEP.search(line)
        if found:
            return found.group(1).strip(" ,:")
    return ""


def built(op: str, source: str) -> Callable[..., Any]:
    """Return the function of a mutated source, among the names of its module."""
    function = getattr(functional, f"{op}_backward")
    names = dict(vars(inspect.getmodule(function)))
    code = compile(source, f"<{op}>", "exec", flags=__future__.annotations.compiler_flag)
    exec(code, names)
    return names[function.__name__]


def problem(case: Case) -> tuple[dict[str, Any], list[str]]:
    """The inputs of a case by the op's own names, and which are differentiable."""
    inputs = {**case.inputs, **{k: v for k, v in case.arguments.items() if k not in case.inputs}}
    if case.random is not None:
        inputs["rng"] = np.random.default_rng(5)
    return inputs, list(case.inputs)


def judged(
    op: str, mutated: str, step: str, points: list[tuple[dict[str, Any], list[str]]]
) -> tuple[str, str]:
    """Return what became of a mutant ("same gradient", "raises", "passed" or a kind) and what was said."""
    forward = getattr(functional, op)
    original = getattr(functional, f"{op}_backward")
    try:
        backward = built(op, mutated)
    except Exception as error:
        return "raises", repr(error)
    for inputs, wrt in points:
        copied = {k: np.random.default_rng(5) if k == "rng" else v for k, v in inputs.items()}
        out, cache = forward(**copied)
        dout = np.random.default_rng(1).standard_normal(np.shape(out))
        right = _gradients(original(dout, cache))
        try:
            wrong = _gradients(backward(np.array(dout), forward(**_fresh(inputs))[1]))
            if _equal(right, wrong):
                continue
            report = npformer.check(forward, backward, _fresh(inputs), op=op, wrt=wrt)
        except Exception as error:
            return "raises", repr(error)
        if report.passed:
            return "passed", ""
        first = [r.hypotheses[0] for r in report.results if not r.passed and r.hypotheses]
        if not first:
            return "unknown", report.verdict.name
        said = first[0]
        told = f"{said.identifier} [{said.step}]"
        right_step = bool({*said.step.split(", ")} & {*step.split(", ")})
        if said.identifier.startswith("wrong-"):
            return ("located" if right_step else "mislocated"), told
        if said.share < 0.999999 or said.identifier in ("unknown", "row-constant", "row-multiple"):
            return "unknown", told
        return ("named" if right_step or not said.step else "same"), told
    return "same gradient", ""


def _fresh(inputs: dict[str, Any]) -> dict[str, Any]:
    return {k: np.random.default_rng(5) if k == "rng" else v for k, v in inputs.items()}


def _gradients(found: Any) -> list[Any]:
    return list(found) if isinstance(found, tuple) else [found]


def _equal(one: list[Any], other: list[Any]) -> bool:
    if len(one) != len(other):
        return False
    for a, b in zip(one, other, strict=True):
        if (a is None) != (b is None):
            return False
        if a is None:
            continue
        b = np.asarray(b)
        if a.shape != b.shape or a.dtype != b.dtype or not np.isfinite(b).all():
            return False
        if np.max(np.abs(a - b), initial=0.0) > 1e-12 * max(float(np.max(np.abs(a), initial=0.0)), 1e-3):
            return False
    return True


def main() -> int:
    """Print the table; 1 if a mutant that changes the result was passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ops = [op for op in OPS if hasattr(functional, f"{op}_backward")]
    parser.add_argument("--op", choices=ops, help="one op alone")
    parser.add_argument("--list", metavar="KIND", help="print the mutants of a kind: passed, unknown, ...")
    parser.add_argument("--json", metavar="FILE", help="the counts of each op")
    args = parser.parse_args()
    try:
        import cosmic_ray  # noqa: F401
    except ImportError:
        print("cosmic-ray is missing: pip install cosmic-ray", file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")
    began = time.perf_counter()
    rows: dict[str, Counter[str]] = {}
    columns = ("mutants", "same gradient", "raises", "passed", *KINDS)
    print("| op | " + " | ".join(columns) + " |\n|---" + "|---:" * len(columns) + "|")
    with np.errstate(all="ignore"):
        for op in [args.op] if args.op else [o for o in OPS if hasattr(functional, f"{o}_backward")]:
            points = [problem(case) for case in cases(op, 0)]
            row = rows[op] = Counter()
            for name, mutated, step in mutants(op):
                kind, said = judged(op, mutated, step, points)
                row[kind] += 1
                row["mutants"] += 1
                if args.list == kind:
                    print(f"  {name} in step {step}: {_changed(op, mutated)}: {said}")
            print(f"| {op} | " + " | ".join(str(row[c]) for c in columns) + " |", flush=True)
    total = sum(rows.values(), Counter())
    print("| all | " + " | ".join(str(total[c]) for c in columns) + " |")
    inside, outside = (sum(total[kind] for kind in part) for part in (KINDS[:2], KINDS[2:]))
    print(f"inside the switch set: {inside}, of them {total['named']} in the step that was mutated")
    located = f"{total['located']} located ({total['located'] / outside:.0%})" if outside else "0 located"
    print(
        f"outside: {outside}, of them {located}, {total['mislocated']} mislocated, {total['unknown']} unknown"
    )
    print(f"{time.perf_counter() - began:.0f} s")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(rows, file, indent=1)
    return 1 if total["passed"] else 0


def _changed(op: str, mutated: str) -> str:
    lines = inspect.getsource(getattr(functional, f"{op}_backward")).splitlines()
    return next((b.strip() for a, b in zip(lines, mutated.splitlines(), strict=False) if a != b), "")


if __name__ == "__main__":
    sys.exit(main())
