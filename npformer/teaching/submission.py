"""The referee on somebody's file: which functions there are, at which inputs, and what it says of them."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..diagnosis import check, sample_inputs
from ..diagnosis.samples import SIZES
from ..gradcheck.streams import own_stream
from .child import in_our_words, in_the_authors_words, is_our_own, tell

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
# what people call an argument (without underscores, in small letters)
SAME: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "w weight weights",
        "table w weight weights embedding embeddings e",
        "gamma g weight scale",
        "beta b bias shift",
        "b bias",
        "ids idx indices tokens tokenids inputids",
        "nheads numheads heads h",
        "keepprob pkeep keepp keep keeprate",
        "eps epsilon e",
        "temperature temp tau",
        "base theta rotarybase ropebase",
        "softcap cap logitcap",
        "window windowsize slidingwindow",
        "axis dim",
        "training train istraining",
        "labelsmoothing smoothing",
        "p dropoutp rate pdrop dropprob dropout dropoutrate",
        "targets target y labels label ytrue",
        "target targets y labels ytrue",
        "logits scores z",
        "input pred preds prediction predictions ypred yhat",
        "q queries query",
        "k keys key",
        "v values value",
        *(
            f"w{one} {name}w w{name}"
            for one, name in zip("qkvo", ("query", "key", "value", "out"), strict=True)
        ),
    )
)
# settings of an op that its sample inputs go with
SETTINGS: dict[str, dict[str, Any]] = {
    "multi_head_attention": {"n_heads": 2, "causal": False},
    "scaled_dot_product_attention": {"causal": False, "softcap": 1.5, "window": 3},
    "softcapped_attention": {"causal": True, "softcap": 1.5, "window": 3},
    "dropout": {"p": 0.3, "keep_prob": 0.7, "training": True},
    "layer_norm": {"eps": 1e-5},
    "rms_norm": {"eps": 1e-6},
    "softmax": {"axis": -1},
    "log_softmax": {"axis": -1},
    "cross_entropy": {"ignore_index": -100, "label_smoothing": 0.0},
    "info_nce": {"temperature": 0.5},
    "distillation": {"temperature": 1.7},
    "hard_negatives": {"temperature": 0.5},
    "symmetric_info_nce": {"temperature": 0.5},
    "lora": {"alpha": 5.0},
    "replaced_token_detection": {"weight": 50.0},
    "rotary": {"base": 10000.0},
}
NUMBERS = tuple(dict.fromkeys(name for settings in SETTINGS.values() for name in settings))
ARRAYS_TOO = ("e", "h", "p", "theta", "keep")  # may as well be arrays
# below an attention that passes
OFF_BY_ONE = "A mask that is off by one has right gradients: npformer.gradcheck.properties.causal shows it."
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
        is no report, with what is missing, or the exception that it raised. The same is told before each
        pair, which is "open" then, with those that wait.
    """
    module = _loaded(Path(request["file"]))
    names = [request["name"]] if request.get("name") else _pairs(module)
    if not names:
        text = "no NAME_forward (or NAME) with a NAME_backward was found"
        return [{"name": "", "passed": False, "text": text}]
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
        points = _points(module, name, op, forward, request)
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


def op_of(name: str) -> str:
    """Return the op that people mean by a name, or the name.

    Examples
    --------
    >>> op_of("layernorm"), op_of("my_op")
    ('layer_norm', 'my_op')
    """
    return ALIASES.get(name, name)


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


def _points(
    module: Any, name: str, op: str, forward: Callable[..., Any], request: dict[str, Any]
) -> Sequence[tuple[Any, list[str] | None]] | str:
    """Where to check, and what: the file's own inputs, the shapes asked for, or a known op's points."""
    seed = int(request.get("seed", 0))
    parameters = inspect.signature(forward).parameters.values()
    needed = [p for p in parameters if p.default is p.empty]
    anything = any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)
    if request.get("shapes"):
        shapes = inputs_of_shapes(request["shapes"], seed)
        shapes |= _numbers([p for p in needed if p.name not in shapes], op)
        fits = {p.name for p in needed} <= set(shapes) <= {p.name for p in parameters}
        if fits or anything or request.get("name"):
            return [(shapes, None)]
    for maker in (f"{name}_example_inputs", "example_inputs"):
        if hasattr(module, maker):
            function = getattr(module, maker)
            return [(function(name) if inspect.signature(function).parameters else function(), None)]
    if op not in SIZES:
        wanted = ", ".join(p.name for p in needed)
        or_shapes = f", or give --shapes for {wanted}, as in --shapes x=3x4,w=4x5"
        wanted_numbers = [p for p in needed if p.name.lower() not in ARRAYS_TOO]
        if any(_same_name(p.name, number) for p in wanted_numbers for number in NUMBERS):
            or_shapes = f" that gives {wanted}"  # --shapes gives arrays, and one of these is a number
        return (
            f"{name}: no inputs to check it at: define example_inputs() or {name}_example_inputs() in the "
            f"file{or_shapes}; {op} is no known op"
        )
    drawn = plainer_points(op, seed)
    if anything:
        return [(list(point.values()), None) for point in drawn]
    points = [matched(point, list(parameters), op) for point in drawn]
    if points[0] is None:
        wanted = ", ".join(p.name for p in needed)
        return (
            f"{name}: {op} has {len(drawn[0])} inputs here, the function wants {wanted}: define "
            f"example_inputs() or {name}_example_inputs() in the file"
        )
    found: list[tuple[Any, list[str] | None]] = [(point, None) for point in points]
    if op == "mse_loss":  # the target is data to many
        found.append((points[0], [next(iter(points[0]))]))
    return found


def matched(
    point: Mapping[str, Any], parameters: Sequence[inspect.Parameter], op: str
) -> dict[str, Any] | None:
    """Return the arguments of a function out of an op's inputs: by name, else in order; None if too few.

    Parameters
    ----------
    point : mapping of str to anything
        The op's inputs, in order.
    parameters : sequence of inspect.Parameter
        Of the function. One with a default is left to it, except for a Generator.
    op : str

    Returns
    -------
    dict of str to anything, or None

    Examples
    --------
    >>> def embedding(W, ids): ...
    >>> parameters = list(inspect.signature(embedding).parameters.values())
    >>> {name: x.shape for name, x in matched(sample_inputs("embedding"), parameters, "embedding").items()}
    {'W': (6, 3), 'ids': (2, 4)}
    """
    known = {**point, **SETTINGS.get(op, {})}
    taken: dict[str, str] = {}  # parameter -> the op's name
    for p in parameters:
        generator = p.name.lower() in ("rng", "generator")
        if p.default is not p.empty and not generator:
            continue
        for key in known:
            if key not in taken.values() and _same_name(p.name, key):
                taken[p.name] = key
                break
    left = [key for key in point if key not in taken.values()]
    for p in parameters:
        if p.default is p.empty and p.name not in taken:
            if not left:
                return None
            taken[p.name] = left.pop(0)
    return {p.name: known[taken[p.name]] for p in parameters if p.name in taken}


def _numbers(parameters: Sequence[inspect.Parameter], op: str) -> dict[str, Any]:
    """The op's settings for parameters of these names."""
    return {
        p.name: value
        for key, value in SETTINGS.get(op, {}).items()
        for p in parameters
        if _same_name(p.name, key)
    }


def _same_name(theirs: str, ours: str) -> bool:
    one, other = (name.lower().replace("_", "") for name in (theirs, ours))
    return one == other or any({one, other} <= names for names in SAME)


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
    if op in ("scaled_dot_product_attention", "softcapped_attention"):
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
