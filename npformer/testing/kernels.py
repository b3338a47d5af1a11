"""A kernel in any language before the referee, by files: from `npformer vectors`, and back.

    npformer vectors layer_norm --seed 1 --out vectors.npz     # what the kernel reads
    my_kernel vectors.npz results.npz                          # "0/gradients/x", ..., "1/gradients/x", ...
    npformer vectors layer_norm --seed 1 --judge results.npz   # the reports, with the name of the mistake

Cases have the numbers and inputs the names that they have in the vectors. Results in float32 are judged at
its accuracy, at the point that the kernel has read: the vectors rounded to float32.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import functional
from ..diagnosis import check
from ..gradcheck import Report
from ..proof.cases import Case, cases
from ..proof.cases.case import CONSTANTS
from ..proof.vectors import made_from, read_vectors

Array = npt.NDArray[Any]

SAME_OUTPUT = {"float64": 1e-10, "float32": 1e-5}  # of the largest


@dataclass(frozen=True)
class KernelReport:
    """What is said of a kernel's results: a report for each case, by the case's variant.

    Attributes
    ----------
    op : str
    reports : dict of str to Report
    outputs : dict of str to str
        Cases whose output is not the op's, and by how much. An output that was not given is not judged.
    dtypes : dict of str to str
        At whose accuracy each case was judged, "float64" or "float32".
    """

    op: str
    reports: dict[str, Report]
    outputs: dict[str, str]
    dtypes: dict[str, str]

    @property
    def passed(self) -> bool:
        """Is every gradient right, and every output that was given?"""
        return all(self._case_passed(variant) for variant in self.reports)

    def __str__(self) -> str:
        return "\n".join(self._words(variant) for variant in self.reports)

    def checked(self) -> list[dict[str, Any]]:
        """Return for each case "name" (its variant), "passed", "text" and "report", as `npformer check` does.

        "passed" and "text" are of its gradients and of its output, "report" is of its gradients alone.
        """
        return [
            {
                "name": variant,
                "passed": self._case_passed(variant),
                "text": self._words(variant),
                "report": report.to_dict(),
            }
            for variant, report in self.reports.items()
        ]

    def _case_passed(self, variant: str) -> bool:
        return self.reports[variant].passed and variant not in self.outputs

    def _words(self, variant: str) -> str:
        report, dtype = self.reports[variant], self.dtypes[variant]
        which = variant if dtype == "float64" else f"{variant}, in {dtype}"
        lines = [f"{self.op}, {which}: {'passed' if self._case_passed(variant) else 'FAILED'}"]
        if variant in self.outputs:
            lines.append(f"  {self.outputs[variant]}")
        if not report.passed:
            lines += [f"  {line}" if line else "" for line in str(report).splitlines()]
        return "\n".join(lines)


def check_vectors(
    op: str, results: str | Path, seed: int | None = None, dtype: str | None = None
) -> KernelReport:
    """Judge the gradients that a kernel computed from the test vectors of an op.

    Parameters
    ----------
    op : str
    results : path
        An .npz with "CASE/gradients/NAME" for every case and input of the vectors ("0/gradients/x"), and, if
        they are to be judged too, "CASE/out" and "CASE/intermediates/NAME". Or a .json of the vectors' form.
    seed : int, optional
        The one the vectors were made with. Default: what the results say ("seed"), else 0.
    dtype : {"float64", "float32"}, optional
        At whose accuracy to judge. Default: float32 for cases whose gradients all are float32 or narrower.

    Returns
    -------
    KernelReport

    Raises
    ------
    ValueError
        If there is no such op, or it has no gradients; if a case or a gradient is missing in the results, or
        these say that they are of another op or seed.
    OSError
        If the file cannot be read.
    """
    if op in CONSTANTS:
        raise ValueError(f"check_vectors: op: expected one with gradients to judge, got {op}, which has none")
    if dtype is not None and dtype not in SAME_OUTPUT:
        raise ValueError(f"check_vectors: dtype: expected one of {', '.join(SAME_OUTPUT)}, got {dtype!r}")
    computed = read_vectors(results)
    of_op, of_seed = made_from(results)
    if of_op not in (None, op) or of_seed is not None and seed not in (None, of_seed):
        said = op if seed is None else f"{op}, seed {seed}"
        got = of_op or op if of_seed is None else f"{of_op or op}, seed {of_seed}"
        raise ValueError(f"check_vectors: {results}: expected results of {said}, got those of {got}")
    stored = cases(op, (of_seed or 0) if seed is None else seed)
    if not all(
        isinstance(case, Mapping) and isinstance(case.get("gradients", {}), Mapping) for case in computed
    ):
        raise ValueError(f'check_vectors: {results}: expected cases with "gradients" by name')
    if len(computed) != len(stored):
        missing = [f"{i}/gradients ({case.variant})" for i, case in enumerate(stored)][len(computed) :]
        gap = f"; there is no {', no '.join(missing)}" if missing else ""
        raise ValueError(
            f"check_vectors: {results}: expected the {len(stored)} cases of {op}, got {len(computed)}{gap}"
        )
    reports: dict[str, Report] = {}
    outputs: dict[str, str] = {}
    dtypes: dict[str, str] = {}
    for number, (case, result) in enumerate(zip(stored, computed, strict=True)):
        for name in case.inputs:
            if name not in result.get("gradients", {}):
                raise ValueError(
                    f"check_vectors: {results}: expected {number}/gradients/{name}, "
                    f"got {', '.join(result.get('gradients', {})) or 'no gradients'}"
                )
        given = [np.asarray(result["gradients"][name]) for name in case.inputs]
        narrow = all(gradient.dtype.kind == "f" and gradient.dtype.itemsize < 8 for gradient in given)
        of_case = dtype or ("float32" if narrow else "float64")
        reports[case.variant] = _judge(case, result, of_case)
        if "out" in result and (wrong := _output(case, result["out"], of_case)):
            outputs[case.variant] = wrong
        dtypes[case.variant] = of_case
    return KernelReport(op, reports, outputs, dtypes)


def assert_vectors_match(
    op: str, results: str | Path, seed: int | None = None, dtype: str | None = None
) -> KernelReport:
    """Fail unless a kernel's results are right; as `check_vectors`.

    Parameters
    ----------
    op, results, seed, dtype
        As for `check_vectors`.

    Returns
    -------
    KernelReport

    Raises
    ------
    AssertionError
        Its message is the report.
    """
    __tracebackhide__ = True
    report = check_vectors(op, results, seed, dtype)
    if not report.passed:
        raise AssertionError("\n" + str(report))
    return report


def _judge(case: Case, result: Mapping[str, Any], dtype: str) -> Report:
    """The op's own forward at the case's point, and the stored gradients for a backward."""
    forward = getattr(functional, case.op)
    case = case.astype(dtype)
    inputs: dict[str, Any] = {**case.inputs, **case.arguments}
    for name, parameter in inspect.signature(forward).parameters.items():
        if parameter.default is parameter.empty and name not in inputs:
            inputs[name] = None  # the keys' sequence in self-attention
    if case.random is not None:
        inputs["rng"] = case.random().generator

    def backward(dout: Array, cache: Any, intermediates: dict[str, Array] | None = None) -> dict[str, Any]:
        if intermediates is not None:
            intermediates |= result.get("intermediates", {})
        given = {name: result["gradients"][name] for name in case.inputs}
        if dtype == "float64":
            return given  # whatever it is: narrower numbers are told
        read = {name: np.asarray(gradient) for name, gradient in given.items()}
        return {name: x.astype(dtype) if x.dtype.kind in "fiub" else x for name, x in read.items()}

    return check(forward, backward, inputs, op=case.op, wrt=list(case.inputs), dout=case.dout)


def _output(case: Case, given: Array, dtype: str) -> str:
    read = case.astype(dtype).astype(np.float64)
    out = np.asarray(read.forward(**read.inputs)[0])
    given = np.asarray(given)
    if given.dtype.kind not in "biufc":
        return f"The output is no array of numbers, but one of {given.dtype}."
    if given.shape != out.shape:
        return f"The output has shape {given.shape}, the op's {out.shape}."
    error = float(np.max(np.abs(given - out), initial=0.0))
    scale = float(np.max(np.abs(out), initial=0.0))
    if error <= SAME_OUTPUT[dtype] * scale:
        return ""
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.abs(given - out))), out.shape))
    return f"The output differs, most at {where}: {given[where]:.6g} for {out[where]:.6g}."
