"""What the modules of this room have in common: parameters under two sets of names, layouts, masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..models import Parameters
from ..models.stack import Stack
from ..nn import DecoderLayer, EncoderLayer, LayerNorm
from .torch_arrays import Array, from_batch, to_batch
from .torch_masks import scores_of_masks
from .torch_names import Structure, stack_prefix


class Options(NamedTuple):
    """What the arrays do not tell."""

    n_heads: int
    norm_first: bool
    activation: str
    eps: float
    final_eps: float
    dropout: float
    batch_first: bool


class TorchCache(NamedTuple):
    """What a backward needs, and the attention maps that were asked for.

    Attributes
    ----------
    kept : tuple
        The caches of the blocks; empty where the forward kept nothing.
    ndim : int
        Axes of the inputs: 3, or 2 for one sequence alone.
    attention_weights : dict of str to ndarray
        By name ("encoder.0.attention.weights", "attention.weights"): (B, h, T, S), or (B, T, S) averaged over
        the heads; the first axis is missing where the inputs' was.
    """

    kept: tuple[Any, ...]
    ndim: int
    attention_weights: dict[str, Array]


class TorchModule:
    """What the four have in common: parameters under two sets of names, and layouts.

    Attributes
    ----------
    structure : Structure
        What the state dict told.
    options : Options
        What it did not.
    params : Parameters
        By npformer's names, in one flat vector.
    """

    def __init__(self, structure: Structure, options: Options, params: Parameters) -> None:
        self.structure, self.options, self.params = structure, options, params

    def __repr__(self) -> str:
        s = self.structure
        depths = (("encoder", s.encoder_layers), ("decoder", s.decoder_layers))
        layers = [f"{part}_layers={n}" for part, n in depths if n]
        sizes = ", ".join([s.kind, *layers, f"d_model={s.d_model}", f"n_heads={self.options.n_heads}"])
        return f"{type(self).__name__}({sizes}, parameters={self.params.size:_})"

    def state_dict(self, values: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Return `params`, or other values in their layout, under PyTorch's keys: copies."""
        values = self.params if values is None else values
        return {entry.key: entry.join(values) for entry in self.structure.entries()}

    def gradients_as_state_dict(self, grads: Mapping[str, Array]) -> dict[str, Array]:
        """Return gradients under PyTorch's keys, to be compared with ``.grad`` of its parameters."""
        return self.state_dict(grads)

    def _stack(self, part: str) -> Stack:
        s, o = self.structure, self.options
        n_layers, layer = (
            (s.encoder_layers, EncoderLayer) if part == "encoder" else (s.decoder_layers, DecoderLayer)
        )
        shape: dict[str, Any] = {
            "activation": o.activation,
            "norm": "pre" if o.norm_first else "post",
            "dropout": o.dropout,
            "activation_dropout": o.dropout,
            "eps": o.eps,
            "bias": s.bias,
            "norm_bias": s.norm_bias,
        }
        if part == "decoder":
            shape["cross"] = True
        layers = [layer(f"{part}.{i}", s.d_model, o.n_heads, s.d_ff, **shape) for i in range(n_layers)]
        prefix, norm = stack_prefix(s.kind, part), None
        if f"{prefix}norm.weight" in s.final_norms:
            norm = LayerNorm(f"{part}.norm", s.d_model, o.final_eps, f"{prefix}norm.bias" in s.final_norms)
        return Stack(layers, norm)

    def _in(self, name: str, x: Any, width: int | None = None, like: tuple[int, int] | None = None) -> Any:
        """Return x as (B, T, d) and its number of axes; with `like` = (B, axes) both have to be these."""
        where = f"{type(self).__name__}: {name}"
        x, ndim = to_batch(where, x, width or self.structure.d_model, self.options.batch_first)
        if like is not None and (len(x), ndim) != like:
            raise ValueError(
                f"{where}: expected {like[0]} sequences and {like[1]} axes as the first input has, "
                f"got {len(x)} and {ndim}"
            )
        return x, ndim

    def _out(self, x: Array, ndim: int) -> Array:
        return from_batch(x, ndim, self.options.batch_first)

    def _gradient(self, dy: Any, cache: TorchCache) -> Array:
        if not cache.kept:
            raise ValueError(
                f"{type(self).__name__}.backward: cache: expected one of a forward with keep=True, "
                "got keep=False"
            )
        dy, _ = self._in("dy", dy)
        return dy

    def _masks(self, q: Array, kv: Array, attention: tuple[str, Any], padding: tuple[str, Any]) -> Any:
        shape = (len(q), self.options.n_heads, q.shape[1], kv.shape[1])
        dtype = np.result_type(q, kv, self.params.flat)
        return scores_of_masks(type(self).__name__, shape, dtype, attention, padding)


def attention_maps(collected: dict[str, Array] | None, average: bool, ndim: int) -> dict[str, Array]:
    """Return the attention weights among what was collected, averaged over the heads or not."""
    found = {name: P for name, P in (collected or {}).items() if name.endswith(".weights")}
    if average:
        found = {name: P.mean(axis=1) for name, P in found.items()}
    return {name: P[0] if ndim == 2 else P for name, P in found.items()}
