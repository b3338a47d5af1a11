"""The keys of torch.nn's Transformer modules, and npformer's names for the same arrays.

PyTorch keeps a weight as (d_out, d_in), npformer as (d_in, d_out): y = x Wᵀ + b there, y = x W + b here.
Where queries, keys and values have one width, PyTorch stacks their three weights in ``in_proj_weight``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .torch_arrays import Array

KINDS = (
    "MultiheadAttention",
    "TransformerEncoderLayer",
    "TransformerEncoder",
    "TransformerDecoderLayer",
    "TransformerDecoder",
    "Transformer",
)
INPUTS = ("query", "key", "value")


class Entry(NamedTuple):
    """One array of a state dict."""

    key: str  # PyTorch's
    names: tuple[str, ...]  # npformer's: one, or the three that are stacked
    shape: tuple[int, ...]  # PyTorch's

    def split(self, value: Array) -> Iterator[tuple[str, Array]]:
        """Yield npformer's names and arrays (views)."""
        for name, part in zip(self.names, np.split(value, len(self.names)), strict=True):
            yield name, part.T

    def join(self, values: Mapping[str, Array]) -> Array:
        """Return PyTorch's array, a copy."""
        return np.concatenate([values[name].T for name in self.names])


@dataclass(frozen=True)
class Structure:
    """What the arrays tell about a module.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    d_model, d_ff : int
    encoder_layers, decoder_layers : int
    bias, norm_bias : bool
        Whether the layers' linear maps and norms have biases.
    final_norms : tuple of str
        PyTorch's keys of the norms behind the stacks, of those that are there.
    widths : (int, int), optional
        Of keys and values of a MultiheadAttention whose three weights are not stacked.
    """

    kind: str
    d_model: int
    d_ff: int = 0
    encoder_layers: int = 0
    decoder_layers: int = 0
    bias: bool = True
    norm_bias: bool = True
    final_norms: tuple[str, ...] = ()
    widths: tuple[int, int] | None = None

    def entries(self) -> list[Entry]:
        """Return the whole state dict, in PyTorch's order."""
        if self.kind == "MultiheadAttention":
            return list(_attention("", "attention", self.d_model, self.bias, self.widths))
        found: list[Entry] = []
        for part, n_layers in (("encoder", self.encoder_layers), ("decoder", self.decoder_layers)):
            prefix, cross = stack_prefix(self.kind, part), part == "decoder"
            for i in range(n_layers):
                layer = prefix if self.kind.endswith("Layer") else f"{prefix}layers.{i}."
                found += _layer(layer, f"{part}.{i}", cross, self)
            for key, name in (("weight", "gamma"), ("bias", "beta")):
                if n_layers and layer != prefix and f"{prefix}norm.{key}" in self.final_norms:
                    found.append(Entry(f"{prefix}norm.{key}", (f"{part}.norm.{name}",), (self.d_model,)))
        return found


def _attention(
    prefix: str, name: str, d: int, bias: bool, widths: tuple[int, int] | None = None
) -> Iterator[Entry]:
    weights = tuple(f"{name}.{part}.weight" for part in INPUTS)
    if widths is None:
        yield Entry(f"{prefix}in_proj_weight", weights, (3 * d, d))
    else:
        for letter, weight, width in zip("qkv", weights, (d, *widths), strict=True):
            yield Entry(f"{prefix}{letter}_proj_weight", (weight,), (d, width))
    if bias:
        yield Entry(f"{prefix}in_proj_bias", tuple(f"{name}.{part}.bias" for part in INPUTS), (3 * d,))
    yield from _linear(f"{prefix}out_proj", f"{name}.output", d, d, bias)


def _linear(prefix: str, name: str, d_in: int, d_out: int, bias: bool) -> Iterator[Entry]:
    yield Entry(f"{prefix}.weight", (f"{name}.weight",), (d_out, d_in))
    if bias:
        yield Entry(f"{prefix}.bias", (f"{name}.bias",), (d_out,))


def _layer(prefix: str, name: str, cross: bool, s: Structure) -> Iterator[Entry]:
    yield from _attention(f"{prefix}self_attn.", f"{name}.attention", s.d_model, s.bias)
    if cross:
        yield from _attention(f"{prefix}multihead_attn.", f"{name}.cross_attention", s.d_model, s.bias)
    yield from _linear(f"{prefix}linear1", f"{name}.feed_forward.up", s.d_model, s.d_ff, s.bias)
    yield from _linear(f"{prefix}linear2", f"{name}.feed_forward.down", s.d_ff, s.d_model, s.bias)
    branches = ("attention", *(("cross_attention",) if cross else ()), "feed_forward")
    for i, branch in enumerate(branches, 1):
        yield Entry(f"{prefix}norm{i}.weight", (f"{name}.{branch}_norm.gamma",), (s.d_model,))
        if s.norm_bias:
            yield Entry(f"{prefix}norm{i}.bias", (f"{name}.{branch}_norm.beta",), (s.d_model,))


def stack_prefix(kind: str, part: str) -> str:
    """Return what stands before the keys of the encoder or decoder."""
    return f"{part}." if kind == "Transformer" else ""


def structure_of_state(op: str, state: Mapping[str, Array]) -> Structure:
    """Return what a state dict is, judged by its keys and the shapes of a few arrays.

    Raises
    ------
    ValueError
        If it is none of `KINDS`, a key is missing or unknown, or a shape is not what it should be.
    """
    kind = _kind_of_state(op, state)
    if kind == "MultiheadAttention":
        d_model = len(_matrix(op, state, "out_proj.weight"))
        widths = None
        if "in_proj_weight" not in state:
            k, v = (_matrix(op, state, f"{letter}_proj_weight").shape[1] for letter in "kv")
            widths = (k, v)
        bias = any(key.endswith("bias") for key in state)
        structure = Structure(kind, d_model, bias=bias, widths=widths)
    else:
        parts = [part for part in ("encoder", "decoder") if kind == "Transformer" or part in kind.lower()]
        n_layers = {part: _layers_of_state(state, kind, stack_prefix(kind, part)) for part in parts}
        first = stack_prefix(kind, parts[0]) + ("" if kind.endswith("Layer") else "layers.0.")
        final = re.compile(r"(encoder\.|decoder\.)?norm\.(weight|bias)")
        final_norms = tuple(key for key in state if final.fullmatch(key))
        bias = any(key.endswith("bias") and key not in final_norms for key in state)
        structure = Structure(
            kind,
            len(_matrix(op, state, f"{first}linear2.weight")),
            len(_matrix(op, state, f"{first}linear1.weight")),
            n_layers.get("encoder", 0),
            n_layers.get("decoder", 0),
            bias,
            bias,
            final_norms,
        )
    _require_entries(op, structure, state)
    return structure


def _kind_of_state(op: str, state: Mapping[str, Array]) -> str:
    def some(start: str, inside: str = "") -> bool:
        return any(key.startswith(start) and inside in key for key in state)

    if some("encoder.layers.") and some("decoder.layers."):
        return "Transformer"
    if some("layers."):
        return "TransformerDecoder" if some("layers.", ".multihead_attn.") else "TransformerEncoder"
    if some("self_attn."):
        return "TransformerDecoderLayer" if some("multihead_attn.") else "TransformerEncoderLayer"
    if some("in_proj_weight") or some("q_proj_weight") or some("out_proj."):
        return "MultiheadAttention"
    got = ", ".join(list(state)[:3]) + (", ..." if len(state) > 3 else "") if state else "no key"
    raise ValueError(f"{op}: state: expected the keys of torch.nn's {', '.join(KINDS)}, no prefix, got {got}")


def _layers_of_state(state: Mapping[str, Array], kind: str, prefix: str) -> int:
    if kind.endswith("Layer"):
        return 1
    starts = [re.match(rf"{re.escape(prefix)}layers\.(\d+)\.", key) for key in state]
    return len({match[1] for match in starts if match})


def _matrix(op: str, state: Mapping[str, Array], key: str) -> Array:
    if key not in state:
        raise ValueError(f"{op}: {key}: expected a matrix, got no such key")
    if state[key].ndim != 2:
        raise ValueError(f"{op}: {key}: expected a matrix, got shape {state[key].shape}")
    return state[key]


def _require_entries(op: str, structure: Structure, state: Mapping[str, Array]) -> None:
    """Raise unless the state dict has every entry, in its shape, and nothing else."""
    entries = structure.entries()
    for key in ("bias_k", "bias_v"):
        if key in state:
            raise ValueError(f"{op}: {key}: add_bias_kv=True is not supported")
    for entry in entries:
        if entry.key not in state:
            raise ValueError(f"{op}: {entry.key}: expected shape {entry.shape}, got no such key")
        if state[entry.key].shape != entry.shape:
            raise ValueError(f"{op}: {entry.key}: expected shape {entry.shape}, got {state[entry.key].shape}")
    unknown = [key for key in state if key not in {entry.key for entry in entries}]
    if unknown:
        raise ValueError(f"{op}: {unknown[0]}: expected the keys of {structure.kind}, got this one too")


def structure_of_params(op: str, params: Mapping[str, Array], kind: str | None) -> Structure:
    def layers(part: str) -> int:
        return sum(bool(re.fullmatch(rf"{part}\.\d+\.attention\.query\.weight", name)) for name in params)

    counts = {part: layers(part) for part in ("encoder", "decoder")}
    if kind is None:
        kind = {
            (True, True): "Transformer",
            (True, False): "TransformerEncoder",
            (False, True): "TransformerDecoder",
            (False, False): "MultiheadAttention",
        }[counts["encoder"] > 0, counts["decoder"] > 0]
    if kind not in KINDS:
        raise ValueError(f"{op}: kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    if kind == "MultiheadAttention":
        query, key, value = (_parameter(op, params, f"attention.{part}.weight") for part in INPUTS)
        widths = None if query.shape == key.shape == value.shape else (len(key), len(value))
        bias = "attention.query.bias" in params
        return Structure(kind, query.shape[1], bias=bias, widths=widths)
    for part, n in counts.items():
        wanted = kind == "Transformer" or part in kind.lower()
        if wanted != (n > 0) or kind.endswith("Layer") and n > 1:
            expected = ("one layer" if kind.endswith("Layer") else "layers") if wanted else "no layers"
            raise ValueError(f"{op}: {part}: expected {expected} for {kind}, got {n}")
    first = "encoder.0" if counts["encoder"] else "decoder.0"
    up = _parameter(op, params, f"{first}.feed_forward.up.weight")
    final_norms = tuple(
        f"{stack_prefix(kind, part)}norm.{key}"
        for part in counts
        for key, name in (("weight", "gamma"), ("bias", "beta"))
        if f"{part}.norm.{name}" in params
    )
    d_model, d_ff = up.shape
    return Structure(
        kind,
        d_model,
        d_ff,
        counts["encoder"],
        counts["decoder"],
        f"{first}.attention.query.bias" in params,
        f"{first}.attention_norm.beta" in params,
        final_norms,
    )


def _parameter(op: str, params: Mapping[str, Any], name: str) -> Array:
    if name not in params:
        raise ValueError(f"{op}: {name}: expected a parameter, got no such name")
    array: Array = params[name]
    return array
