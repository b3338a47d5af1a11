"""What to try for the settings of an op of the textbook, from what a call offers and what is customary."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .context import Context
from .program import program
from .textbook.language import within

Array = npt.NDArray[Any]

# what settings are called, in lower case and without "_": what goes by such a name is tried first
CALLED: dict[str, tuple[str, ...]] = {
    "window": ("window", "windowsize", "slidingwindow"),
    "c": ("softcap", "cap", "logitcap", "softcapping", "attnlogitsoftcapping"),
    "offset": ("queryoffset", "offset"),
    "scale": ("scale",),
    "p": ("dropoutp", "p"),
    "eps": ("eps", "normeps", "epsilon"),
    "base": ("base", "rotarybase", "ropebase", "theta", "ropetheta"),
}


def settings_of(op: str, arrays: Mapping[str, Any], context: Context) -> dict[str, list[Any]]:
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
            if op in ("cross_entropy", "weighted_cross_entropy", "replaced_token_detection"):
                found[name] = [None]  # follows from what is counted, below
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
        elif name == "class_weights":  # of whole numbers among the inputs, or kept by the forward
            V = arrays["logits"].shape[-1]
            offered = [*context.integers.values(), *context.cached]
            found[name] = [x.astype(np.float64) for x in offered if x.shape == (V,) and x.dtype.kind in "fiu"]
        elif name == "real":
            found[name] = _real(arrays, context)
        elif name == "loss_weight":
            found[name] = [s for s in dict.fromkeys([*numbers, 50.0, 1.0]) if s > 0]
        elif name == "s":  # alpha / r, or given as it is
            r = arrays["a"].shape[-1]
            found[name] = list(dict.fromkeys([n / d for n in (*numbers, 1.0) for d in (r, 1)]))
        elif name == "p":
            found[name] = [0.0]  # with everything kept: a 0/1 array in the cache may be a mask
            found[name] += [s for s in numbers if 0 < s < 1] + [1 - s for s in numbers if 0 < s < 1]
    return _finished(op, arrays, context, found)


def _called(name: str, context: Context) -> list[Any]:
    """The number that goes by a setting's name; of one that is None, the number that leaves it out."""
    none = {"window": math.inf, "c": math.inf, "offset": 0, "p": 0.0}
    values = [context.named[n] for n in CALLED[name] if n in context.named]
    values = [none.get(name) if v is None else v for v in values]
    numbers = (int, float, np.integer, np.floating)
    return [v for v in values if isinstance(v, numbers) and not isinstance(v, bool)]


def _weight_of(class_weights: Any, targets: Any) -> Any:
    """The weight of each target, 0 for what is no class: an ignored one."""
    inside = (targets >= 0) & (targets < len(class_weights))
    return np.where(inside, class_weights[np.where(inside, targets, 0)], 0.0)


def _finished(
    op: str, arrays: Mapping[str, Any], context: Context, found: dict[str, list[Any]]
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
    if op in ("weighted_cross_entropy", "replaced_token_detection"):
        name = "class_weights" if op == "weighted_cross_entropy" else "real"
        both = []
        for given in found.pop(name, [arrays.get(name)]):  # mean of what is counted, sum, mean of everything
            counted = given if name == "real" else _weight_of(given, arrays["targets"])
            both += [(given, float(d)) for d in (np.sum(counted), 1, counted.size) if d > 0]
        found[f"{name}, divisor"] = both
        del found["divisor"]
    if op == "softcapped_attention":
        found["allowed, window, offset"] = _windows(
            arrays, context, found.pop("allowed"), found.pop("window"), found.pop("offset")
        )
        kept = [k for k in found.pop("keep") if k.size > 1]
        found["p"] = [*_called("p", context), *found["p"]]
        rates = [p for p in dict.fromkeys(found.pop("p")) if p]
        found["keep, p"] = [*itertools.product(kept, rates), (np.ones((1, 1)), 0.0)]
        found["c"] = list(dict.fromkeys(found["c"]))
    if op in ("scaled_dot_product_attention", "softcapped_attention", "flash_attention"):
        own = 1 / math.sqrt(arrays["q"].shape[-1])
        found["scale"] = [own if s is None else s for s in found["scale"]]
    if op == "softcapped_attention":
        found["scale"] = list(dict.fromkeys([*_called("scale", context), *found["scale"]]))
    if op == "query_key_norm_attention":
        d_k = arrays["gamma_q"].shape[-1]
        found["h"] = [arrays["w_q"].shape[-1] // d_k]
        found["scale"] = list(dict.fromkeys([1 / math.sqrt(d_k), *(s for s in found["scale"] if s)]))
        bases = dict.fromkeys([*_called("base", context), *found.pop("base")])
        turned = itertools.product([b for b in bases if 1 < b < math.inf], (False, True))
        found.pop("interleaved")
        found["base, interleaved"] = [(math.inf, False), *turned]
        kept = [k for k in found.pop("keep") if k.size > 1]
        rates = [p for p in dict.fromkeys([*_called("p", context), *found.pop("p")]) if p]
        found["keep, p"] = [(np.ones((1, 1)), 0.0), *itertools.product(kept, rates)]
        shape = (*context.out.shape[:-2], found["h"][0], *(context.out.shape[-2],) * 2)
        distinct = {np.broadcast_to(m, shape).tobytes(): m for m in found["allowed"] if _spreads(m, shape)}
        found["allowed"] = list(distinct.values())
        found["eps"] = list(dict.fromkeys([*_called("eps", context), *found["eps"]]))
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


def _masks(op: str, arrays: Mapping[str, Any], context: Context) -> list[Array]:
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


def _real(arrays: Mapping[str, Any], context: Context) -> list[Array]:
    """Which tokens may be the real ones: as a mask says, of booleans or of 0 and 1, or all of them."""
    shape = arrays["hidden"].shape[:-1] if "hidden" in arrays else arrays["logits"].shape
    offered = [*context.masks, *context.integers.values(), *context.cached]
    flags = [x != 0 for x in offered if x.shape == shape and not np.setdiff1d(x, (0, 1)).size]
    both = [m for mask in flags for m in (mask, ~mask)]
    return [1.0 * m for m in (*both, np.ones(shape, bool))]


def _windows(
    arrays: Mapping[str, Any],
    context: Context,
    masks: list[Array],
    windows: list[float],
    offsets: list[int],
) -> list[tuple[Array, float, int]]:
    """Mask, window and offset together: what may be seen comes only once, however it came about."""
    q, k = arrays["q"], arrays["k"]
    shape = (*context.out.shape[:-1], k.shape[-2])
    masks = [m for m in masks if _spreads(m, shape)]
    found: dict[bytes, tuple[Array, float, int]] = {}
    for offset, causal, window in itertools.product(offsets, (True, False), dict.fromkeys(windows)):
        triangle = np.tri(shape[-2], shape[-1], offset, dtype=bool)
        near = within(q, k, window, offset)
        for mask in masks:
            allowed = mask & triangle if causal else mask
            seen = np.broadcast_to(allowed & near, shape)
            found.setdefault(seen.tobytes(), (allowed, window, offset))
    return list(found.values())


def _spreads(mask: Array, shape: tuple[int, ...]) -> bool:
    """Does the mask broadcast to a shape?"""
    return mask.ndim <= len(shape) and all(
        n in (1, m) for n, m in zip(mask.shape[::-1], shape[::-1], strict=False)
    )


def _kept(op: str, arrays: Mapping[str, Any], context: Context) -> list[Array]:
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
    return [*found[::-1], *context.kept_of(arrays.get("v"))]


def _first(arrays: Mapping[str, Any]) -> str:
    return next(name for name, x in arrays.items() if np.ndim(x))
