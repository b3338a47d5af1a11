"""What self-attention and cross-attention share: the projections, and where keys and values stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..functional import linear
from ..functional.multi_head_attention import join_heads, split_heads
from ._blocks import Array, Grads, Params, add_gradient, normal
from .lora import add_weight_gradient, weight_of

PARTS = ("query", "key", "value", "output")


class KeyValues(NamedTuple):
    """Keys and values of one layer as they are used: normalised, rotated, split into heads."""

    k: Array  # (B, h_kv, S, d_head)
    v: Array  # (B, h_kv, S, d_head)


class Projections:
    """The four projections of an attention block, `name`.{query, key, value, output}.{weight, bias}.

    Parameters
    ----------
    name : str
    bias : bool
        Whether they have biases.
    """

    def __init__(self, name: str, bias: bool) -> None:
        self.weights = [f"{name}.{part}.weight" for part in PARTS]
        self.biases = [f"{name}.{part}.bias" for part in PARTS] if bias else []

    def init(
        self, rng: np.random.Generator, shapes: Sequence[tuple[int, int]], std: float, output_std: float
    ) -> dict[str, Array]:
        """Return initial values by name, of the four `shapes`."""
        values = {}
        for i, shape in enumerate(shapes):
            values[self.weights[i]] = normal(rng, output_std if i == 3 else std, *shape)
            if self.biases:
                values[self.biases[i]] = np.zeros(shape[1])
        return values

    def arguments(self, params: Params) -> tuple[Array, Array, Array, Array, Any, Any, Any, Any]:
        """Return the four weights and the four biases, as `functional.multi_head_attention` takes them."""
        w_q, w_k, w_v, w_o = (weight_of(params, name) for name in self.weights)
        b_q, b_k, b_v, b_o = (params[name] for name in self.biases) if self.biases else 4 * (None,)
        return w_q, w_k, w_v, w_o, b_q, b_k, b_v, b_o

    def add_gradients(self, params: Params, gradients: Sequence[Any], grads: Grads) -> None:
        """Add to `grads` what follows from the gradients of `arguments`."""
        for name, gradient in zip(self.weights, gradients[:4], strict=True):
            add_weight_gradient(params, grads, name, gradient)
        for name, gradient in zip(self.biases, gradients[4:], strict=False):
            add_gradient(grads, name, gradient)

    def heads(self, params: Params, part: int, x: Array, h: int) -> Array:
        """Project x (B, T, d_model) by one of `PARTS` and split it into h heads (B, h, T, d_head)."""
        return split_heads(self._project(params, part, x), h)

    def output(self, params: Params, out: Array) -> Array:
        """Join the heads of `out` (B, h, T, d_head) and project them: (B, T, d_model)."""
        return self._project(params, 3, join_heads(out))

    def _project(self, params: Params, part: int, x: Array) -> Array:
        bias = params[self.biases[part]] if self.biases else None
        return linear(x, weight_of(params, self.weights[part]), bias)[0]
