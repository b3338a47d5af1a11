"""Which op of the textbook a forward is, at the inputs at hand, and with which settings.

Settings that the inputs do not name (eps, the axis, the number of heads, what dropout kept) are tried: from
the inputs, the cache, the forward's defaults, then the customary ones. The forward's own output decides.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .program import evaluate, program
from .textbook import FORMS, TEXTBOOK
from .textbook.language import within

Array = npt.NDArray[Any]

AGREES = 1e-9  # of the largest output
ATTEMPTS = 400  # combinations of settings, for one op
IN_ORDER = ("softcapped_attention",)  # ops of so many settings that arrays are taken in the order given alone
MORE_ATTEMPTS = 2000  # for these

# what settings are called, in lower case and without "_": what goes by such a name is tried first
CALLED: dict[str, tuple[str, ...]] = {
    "window": ("window", "windowsize", "slidingwindow"),
    "c": ("softcap", "cap", "logitcap", "softcapping", "attnlogitsoftcapping"),
    "offset": ("queryoffset", "offset"),
    "scale": ("scale",),
    "p": ("dropoutp", "p"),
}

# the arrays of each op in the order of its arguments; "i" are integers, "?" may be absent
ARRAYS: dict[str, tuple[str, ...]] = {
    "linear": ("x", "weight", "bias?"),
    "swiglu": ("gate", "up"),
    "cross_entropy": ("logits", "targets:i"),
    "binary_cross_entropy_with_logits": ("logits", "targets", "weight?"),
    "mse_loss": ("input", "target"),
    "info_nce": ("queries", "keys"),
    "layer_norm": ("x", "gamma", "beta"),
    "rms_norm": ("x", "gamma"),
    "embedding": ("ids:i", "table"),
    "tied_embeddings": ("ids:i", "table"),
    "rotary": ("x", "positions:i?"),
    "scaled_dot_product_attention": ("q", "k", "v", "bias?"),
    "softcapped_attention": ("q", "k", "v", "bias?"),
    "multi_head_attention": ("x", "w_q", "w_k", "w_v", "w_o", "b_q?", "b_k?", "b_v?", "b_o?"),
    "residual": ("x", "weight"),
}


@dataclass(frozen=True)
class Recognised:
    """An op of the textbook, every line of it at the point, and whose gradient is whose."""

    op: str
    values: Mapping[str, Any]
    inputs: Mapping[str, str]  # the textbook's name -> the user's


def recognise(
    op: str | None,
    inputs: Mapping[str, Any],
    out: Any,
    dout: Any,
    cache: Any,
    forward: Callable[..., Any],
) -> Recognised | None:
    """Return the op whose textbook form gives `out` at `inputs`, or None."""
    if not isinstance(out, np.ndarray) or not isinstance(dout, np.ndarray):
        return None
    if out.dtype.kind != "f" or not np.isfinite(out).any():
        return None
    candidates: Iterable[str] = TEXTBOOK
    if op is not None:
        also = {"gelu": "gelu_tanh", "scaled_dot_product_attention": "softcapped_attention"}.get(op)
        named = [name for name in TEXTBOOK if name in (op, also)]
        candidates = [*named, *(name for name in TEXTBOOK if name not in named)] if named else TEXTBOOK
    context = _Context(inputs, out, dout, cache, forward)
    for name in candidates:
        if op is None and not _tells(name, context):
            continue
        found = _as(name, context)
        if found is not None:
            return found
    return None


def _tells(op: str, context: _Context) -> bool:
    """Could the output be told from the input's own? At positive numbers everything is a relu."""
    x = next(iter(context.floats.values()), np.zeros(0))
    if op == "relu":
        return bool((x < 0).any() and (x > 0).any())
    if op == "dropout":
        return bool(((context.out == 0) & (x != 0)).any()) if x.shape == context.out.shape else False
    return True


def other_forms(known: Recognised) -> Iterator[Recognised]:
    """Yield the op at the same point in the other forms of its backward that the textbook has."""
    for name in FORMS:
        if name.split(",")[0] == known.op:
            arguments = {argument: known.values[argument] for argument in program(name).arguments}
            yield Recognised(name, evaluate(name, arguments), known.inputs)


class _Context:
    """What there is to take arguments from."""

    def __init__(
        self,
        inputs: Mapping[str, Any],
        out: Array,
        dout: Array,
        cache: Any,
        forward: Callable[..., Any],
    ) -> None:
        self.floats = {
            k: _wide(x) for k, x in inputs.items() if isinstance(x, np.ndarray) and x.dtype.kind == "f"
        }
        self.integers = {
            k: x for k, x in inputs.items() if isinstance(x, np.ndarray) and x.dtype.kind in "iu"
        }
        self.masks = [x for x in inputs.values() if isinstance(x, np.ndarray) and x.dtype.kind == "b"]
        self.out, self.dout = _wide(out), _wide(dout)
        self.cached = list(_arrays_in(cache))
        self.named = {name.lower().replace("_", ""): s for name, s in _settings_of(forward, inputs).items()}
        self.scalars = list(
            dict.fromkeys([*_scalars_in(inputs.values()), *_defaults(forward), *_scalars_in([cache])])
        )


def _as(op: str, context: _Context) -> Recognised | None:
    for arrays, names in _assignments(op, context):
        try:
            settings = _settings(op, arrays, context)
            most = MORE_ATTEMPTS if op in IN_ORDER else ATTEMPTS
            tried = itertools.islice(itertools.product(*settings.values()), most)
            for chosen in tried:
                arguments = {**arrays, "dout": context.dout, **_each(settings, chosen)}
                values = _forward(op, arguments)
                if values is not None and _agrees(values["out"], context.out):
                    return Recognised(op, evaluate(op, arguments), names)
        except (ValueError, TypeError, IndexError, KeyError, ArithmeticError):
            continue
    return None


def _each(names: Iterable[str], chosen: Sequence[Any]) -> dict[str, Any]:
    """Settings by name; "a, b" is two that are chosen together."""
    found: dict[str, Any] = {}
    for name, value in zip(names, chosen, strict=True):
        several = name.split(", ")
        found |= dict(zip(several, value, strict=True)) if len(several) > 1 else {name: value}
    return found


def _forward(op: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return evaluate(op, arguments, until="out")
    except (ValueError, TypeError, IndexError, ArithmeticError):
        return None


def _assignments(op: str, context: _Context) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """The user's arrays as the op's, in the order given first, then in other orders."""
    wanted = ARRAYS.get(op, ("x",))
    floats = [w for w in wanted if ":i" not in w]
    integers = [w for w in wanted if ":i" in w]
    needed = sum("?" not in w for w in floats)
    given = dict(context.floats)
    if not integers and len(given) < needed:  # hard targets of a loss that takes probabilities
        given |= {name: _wide(x) for name, x in context.integers.items()}
    if not needed <= len(given) <= len(floats):
        return
    if len(context.integers) < sum("?" not in w for w in integers):
        return
    names = list(given)
    orders: Iterable[Sequence[str]] = [names]
    if len(names) <= 4 and op not in IN_ORDER:
        orders = itertools.permutations(names)
    for order in orders:
        chosen = {w.rstrip("?"): name for w, name in zip(floats, order, strict=False)}
        arrays: dict[str, Any] = {w: given[name] for w, name in chosen.items()}
        for w, x in zip(integers, context.integers.values(), strict=False):
            arrays[w.split(":")[0]] = x
        for w in floats:
            if w.rstrip("?") not in arrays:
                arrays[w.rstrip("?")] = _absent(w.rstrip("?"), arrays)
        yield arrays, chosen


def _absent(name: str, arrays: Mapping[str, Any]) -> Any:
    """What stands for an array that was not given."""
    if name == "weight":
        return np.ones(())
    if name.startswith("b_"):
        return np.zeros(arrays["w" + name[1:]].shape[-1:])
    if name == "bias" and "weight" in arrays:
        return np.zeros(arrays["weight"].shape[-1:])  # (one number as a weight has no axis)
    return np.zeros(())


def _settings(op: str, arrays: Mapping[str, Any], context: _Context) -> dict[str, list[Any]]:
    """What to try for every argument that is no array of the user's."""
    found: dict[str, list[Any]] = {}
    numbers = context.scalars
    for name in program(op).arguments:
        if name in arrays or name == "dout":
            continue
        if name == "eps":
            small = [s for s in numbers if 0 <= s < 10]
            found[name] = [*small, 1e-5, 1e-6, 1e-8, 1e-12, 1e-7, 1e-3, 0.0]
        elif name == "axis":
            found[name] = [-1, *range(context.out.ndim - 1)]
        elif name == "divisor":
            size = math.prod(np.shape(arrays.get("targets", context.out)))
            counted = [float(size)] if context.dout.ndim == 0 else [1.0]
            if op == "mse_loss":
                counted = [float(arrays["input"].size)]
            found[name] = [*counted, float(size), 1.0, float(arrays[_first(arrays)].shape[0])]
            if op == "cross_entropy":
                found[name] = [None]  # follows from valid, below
        elif name == "valid":
            t = arrays["targets"]
            inside = (t >= 0) & (t < arrays["logits"].shape[-1])
            found[name] = [inside, *(inside & (t != s) for s in numbers if s == int(s))]
        elif name == "smoothing":
            found[name] = [0.0, *(s for s in numbers if 0 < s < 1), 0.1]
        elif name == "interleaved":
            found[name] = [False, True]
        elif name == "base":
            found[name] = [*(s for s in numbers if s > 1), 10000.0]
        elif name == "positions":
            found[name] = [np.arange(arrays["x"].shape[-2])]
        elif name == "temperature":
            found[name] = [*(s for s in numbers if s > 0), 0.05, 0.07, 0.1, 0.2, 0.5, 1.0]
        elif name == "targets":
            found[name] = [np.arange(len(arrays["queries"]))]
        elif name == "h":
            d = arrays["w_q"].shape[-1]
            found[name] = [*(int(s) for s in numbers if s == int(s) and s > 0 and d % s == 0)]
            found[name] += [h for h in range(1, d + 1) if d % h == 0]
        elif name == "scale":
            found[name] = [None, *(s for s in numbers if 0 < s < 2), 1.0]
        elif name == "window":
            found[name] = [*_called(name, context), *(s for s in numbers if s == int(s) and s > 0), math.inf]
        elif name == "offset":
            T, S = arrays["q"].shape[-2], arrays["k"].shape[-2]
            told = [int(s) for s in numbers if s == int(s) and abs(s) <= S + T]
            found[name] = list(dict.fromkeys([*_called(name, context), 0, S - T, *told]))
        elif name == "c":
            found[name] = [*_called(name, context), *(s for s in numbers if s > 0), math.inf]
        elif name == "allowed":
            found[name] = _masks(op, arrays, context)
        elif name == "keep":
            found[name] = _kept(op, arrays, context)
        elif name == "p":
            found[name] = [0.0]  # with everything kept: a 0/1 array in the cache may be a mask
            found[name] += [s for s in numbers if 0 < s < 1] + [1 - s for s in numbers if 0 < s < 1]
    return _finished(op, arrays, context, found)


def _called(name: str, context: _Context) -> list[Any]:
    """The number that goes by a setting's name; of one that is None, the number that leaves it out."""
    none = {"window": math.inf, "c": math.inf, "offset": 0, "p": 0.0}
    values = [context.named[n] for n in CALLED[name] if n in context.named]
    values = [none.get(name) if v is None else v for v in values]
    numbers = (int, float, np.integer, np.floating)
    return [v for v in values if isinstance(v, numbers) and not isinstance(v, bool)]


def _finished(
    op: str, arrays: Mapping[str, Any], context: _Context, found: dict[str, list[Any]]
) -> dict[str, list[Any]]:
    """Settings that follow from others."""
    if op == "cross_entropy":
        both = []
        for valid in found["valid"]:
            n = float(max(int(np.sum(valid)), 1))
            both += [
                (valid, d)
                for d in dict.fromkeys([n if context.dout.ndim == 0 else 1.0, n, 1.0, float(valid.size)])
            ]
        found["valid"], found["divisor"] = [v for v, _ in both], [d for _, d in both]
        found["divisor"] = list(dict.fromkeys(found["divisor"]))
    if op == "softcapped_attention":
        found["allowed, window, offset"] = _windows(
            arrays, context, found.pop("allowed"), found.pop("window"), found.pop("offset")
        )
        kept = [k for k in found.pop("keep") if k.size > 1]
        found["p"] = [*_called("p", context), *found["p"]]
        rates = [p for p in dict.fromkeys(found.pop("p")) if p]
        found["keep, p"] = [*itertools.product(kept, rates), (np.ones((1, 1)), 0.0)]
        found["c"] = list(dict.fromkeys(found["c"]))
    if op in ("scaled_dot_product_attention", "softcapped_attention"):
        own = 1 / math.sqrt(arrays["q"].shape[-1])
        found["scale"] = [own if s is None else s for s in found["scale"]]
    if op == "softcapped_attention":
        found["scale"] = list(dict.fromkeys([*_called("scale", context), *found["scale"]]))
    if op == "multi_head_attention":
        d = arrays["w_q"].shape[-1]
        found["h"] = list(dict.fromkeys(found["h"]))
        own_scales = [1 / math.sqrt(d // h) for h in found["h"]]
        found["scale"] = list(dict.fromkeys([*own_scales, *(s for s in found["scale"] if s is not None)]))
    if op == "dropout" and found["keep"]:
        keep = found["keep"][0]
        ratio = context.out[keep > 0] / arrays["x"][keep > 0] if np.any(keep > 0) else np.ones(1)
        found["p"] = [1 - 1 / float(ratio.flat[0])] if ratio.size and ratio.flat[0] else [0.0]
    return found


def _masks(op: str, arrays: Mapping[str, Any], context: _Context) -> list[Array]:
    """Boolean masks that broadcast to the scores: as given, with axes for heads and queries, or none."""
    T, S = context.out.shape[-2], arrays.get("k", arrays.get("x")).shape[-2]
    everything = np.ones((T, S), bool)
    found: list[Array] = []
    for mask in context.masks:
        ways = [
            mask,
            mask[:, None, None, :] if mask.ndim == 2 else mask,
            mask[..., None, :, :] if mask.ndim >= 2 else mask,
        ]
        ways += [mask[..., None, :]] if mask.ndim else []
        found += [*ways, *(~w for w in ways)]
        found += [w & np.tri(T, S, dtype=bool) for w in ways if w.shape[-1:] == (S,)]
    found += [everything, np.tri(T, S, dtype=bool), np.tri(T, S, S - T, dtype=bool)]
    return found


def _windows(
    arrays: Mapping[str, Any],
    context: _Context,
    masks: list[Array],
    windows: list[float],
    offsets: list[int],
) -> list[tuple[Array, float, int]]:
    """Mask, window and offset together: what may be seen comes only once, however it came about."""
    q, k = arrays["q"], arrays["k"]
    shape = (*context.out.shape[:-1], k.shape[-2])
    masks = [m for m in masks if m.ndim <= len(shape) and np.broadcast_shapes(m.shape, shape) == shape]
    found: dict[bytes, tuple[Array, float, int]] = {}
    for offset, causal, window in itertools.product(offsets, (True, False), dict.fromkeys(windows)):
        triangle = np.tri(*shape[-2:], offset, dtype=bool)
        near = within(q, k, window, offset)
        for mask in masks:
            allowed = mask & triangle if causal else mask
            seen = np.broadcast_to(allowed & near, shape)
            found.setdefault(seen.tobytes(), (allowed, window, offset))
    return list(found.values())


def _kept(op: str, arrays: Mapping[str, Any], context: _Context) -> list[Array]:
    """What dropout may have kept: told by the output itself, or by the cache."""
    if op == "dropout":
        if context.out.shape != arrays["x"].shape:
            return []
        return [1.0 * (context.out != 0)]
    T, S = context.out.shape[-2], arrays.get("k", arrays.get("x")).shape[-2]
    found = [np.ones((1, 1))]
    for x in context.cached:
        if x.ndim >= 2 and x.shape[-2:] == (T, S) and np.unique(x).size == 2 and np.min(x) == 0:
            found.append((x != 0).astype(np.float64))
    return found[::-1]


def _agrees(values: Any, out: Array) -> bool:
    mine = np.asarray(values)
    if mine.shape != out.shape:
        return False
    known = np.isfinite(mine) & np.isfinite(out)
    if not known.any():
        return False
    scale = float(np.max(np.abs(out[known]), initial=0.0))
    return bool(np.max(np.abs(mine - out)[known]) <= AGREES * scale)


def _first(arrays: Mapping[str, Any]) -> str:
    return next(name for name, x in arrays.items() if np.ndim(x))


def _wide(x: Array) -> Array:
    return np.asarray(x, np.float64)


def _scalars_in(values: Iterable[Any], depth: int = 0) -> Iterator[float]:
    for value in values:
        if isinstance(value, bool):
            continue
        if isinstance(value, (int, float, np.integer, np.floating)) or (
            isinstance(value, np.ndarray) and value.ndim == 0
        ):
            if np.asarray(value).dtype.kind in "iuf" and math.isfinite(float(value)):
                yield float(value)
        elif depth < 4 and isinstance(value, Mapping):
            yield from _scalars_in(value.values(), depth + 1)
        elif depth < 4 and isinstance(value, (tuple, list)):
            yield from _scalars_in(value, depth + 1)


def _arrays_in(value: Any, depth: int = 0) -> Iterator[Array]:
    if isinstance(value, np.ndarray):
        yield value
    elif depth < 4 and isinstance(value, Mapping):
        for item in value.values():
            yield from _arrays_in(item, depth + 1)
    elif depth < 4 and isinstance(value, (tuple, list)):
        for item in value:
            yield from _arrays_in(item, depth + 1)


def _settings_of(forward: Callable[..., Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the forward is called with by name, arrays left out, and its defaults."""
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {name: x for name, x in {**defaults, **inputs}.items() if not isinstance(x, np.ndarray)}


def _defaults(forward: Callable[..., Any]) -> Iterator[float]:
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):
        return iter(())
    return _scalars_in([p.default for p in parameters if p.default is not p.empty])
