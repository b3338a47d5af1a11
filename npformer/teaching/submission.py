"""The referee on somebody's file: which functions there are, at which inputs, and what it says of them."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..diagnosis import check, sample_inputs
from ..diagnosis.samples import SIZES
from .child import in_the_authors_words

# what people call an op -> the op
ALIASES = {
    "affine": "linear",
    "fc": "linear",
    "dense": "linear",
    "layernorm": "layer_norm",
    "rmsnorm": "rms_norm",
    "attention": "scaled_dot_product_attention",
    "sdpa": "scaled_dot_product_attention",
    "mha": "multi_head_attention",
    "multihead_attention": "multi_head_attention",
    "word_embedding": "embedding",
    "softmax_loss": "cross_entropy",
    "logsoftmax": "log_softmax",
    "mse": "mse_loss",
    "rope": "rotary",
    "swish": "silu",
}
SHAPE = re.compile(r"(\w+)=(\d+(?:x\d+)*)(?::(bool|int\d+))?")


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
        is no report, with what is missing, or the exception that it raised.
    """
    module = _loaded(Path(request["file"]))
    names = [request["name"]] if request.get("name") else _pairs(module)
    if not names:
        text = "no NAME_forward (or NAME) with a NAME_backward was found"
        return [{"name": "", "passed": False, "text": text}]
    return [_checked(module, name, request) for name in names]


def _loaded(path: Path) -> Any:
    sys.path.insert(0, str(path.parent))  # they may import the files beside it
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
    return [name for name in backwards if f"{name}_forward" in own or name in own]


def _checked(module: Any, name: str, request: dict[str, Any]) -> dict[str, Any]:
    forward = getattr(module, f"{name}_forward", None) or getattr(module, name, None)
    backward = getattr(module, f"{name}_backward", None)
    for function, what in ((forward, f"{name}_forward or {name}"), (backward, f"{name}_backward")):
        if not callable(function):
            return {"name": name, "passed": False, "text": f"{name}: there is no function {what}"}
    assert forward is not None
    assert backward is not None
    op = op_of(request.get("op") or name)
    try:
        points = _points(module, name, op, forward, request)
    except Exception as error:  # of their example_inputs
        return _raised(name, error)
    if isinstance(points, str):
        return {"name": name, "passed": False, "text": points}
    first: dict[str, Any] | None = None
    for point in points:  # plainer ones only where their code raises
        rng = np.random.default_rng(request.get("seed", 0))
        try:
            report = check(forward, backward, point, op=op, rng=rng, strict=bool(request.get("strict")))
        except Exception as error:
            first = first or _raised(name, error, point if len(points) > 1 else None)
            continue
        text = str(report)
        if first is not None:
            text = f"{text}\n\nThis is a plainer point: at {first['point']}, {first['error']}"
        report_dict = json.loads(report.to_json())
        return {"name": name, "passed": report.passed, "text": text, "report": report_dict}
    assert first is not None
    return first


def op_of(name: str) -> str:
    """Return the op that people mean by a name, or the name.

    Examples
    --------
    >>> op_of("layernorm"), op_of("my_op")
    ('layer_norm', 'my_op')
    """
    return ALIASES.get(name, name)


def _raised(name: str, error: Exception, point: Sequence[Any] | None = None) -> dict[str, Any]:
    """What is said where a pair's code raises, with the sizes of a point that was not theirs."""
    text = f"{name}: its code raised an exception\n{in_the_authors_words(error)}"
    where = ""
    if point is not None:
        arrays = [x for x in point if isinstance(x, np.ndarray)]
        where = ", ".join(
            f"{'x'.join(map(str, x.shape))}{' of ' + x.dtype.name if x.dtype.kind != 'f' else ''}"
            for x in arrays
        )
        text += (
            f"\n(It was called with arrays of {where}. If it is not made for such, say which inputs it takes "
            "by example_inputs() in the file, or by --shapes.)"
        )
    line = f"{type(error).__name__}: {error}"
    return {"name": name, "passed": False, "text": text, "error": line, "point": where}


def _points(
    module: Any, name: str, op: str, forward: Callable[..., Any], request: dict[str, Any]
) -> Sequence[Any] | str:
    """Where to check: the file's own inputs, the shapes that were asked for, or a known op's points."""
    seed = int(request.get("seed", 0))
    parameters = inspect.signature(forward).parameters.values()
    needed = [p for p in parameters if p.default is p.empty]
    anything = any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)
    if request.get("shapes"):
        shapes = inputs_of_shapes(request["shapes"], seed)
        fits = {p.name for p in needed} <= set(shapes) <= {p.name for p in parameters}
        if fits or anything or request.get("name"):
            return [shapes]
    for maker in (f"{name}_example_inputs", "example_inputs"):
        if hasattr(module, maker):
            function = getattr(module, maker)
            return [function(name) if inspect.signature(function).parameters else function()]
    if op not in SIZES:
        wanted = ", ".join(p.name for p in needed)
        return (
            f"{name}: no inputs to check it at: define example_inputs() or {name}_example_inputs() in the "
            f"file, or give --shapes for {wanted}, as in --shapes x=3x4,w=4x5; {op} is no known op"
        )
    points = [_first(list(point.values()), needed) for point in plainer_points(op, seed)]
    if len(needed) > len(points[0]) and not anything:
        wanted = ", ".join(p.name for p in needed)
        return f"{name}: {op} has {len(points[0])} inputs here, the function wants {wanted}: give --shapes"
    return points


def _first(values: list[Any], needed: Sequence[Any]) -> list[Any]:
    return values[: max(len(needed), 1)] if len(needed) < len(values) else values


def plainer_points(op: str, seed: int = 0) -> list[dict[str, Any]]:
    """Return the sample point of an op, then plainer ones: for code that takes less than the op does.

    Without ignored targets; with as many keys as queries; with one sequence in place of a batch.

    Examples
    --------
    >>> [point["q"].shape for point in plainer_points("scaled_dot_product_attention")]
    [(2, 4, 3), (2, 4, 3), (4, 3), (4, 3)]
    """
    points = [sample_inputs(op, seed)]
    if "targets" in points[0]:
        points.append({k: np.maximum(x, 0) if k == "targets" else x for k, x in points[0].items()})
    if op == "scaled_dot_product_attention":
        points.append(sample_inputs(op, seed, equal=True))
        points += [
            {k: x[0] if isinstance(x, np.ndarray) else x for k, x in point.items()} for point in points[:2]
        ]
    elif points[0].get("x") is not None and points[0]["x"].ndim == 3 and op != "multi_head_attention":
        points.append({k: x.reshape(-1, x.shape[-1]) if k == "x" else x for k, x in points[0].items()})
    return points


def inputs_of_shapes(text: str, seed: int) -> dict[str, Any]:
    """Return random inputs of the shapes in "x=3x4,gamma=4,ids=2x5:int7,mask=3x4:bool".

    Raises
    ------
    ValueError
        If a part is not understood.

    Examples
    --------
    >>> {name: x.shape for name, x in inputs_of_shapes("x=3x4,ids=2:int7", 0).items()}
    {'x': (3, 4), 'ids': (2,)}
    """
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for part in text.split(","):
        match = SHAPE.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"--shapes: expected parts like x=3x4, ids=2x5:int7 or m=3x4:bool, got {part!r}")
        name, sizes, kind = match.groups()
        shape = tuple(int(size) for size in sizes.split("x"))
        if 0 in shape:
            raise ValueError(f"--shapes: expected sizes of 1 or more, got {part.strip()!r}")
        if kind == "bool":
            found[name] = rng.random(shape) < 0.6
        elif kind:
            ids = rng.integers(0, max(int(kind[3:]), 1), shape)
            ids.flat[-1:] = ids.flat[0]
            found[name] = ids
        else:
            found[name] = rng.standard_normal(shape)
    return found
