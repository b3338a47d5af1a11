"""At which inputs somebody's function is checked: the file's own, those of --shapes, or a known op's."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..diagnosis import sample_inputs
from ..diagnosis.samples import SIZES

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
SHAPE = re.compile(r"(\w+)=(\d+(?:x\d+)*)(?::(bool|int\d+))?")


def op_of(name: str) -> str:
    """Return the op that people mean by a name, or the name.

    Examples
    --------
    >>> op_of("layernorm"), op_of("my_op")
    ('layer_norm', 'my_op')
    """
    return ALIASES.get(name, name)


def points_of(
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
        missing = [p.name for p in needed if p.name not in shapes]
        unknown = sorted(set(shapes) - {p.name for p in parameters})
        if anything or not (missing or unknown):
            return [(shapes, None)]
        if request.get("name"):  # it was asked for; of a whole file those are checked that take these
            wrong = [f"{', '.join(missing)} {_is(missing)} not given"] if missing else []
            wrong += [f"{', '.join(unknown)} {_is(unknown)} no input of it"] if unknown else []
            takes = ", ".join(p.name for p in parameters)
            text = f"{name}: --shapes: it takes {takes}: {' and '.join(wrong)}"
            if any(_is_number(one) for one in missing):
                text += "; for numbers define example_inputs() in the file, --shapes gives arrays"
            return text
    for maker in (f"{name}_example_inputs", "example_inputs"):
        if hasattr(module, maker):
            function = getattr(module, maker)
            return [(function(name) if inspect.signature(function).parameters else function(), None)]
    if op not in SIZES:
        wanted = ", ".join(p.name for p in needed)
        or_shapes = f", or give --shapes for {wanted}, as in --shapes x=3x4,w=4x5"
        if any(_is_number(p.name) for p in needed):
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


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


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


def _is_number(theirs: str) -> bool:
    return theirs.lower() not in ARRAYS_TOO and any(_same_name(theirs, number) for number in NUMBERS)


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
