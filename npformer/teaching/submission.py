"""The referee on somebody's file: which functions there are, at which inputs, and what it says of them."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..diagnosis import check, sample_inputs
from ..gradcheck import Report

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
        is no report, with what is missing.
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
    op = request.get("op") or ALIASES.get(name, name)
    inputs = _inputs(module, name, op, forward, request)
    if isinstance(inputs, str):
        return {"name": name, "passed": False, "text": inputs}
    rng = np.random.default_rng(request.get("seed", 0))
    report: Report = check(forward, backward, inputs, op=op, rng=rng, strict=bool(request.get("strict")))
    return {
        "name": name,
        "passed": report.passed,
        "text": str(report),
        "report": json.loads(report.to_json()),
    }


def _inputs(module: Any, name: str, op: str, forward: Callable[..., Any], request: dict[str, Any]) -> Any:
    """Where to check: the file's own inputs, the shapes that were asked for, or a known op's point."""
    seed = int(request.get("seed", 0))
    if request.get("shapes"):
        return inputs_of_shapes(request["shapes"], seed)
    for maker in (f"{name}_example_inputs", "example_inputs"):
        if hasattr(module, maker):
            function = getattr(module, maker)
            return function(name) if inspect.signature(function).parameters else function()
    try:
        values = list(sample_inputs(op, seed).values())
    except ValueError:
        return (
            f"{name}: no inputs to check it at: define example_inputs(), give --shapes x=3x4,w=4x5, "
            "or say which op it is with --op"
        )
    needed = [p for p in inspect.signature(forward).parameters.values() if p.default is p.empty]
    if len(needed) < len(values):
        values = values[: max(len(needed), 1)]
    if len(needed) > len(values) and not any(p.kind is p.VAR_POSITIONAL for p in needed):
        wanted = ", ".join(p.name for p in needed)
        return f"{name}: {op} has {len(values)} inputs here, the function wants {wanted}: give --shapes"
    return values


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
        if kind == "bool":
            found[name] = rng.random(shape) < 0.6
        elif kind:
            ids = rng.integers(0, max(int(kind[3:]), 1), shape)
            ids.flat[-1:] = ids.flat[0]
            found[name] = ids
        else:
            found[name] = rng.standard_normal(shape)
    return found
