"""torch.nn's own Transformer modules: outputs and the gradients of every parameter and input.

Post- and pre-norm, relu and gelu, with and without biases, with four sets of masks, in training mode: without
dropout as PyTorch computes it, and once per module with dropout, whose masks are drawn here by NumPy. Every
case is computed in both layouts (``batch_first`` or not), which have to agree, and stored as (B, T, d).
"""

from __future__ import annotations

import contextlib
import itertools
import math
import warnings
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F

from ..golden import Array
from .ops import Tensor

B, T, S, D_MODEL, N_HEADS, D_FF, P = 2, 3, 5, 4, 2, 5, 0.3
ATTENTION = {"MultiheadAttention": {}, "MultiheadAttention, kdim and vdim": {"kdim": 3, "vdim": 6}}
STACKS = (
    "TransformerEncoderLayer",
    "TransformerEncoder",
    "TransformerDecoderLayer",
    "TransformerDecoder",
    "Transformer",
)


class Replayed:
    """Dropout by masks of NumPy's, in the order in which PyTorch's modules drop; batches come first."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.kept = rng, list[Array]()

    def dropout(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        """Stand for torch.nn.functional.dropout."""
        keep = self.rng.random(x.shape) >= p
        self.kept.append(keep)
        return x * torch.from_numpy(keep) / (1 - p)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float, is_causal: bool
    ) -> Tensor:
        """Stand for torch.nn.functional.scaled_dot_product_attention."""
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        return self.dropout(torch.softmax(scores if mask is None else scores + mask, -1), p) @ v

    @contextlib.contextmanager
    def in_place_of_pytorchs(self) -> Iterator[None]:
        """Let PyTorch's modules drop by this."""
        with (
            mock.patch.object(F, "dropout", self.dropout),
            mock.patch.object(F, "scaled_dot_product_attention", self.attend),
        ):
            yield


def build(
    kind: str,
    batch_first: bool,
    norm_first: bool = False,
    activation: str = "relu",
    bias: bool = True,
    p: float = 0.0,
) -> torch.nn.Module:
    """Return the module in float64, in training mode."""
    if kind in ATTENTION:
        return torch.nn.MultiheadAttention(
            D_MODEL, N_HEADS, p, bias, batch_first=batch_first, dtype=torch.float64, **ATTENTION[kind]
        )
    options: dict[str, Any] = {
        "dim_feedforward": D_FF,
        "dropout": p,
        "activation": activation,
        "batch_first": batch_first,
        "norm_first": norm_first,
        "bias": bias,
        "dtype": torch.float64,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about nested tensors, which are for inference
        if kind == "Transformer":
            return torch.nn.Transformer(D_MODEL, N_HEADS, 1, 1, **options)
        layer: torch.nn.Module = getattr(torch.nn, kind.removesuffix("Layer") + "Layer")(
            D_MODEL, N_HEADS, **options
        )
        if kind.endswith("Layer"):
            return layer
        # an encoder has a final norm in pre-norm alone, a decoder always
        has_norm = norm_first or kind == "TransformerDecoder"
        norm = torch.nn.LayerNorm(D_MODEL, bias=bias, dtype=torch.float64) if has_norm else None
        stack: torch.nn.Module = getattr(torch.nn, kind)(layer, 2, norm)
        return stack


def draw_state(module: torch.nn.Module, rng: np.random.Generator) -> dict[str, Array]:
    """Return a generic point: O(1/sqrt(fan_in)) weights, gains in U(0.5, 1.5), biases that are not zero."""
    state = {}
    for key, x in module.state_dict().items():
        if x.ndim == 2:
            state[key] = rng.standard_normal(x.shape) / math.sqrt(x.shape[1])
        elif "norm" in key and key.endswith("weight"):
            state[key] = rng.uniform(0.5, 1.5, x.shape)
        else:
            state[key] = 0.3 * rng.standard_normal(x.shape)
    return state


def masks(rng: np.random.Generator, attention: str, padding: str, t: int, s: int) -> list[dict[str, Array]]:
    """Return four sets of masks for T = t, S = s: none, booleans, floats, and one for each head.

    In the second, the second sequence has no key at all.
    """
    later = np.triu(np.ones((t, s), bool), 1)
    padded = np.zeros((B, s), bool)
    padded[0, -1] = padded[1] = True
    floats = np.where(later, -np.inf, rng.standard_normal((t, s)))
    float_padding = rng.standard_normal((B, s))
    float_padding[1, 1] = -np.inf
    by_head = rng.random((B * N_HEADS, t, s)) < 0.3
    by_head[..., 0] = False
    few = np.zeros((B, s), bool)
    few[0, 2:] = True
    return [
        {},
        {attention: later, padding: padded},
        {attention: floats, padding: float_padding},
        {attention: by_head, padding: few},
    ]


def run(
    kind: str,
    module: torch.nn.Module,
    batch_first: bool,
    inputs: dict[str, Array],
    masked: dict[str, Array],
    dout: Array,
) -> dict[str, Array]:
    """Return the output, and the gradients of inputs and parameters in one vector; batches first."""

    def layout(x: Any) -> Any:
        return x if batch_first else x.swapaxes(0, 1)

    leaves = {name: torch.tensor(layout(x)).requires_grad_() for name, x in inputs.items()}
    given = {name: torch.tensor(x) for name, x in masked.items()}
    if kind in ATTENTION:
        query = leaves["query"]
        key = leaves.get("key", query)
        out = module(query, key, leaves.get("value", key), need_weights=False, **given)[0]
    else:
        if kind == "TransformerEncoder" and "src_mask" in given:
            given["mask"] = given.pop("src_mask")
        out = module(*leaves.values(), **given)
    parameters = dict(module.named_parameters())
    gradients = torch.autograd.grad(out, [*leaves.values(), *parameters.values()], torch.tensor(layout(dout)))
    flat = [
        (layout(g.numpy()) if i < len(leaves) else g.numpy()).reshape(-1) for i, g in enumerate(gradients)
    ]
    return {"out": np.ascontiguousarray(layout(out.detach().numpy())), "gradients": np.concatenate(flat)}


def stored_case(
    kind: str,
    state: dict[str, Array],
    inputs: dict[str, Array],
    masked: dict[str, Array],
    dout: Array,
    rng: np.random.Generator | None,
    **options: Any,
) -> dict[str, Array]:
    """Return one case, in both layouts where there is no dropout."""
    results = []
    for batch_first in (True, False) if rng is None else (True,):
        module = build(kind, batch_first, p=0.0 if rng is None else P, **options)
        module.load_state_dict({key: torch.tensor(state[key]) for key in module.state_dict()})
        if rng is not None:
            replayed = Replayed(rng)
            with replayed.in_place_of_pytorchs():
                result = run(kind, module, batch_first, inputs, masked, dout)
            return result | {f"kept/{i}": keep for i, keep in enumerate(replayed.kept)}
        results.append(run(kind, module, batch_first, inputs, masked, dout))
    for name, x in results[0].items():
        np.testing.assert_allclose(x, results[1][name], rtol=1e-12, atol=1e-13, err_msg=f"{kind} {name}")
    return results[0]


def attention_cases(kind: str, rng: np.random.Generator) -> dict[str, Array]:
    """Return the cases of MultiheadAttention: of a sequence to itself, to another, and to two."""
    widths = {"key": ATTENTION[kind].get("kdim", D_MODEL), "value": ATTENTION[kind].get("vdim", D_MODEL)}
    state = draw_state(build(kind, True), rng)
    inputs = {"query": rng.standard_normal((B, T, D_MODEL))}
    inputs |= {name: rng.standard_normal((B, S, width)) for name, width in widths.items()}
    dout = rng.standard_normal((B, T, D_MODEL))
    made = {f"state/{key}": x for key, x in state.items()} | {f"in/{name}": x for name, x in inputs.items()}
    made["dout"] = dout
    uses = [["query", "key", "value"]] if ATTENTION[kind] else [["query"], ["query", "key"], [*inputs]]
    for use in uses:
        given = {name: inputs[name] for name in use}
        sets = masks(rng, "attn_mask", "key_padding_mask", T, T if len(use) == 1 else S)
        for (i, masked), bias in itertools.product(enumerate(sets), (True, False)):
            label = f"{','.join(use)}/{'bias' if bias else 'no bias'}/masks {i}"
            case = stored_case(kind, state, given, masked, dout, None, bias=bias)
            case["weights"] = attention_weights(kind, state, given, masked, bias)
            made |= {f"{','.join(use)}/masks {i}/{name}": x for name, x in masked.items()}
            made |= {f"{label}/{name}": x for name, x in case.items()}
    label = f"{','.join(uses[-1])}/bias/dropout"
    case = stored_case(kind, state, inputs, {}, dout, np.random.default_rng(1))
    return made | {f"{label}/{name}": x for name, x in case.items()}


def attention_weights(
    kind: str, state: dict[str, Array], inputs: dict[str, Array], masked: dict[str, Array], bias: bool
) -> Array:
    """Return the weights of each head; a row without keys, which PyTorch makes NaN here, is 0."""
    module = build(kind, True, bias=bias)
    module.load_state_dict({key: torch.tensor(state[key]) for key in module.state_dict()})
    query, key, value = (torch.tensor(x) for x in (*inputs.values(), *2 * [[*inputs.values()][-1]])[:3])
    given = {name: torch.tensor(x) for name, x in masked.items()}
    _, weights = module(query, key, value, average_attn_weights=False, **given)
    return np.nan_to_num(weights.detach().numpy())


def stack_cases(kind: str, rng: np.random.Generator) -> dict[str, Array]:
    """Return the cases of layers and stacks of layers."""
    state = draw_state(build(kind, True, norm_first=True), rng)
    names = {"Encoder": ("src",), "Decoder": ("tgt", "memory"), "former": ("src", "tgt")}[
        next(part for part in ("Encoder", "Decoder", "former") if part in kind)
    ]
    lengths = {"src": S, "tgt": T, "memory": S}
    inputs = {name: rng.standard_normal((B, lengths[name], D_MODEL)) for name in names}
    dout = rng.standard_normal((B, lengths["tgt" if "tgt" in names else "src"], D_MODEL))
    sets: list[dict[str, Array]] = [{}, {}, {}, {}]
    for name in ("src", "tgt"):
        if name in names:
            t = lengths[name]
            sets = [
                a | b
                for a, b in zip(
                    sets, masks(rng, f"{name}_mask", f"{name}_key_padding_mask", t, t), strict=True
                )
            ]
    if "tgt" in names:
        more = masks(rng, "memory_mask", "memory_key_padding_mask", T, S)
        sets = [a | b for a, b in zip(sets, more, strict=True)]
    made = {f"state/{key}": x for key, x in state.items()} | {f"in/{name}": x for name, x in inputs.items()}
    made |= {f"masks {i}/{name}": x for i, masked in enumerate(sets) for name, x in masked.items()}
    made["dout"] = dout
    choices = itertools.product((False, True), ("relu", "gelu"), (True, False))
    for i, (norm_first, activation, bias) in enumerate(choices):
        label = (
            f"{'pre' if norm_first else 'post'}/{activation}/{'bias' if bias else 'no bias'}/masks {i % 4}"
        )
        case = stored_case(
            kind,
            state,
            inputs,
            sets[i % 4],
            dout,
            None,
            norm_first=norm_first,
            activation=activation,
            bias=bias,
        )
        made |= {f"{label}/{name}": x for name, x in case.items()}
    norm_first, activation = kind.endswith("Layer"), "gelu" if "Encoder" in kind else "relu"
    case = stored_case(
        kind, state, inputs, {}, dout, np.random.default_rng(1), norm_first=norm_first, activation=activation
    )
    label = f"{'pre' if norm_first else 'post'}/{activation}/bias/dropout"
    return made | {f"{label}/{name}": x for name, x in case.items()}


def make() -> dict[str, Array]:
    """Return everything to be stored about torch.nn's modules."""
    found: dict[str, Array] = {}
    for seed, kind in enumerate((*ATTENTION, *STACKS)):
        cases = attention_cases if kind in ATTENTION else stack_cases
        found |= {f"{kind}/{key}": x for key, x in cases(kind, np.random.default_rng(seed)).items()}
    return found
