"""Which op of the textbook a forward is, at the inputs at hand, and with which settings.

Settings that the inputs do not name (eps, the axis, the number of heads, what dropout kept) are tried: from
the inputs, the cache, the forward's defaults, then the customary ones. The forward's own output decides.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .context import Context, wide
from .program import evaluate, program
from .settings import settings_of
from .textbook import FORMS, TEXTBOOK

Array = npt.NDArray[Any]

AGREES = 1e-9  # of the largest output
AGREES_NARROW = 1e-5  # where it is float32
ATTEMPTS = 400  # combinations of settings, for one op
# ops of so many settings that arrays are taken in the order given alone
IN_ORDER = ("softcapped_attention", "query_key_norm_attention")
MORE_ATTEMPTS = 2000  # for these

# the arrays of each op in the order of its arguments; "i" are integers, "?" may be absent
ARRAYS: dict[str, tuple[str, ...]] = {
    "linear": ("x", "weight", "bias?"),
    "swiglu": ("gate", "up"),
    "cross_entropy": ("logits", "targets:i"),
    "binary_cross_entropy_with_logits": ("logits", "targets", "weight?"),
    "mse_loss": ("input", "target"),
    "info_nce": ("queries", "keys"),
    "distillation": ("logits", "teacher_logits"),
    "layer_norm": ("x", "gamma", "beta"),
    "rms_norm": ("x", "gamma"),
    "embedding": ("ids:i", "table"),
    "tied_embeddings": ("ids:i", "table"),
    "rotary": ("x", "positions:i?"),
    "scaled_dot_product_attention": ("q", "k", "v", "bias?"),
    "softcapped_attention": ("q", "k", "v", "bias?"),
    "flash_attention": ("q", "k", "v", "bias?"),
    "multi_head_attention": ("x", "w_q", "w_k", "w_v", "w_o", "b_q?", "b_k?", "b_v?", "b_o?"),
    "query_key_norm_attention": (
        *("x", "w_q", "w_k", "w_v", "w_o", "gamma_q", "gamma_k"),
        *("b_q?", "b_k?", "b_v?", "b_o?"),
    ),
    "residual": ("x", "weight"),
    "hard_negatives": ("queries", "keys", "negatives"),
    "symmetric_info_nce": ("queries", "keys"),
    "mean_pooling": ("hidden", "real?"),
    "weighted_cross_entropy": ("logits", "class_weights?", "targets:i"),
    "lora": ("x", "weight", "a", "b"),
    "replaced_token_detection": ("logits", "targets", "real?"),
    "pooler": ("hidden", "weight", "bias?"),
    "cosine_similarity": ("u", "v"),
}

# among what is no variable, too: settings_of looks for them
FOUND = ("class_weights?", "real?")


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
    output_at: Callable[[Mapping[str, Any]], Array] | None = None,
) -> Recognised | None:
    """Return the op whose textbook form gives `out` at `inputs`, or None.

    `output_at`, where it is given, returns the output with some inputs changed.
    """
    if not isinstance(out, np.ndarray) or not isinstance(dout, np.ndarray):
        return None
    if out.dtype.kind != "f" or not np.isfinite(out).any():
        return None
    candidates: Iterable[str] = TEXTBOOK
    if op is not None:
        also = {
            "gelu": "gelu_tanh",
            "scaled_dot_product_attention": "softcapped_attention",
            "multi_head_attention": "query_key_norm_attention",
            "info_nce": "hard_negatives",
        }.get(op)
        named = [name for name in TEXTBOOK if name in (op, also)]
        candidates = [*named, *(name for name in TEXTBOOK if name not in named)] if named else TEXTBOOK
    context = Context(inputs, out, dout, cache, forward, output_at)
    for name in candidates:
        if op is None and not _tells(name, context):
            continue
        found = _as(name, context)
        if found is not None:
            return found
    return None


def _tells(op: str, context: Context) -> bool:
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


def _as(op: str, context: Context) -> Recognised | None:
    agrees = AGREES_NARROW if context.narrow else AGREES
    for arrays, names in _assignments(op, context):
        try:
            settings = settings_of(op, arrays, context)
            most = MORE_ATTEMPTS if op in IN_ORDER else ATTEMPTS
            tried = itertools.islice(itertools.product(*settings.values()), most)
            for chosen in tried:
                arguments = {**arrays, "dout": context.dout, **_each(settings, chosen)}
                values = _forward(op, arguments)
                if values is not None and _agrees(values["out"], context.out, agrees):
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


def _assignments(op: str, context: Context) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """The user's arrays as the op's, in the order given first, then in other orders."""
    wanted = ARRAYS.get(op, ("x",))
    floats = [w for w in wanted if ":i" not in w]
    integers = [w for w in wanted if ":i" in w]
    needed = sum("?" not in w for w in floats)
    if len(context.integers) < sum("?" not in w for w in integers):
        return
    offered = [dict(context.floats)]
    if not integers and context.integers:  # hard targets of a loss that takes probabilities
        offered.append(offered[0] | {name: wide(x) for name, x in context.integers.items()})
    if "targets" in floats and context.masks:  # they may be true and false
        whole = {**context.integers, **context.booleans}
        offered.append(offered[0] | {name: wide(x) for name, x in whole.items()})
    for given in offered:
        if not needed <= len(given) <= len(floats):
            continue
        names = list(given)
        orders: Iterable[Sequence[str]] = [names]
        if len(names) <= 4 and op not in IN_ORDER:
            orders = itertools.permutations(names)
        if op == "query_key_norm_attention":  # gammas come before the biases, or last
            orders = [names, [*names[:5], *names[-2:], *names[5:-2]]]
        for order in orders:
            chosen = {w.rstrip("?"): name for w, name in zip(floats, order, strict=False)}
            arrays: dict[str, Any] = {w: given[name] for w, name in chosen.items()}
            for w, x in zip(integers, context.integers.values(), strict=False):
                arrays[w.split(":")[0]] = x
            for w in floats:
                if w.rstrip("?") not in arrays and w not in FOUND:
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


def _agrees(values: Any, out: Array, agrees: float) -> bool:
    mine = np.asarray(values)
    if mine.shape != out.shape:
        return False
    known = np.isfinite(mine) & np.isfinite(out)
    if not known.any():
        return False
    scale = float(np.max(np.abs(out[known]), initial=0.0))
    return bool(np.max(np.abs(mine - out)[known]) <= agrees * scale)


