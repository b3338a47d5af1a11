"""A page of the museum: the wrong line beside the right one, where it hides, and what the referee says."""

from __future__ import annotations

import ast
import inspect
import textwrap
import warnings
from collections.abc import Mapping, Set
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from ...diagnosis import check
from .exhibits import EXHIBITS, Exhibit
from .index import INDEX, OPTIMIZER_INDEX


def hides_at(exhibit: Exhibit) -> tuple[str, ...]:
    """Return the customary test points at which the wrong gradient passes: measured, not known.

    Examples
    --------
    >>> from .exhibits import exhibit
    >>> hides_at(exhibit("layer_norm/gamma-forgotten"))
    ('gamma of ones',)
    """
    forward, backward = exhibit.build()
    found = []
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = set(inspect.signature(forward).parameters)
        for what, inputs, ones in _customary(exhibit.point(0), options):
            try:
                out = forward(**inputs)[0]
                dout = np.ones_like(out) if ones else None
                passed = check(forward, backward, inputs, dout=dout).passed
            except (ValueError, IndexError):
                continue  # the op cannot be had at such a point
            if passed:
                found.append(what)
    return tuple(found)


def _customary(point: Mapping[str, Any], options: Set[str]) -> list[tuple[str, dict[str, Any], bool]]:
    """The points that tests are written at: what they are called, the inputs, and is dout all ones?"""
    places = [("a dout of ones", dict(point), True)]
    gammas = {name: np.ones_like(x) for name, x in point.items() if name.startswith("gamma")}
    if gammas:
        places.append(("gamma of ones", {**point, **gammas}, False))
    if "ids" in point:
        ids = np.arange(point["ids"].size).reshape(point["ids"].shape) % len(point["table"])
        ids = ids.ravel()[: len(point["table"]) - 1][None] + 1
        places.append(("ids without repeats, and without id 0", {**point, "ids": ids}, False))
    if "targets" in point and (point["targets"] < 0).any():
        kept = np.where(point["targets"] < 0, 0, point["targets"])
        places.append(("no ignored target", {**point, "targets": kept}, False))
    if "mask" in point:
        places.append(("nothing masked", {**point, "mask": np.ones_like(point["mask"])}, False))
    if "rng" in point:
        places.append(("dropout off", {**point, "p": 0.0}, False))
    if "softcap" in options:
        places.append(("a softcap of one", {**point, "softcap": 1.0}, False))
    if "window" in options:
        places.append(("a window of all keys", {**point, "window": 99}, False))
    if "class_weights" in point:
        equal = np.ones_like(point["class_weights"])
        places.append(("class weights of one", {**point, "class_weights": equal}, False))
    if "alpha" in options:
        places.append(("a scale of one", {**point, "alpha": float(point["a"].shape[1])}, False))
        places.append(("b of zeros", {**point, "b": np.zeros_like(point["b"])}, False))
    if "weight" in options:
        places.append(("a loss weight of one", {**point, "weight": 1.0}, False))
    first = next(iter(point))
    if point[first].ndim >= 2 and point[first].dtype.kind == "f" and first in ("x", "gate", "logits"):
        rows = {name: x[:1] if _has_rows(x, point[first]) else x for name, x in point.items()}
        places.append(("one row", rows, False))
    return places


def _has_rows(x: Any, first: Any) -> bool:
    return (
        isinstance(x, np.ndarray)
        and x.ndim >= 1
        and x.shape[:1] == first.shape[:1]
        and x.size >= first.shape[0]
    )


def listing(only: str = "") -> str:
    """Return the list of all exhibits, by op, or of one op's."""
    lines = []
    for op in [only] if only else INDEX:
        lines.append(f"{op}")
        lines += [f"  {e.number:>3}  {e.name:<32} {e.what}" for e in EXHIBITS if e.op == op]
    return "\n".join(lines)


def updates(which: str = "") -> list[dict[str, str]]:
    """Return the wrong updates of all optimizers, of one, or the one that is named; they have no pages.

    Examples
    --------
    >>> updates("sgd/ascent")
    [{'optimizer': 'sgd', 'name': 'ascent', 'what': 'the parameters are moved up the gradient'}]
    """
    return [
        {"optimizer": optimizer, "name": name, "what": what}
        for optimizer, names in OPTIMIZER_INDEX.items()
        for name, what in names
        if which in ("", optimizer, f"{optimizer}/{name}")
    ]


def listing_of_updates(which: str = "") -> str:
    """Return the same as a list, by optimizer."""
    lines = ["Wrong updates, named by npformer.diagnosis.check_optimizer:"]
    optimizer = ""
    for found in updates(which):
        if found["optimizer"] != optimizer:
            optimizer = found["optimizer"]
            lines.append(optimizer)
        lines.append(f"       {found['name']:<32} {found['what']}")
    return "\n".join(lines)


def difference(exhibit: Exhibit) -> list[str]:
    """Return the statements of the wrong backward behind -, and those of the right one behind +.

    Examples
    --------
    >>> from .exhibits import exhibit
    >>> difference(exhibit("linear/averaged-not-summed"))
    ['- db = dout.mean(axis=0)', '+ db = dout.sum(axis=0)']
    """
    right, wrong = (_statements(source) for source in exhibit.sources())
    found = []
    for kind, i, j, k, m in SequenceMatcher(None, wrong, right, autojunk=False).get_opcodes():
        if kind != "equal":
            found += [f"- {line}" for statement in wrong[i:j] for line in statement.splitlines()]
            found += [f"+ {line}" for statement in right[k:m] for line in statement.splitlines()]
    return found


def _statements(source: str) -> list[str]:
    """The lines of a function, those of one statement together."""
    lines = source.splitlines()
    ends = {
        node.lineno: node.end_lineno or node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt) and not hasattr(node, "body")
    }
    found, at = [], 1
    while at <= len(lines):
        end = ends.get(at, at)
        found.append(textwrap.dedent("\n".join(lines[at - 1 : end])))
        at = end + 1
    return found


def page(exhibit: Exhibit) -> str:
    """Return one exhibit in words, with the referee's own report."""
    forward, backward = exhibit.build()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = check(forward, backward, exhibit.point(0), op=exhibit.op)
    lines = [f"{exhibit.number}. {exhibit.op}: {exhibit.name}", "", f"The mistake: {exhibit.what}.", ""]
    lines += [f"  {line}" for line in difference(exhibit)]
    hidden = hides_at(exhibit)
    lines += ["", f"Why it looks right: {exhibit.why}"]
    places = (
        ", ".join(hidden) if hidden else "nowhere; each of the usual test points that were tried shows it"
    )
    lines += [f"Where it hides: {places}."]
    return "\n".join([*lines, "", str(report)])


def described(exhibit: Exhibit) -> dict[str, Any]:
    """Return the same for machines."""
    return {
        "number": exhibit.number,
        "op": exhibit.op,
        "name": exhibit.name,
        "what": exhibit.what,
        "right": list(exhibit.right),
        "wrong": list(exhibit.wrong),
        "why": exhibit.why,
        "hides_at": list(hides_at(exhibit)),
    }


def markdown() -> str:
    """Return docs/museum.md: every exhibit, without the numbers of a report."""
    lines = [
        "# The museum of wrong gradients",
        "",
        "Every mistake of the catalogue, in the ops as they are written in an exercise. Lines with -",
        "are wrong, those with + right. `npformer museum N` shows the referee's report. This page is made by",
        "`npformer museum --markdown`.",
    ]
    for op in INDEX:
        lines += ["", f"## {op}"]
        for e in (e for e in EXHIBITS if e.op == op):
            hidden = hides_at(e)
            lines += ["", f"**{e.number}. {e.name}**: {e.what}.", "", "```diff"]
            lines += [*difference(e), "```", "", f"Why it looks right: {e.why}"]
            lines += [f"Where it hides: {', '.join(hidden)}."] if hidden else []
    return "\n".join(lines) + "\n"
