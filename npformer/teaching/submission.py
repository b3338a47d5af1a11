"""The referee on somebody's file: which functions there are, at which inputs, and what it says of them."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..diagnosis import check
from ..diagnosis.samples import SIZES
from ..gradcheck.streams import own_stream
from .child import in_our_words, in_the_authors_words, is_our_own, tell
from .points import op_of, points_of

# below an attention that passes
OFF_BY_ONE = "A mask that is off by one has right gradients: npformer.gradcheck.properties.causal shows it."


def check_file(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Check every pair of a file, or the one that is named; runs in the child.

    Parameters
    ----------
    request : dict
        "file", and optionally "name", "op", "shapes", "seed", "strict".

    Returns
    -------
    list of dict
        For each pair "name", "passed", "text", "report"; or "name", "passed" = False and "text" where there
        is no report, with what is missing, or the exception that it raised. The same is told before each
        pair, which is "open" then, with those that wait.
    """
    module = _loaded(Path(request["file"]))
    names = [request["name"]] if request.get("name") else _pairs(module)
    if not names:
        text = "no NAME_forward (or NAME) with a NAME_backward was found"
        return [{"name": "", "passed": False, "text": text}]
    if len(names) == 1:
        request = {**request, "name": names[0]}  # what --shapes lack is told where it is meant
    checked: list[dict[str, Any]] = []
    for i, name in enumerate(names):
        open_ = {"passed": False, "text": "", "open": True}
        waiting = [{"name": n, "passed": False, "text": f"{n}: it was not reached"} for n in names[i + 1 :]]
        tell([*checked, {"name": name, **open_}, *waiting])
        checked.append(_checked(module, name, request))
    return checked


def _loaded(path: Path) -> Any:
    sys.path.insert(0, str(path.parent))  # they may import the files beside it,
    sys.path.append(os.getcwd())  # and those of this folder, where nothing else has the name
    spec = importlib.util.spec_from_file_location("submission", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["submission"] = module
    spec.loader.exec_module(module)
    return module


def _pairs(module: Any) -> list[str]:
    own = [name for name, x in vars(module).items() if callable(x)]
    backwards = [name.removesuffix("_backward") for name in own if name.endswith("_backward")]
    pairs = [name for name in backwards if f"{name}_forward" in own or name in own]
    return [name for name in pairs if not _of_npformer(module, name)] or pairs


def _of_npformer(module: Any, name: str) -> bool:
    """Whether both functions of a pair were imported from here, to build something out of them."""
    forward, backward = getattr(module, f"{name}_forward", None), getattr(module, f"{name}_backward")
    both = (forward or getattr(module, name), backward)
    return all(str(getattr(function, "__module__", "")).partition(".")[0] == "npformer" for function in both)


def _checked(module: Any, name: str, request: dict[str, Any]) -> dict[str, Any]:
    forward = getattr(module, f"{name}_forward", None) or getattr(module, name, None)
    backward = getattr(module, f"{name}_backward", None)
    for function, what in ((forward, f"{name}_forward or {name}"), (backward, f"{name}_backward")):
        if not callable(function):
            text = f"{name}: there is no function {what}"
            return {"name": name, "passed": False, "absent": True, "text": text}
    assert forward is not None
    assert backward is not None
    op = op_of(request.get("op") or name)
    try:
        points = points_of(module, name, op, forward, request)
    except Exception as error:  # of their example_inputs
        return _raised(name, error)
    if isinstance(points, str):
        return {"name": name, "passed": False, "text": points}
    drawn = len(points) > 1 or op in SIZES
    first: dict[str, Any] | None = None
    for point, wrt in points:  # plainer ones only where their code raises, or gives other shapes
        rng = own_stream("cotangent", request.get("seed", 0))
        strict = bool(request.get("strict"))
        try:
            report = check(forward, backward, point, op=op, wrt=wrt, rng=rng, strict=strict)
        except Exception as error:
            first = first or _raised(name, error, point if drawn else None)
            continue
        text = f"{report}\n\nIt was called with {_called(point)}."
        if name not in text.partition("\n")[0]:  # the report's title is the op's
            text = f"{name}: {text}"
        elsewhere = "" if first is None else f"at {first['point']} it fails: {first['error']}"
        if elsewhere:
            text += f"\nThis is a plainer point: {elsewhere}"
        if report.passed and "attention" in op.lower():
            text += f"\n\n{OFF_BY_ONE}"
        passed = report.passed and not (strict and elsewhere)
        told = {"name": name, "passed": passed, "text": text, "report": report.to_dict()}
        if elsewhere:
            told["elsewhere"] = elsewhere
        misshapen = next((r.sentence for r in report.results if r.verdict.name == "SHAPE"), "")
        if not misshapen:
            return told
        first = first or {**told, "error": misshapen, "point": _sizes(point)}
    assert first is not None
    return first


def _raised(name: str, error: Exception, point: Any = None) -> dict[str, Any]:
    """What is said where a pair's code raises, with the sizes of a point that was not theirs."""
    line = f"{type(error).__name__}: {error}"
    if is_our_own(error):
        text = f"{name}: {in_our_words(error)}"
        return {"name": name, "passed": False, "text": text, "error": line, "point": ""}
    text = f"{name}: its code raised an exception\n{in_the_authors_words(error)}"
    where = ""
    if point is not None:
        where = _sizes(point)
        text += (
            f"\n(It was called with {_called(point)}. If it is not made for such, say which inputs it takes "
            "by example_inputs() in the file, or by --shapes.)"
        )
    return {"name": name, "passed": False, "text": text, "error": line, "point": where}


def _sizes(point: Any) -> str:
    values = point.values() if isinstance(point, Mapping) else point
    return ", ".join(_size(x) for x in values if isinstance(x, np.ndarray))


def _size(x: Any) -> str:
    if not isinstance(x, np.ndarray):
        return f"{x!r}" if isinstance(x, (int, float, str, bool, type(None))) else f"a {type(x).__name__}"
    shape = "x".join(map(str, x.shape)) or "one number"
    return f"{shape}{' of ' + x.dtype.name if x.dtype.kind != 'f' else ''}"


def _called(point: Any) -> str:
    """The arguments in words: "x of 2x3x5, p = 0.3"."""
    if not isinstance(point, Mapping):
        return ", ".join(_size(x) for x in point)
    parts = [
        f"{k} of {_size(x)}" if isinstance(x, np.ndarray) else f"{k} = {_size(x)}" for k, x in point.items()
    ]
    return ", ".join(parts)
