"""The position-wise feed-forward block: linear, activation, linear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..functional import LinearCache, gelu, gelu_backward, relu, relu_backward, silu, silu_backward
from ._blocks import Array, Grads, Params
from .layers import Linear

# name -> (forward, backward) of the activations a feed-forward block can have
ACTIVATIONS: dict[str, tuple[Callable[[Array], tuple[Array, Any]], Callable[[Array, Any], Array]]] = {
    "gelu": (gelu, gelu_backward),
    "gelu_tanh": (lambda x: gelu(x, approximate="tanh"), gelu_backward),
    "relu": (relu, relu_backward),
    "silu": (silu, silu_backward),
}


class FeedForwardCache(NamedTuple):
    """What `FeedForward.backward` needs."""

    up: LinearCache
    activation: Any  # the op's own cache
    down: LinearCache


class FeedForward:
    """y = activation(x @ W_up + b_up) @ W_down + b_down, with parameters `name`.{up, down}.{weight, bias}.

    Parameters
    ----------
    name : str
    d_model, d_ff : int
    activation : {"gelu", "gelu_tanh", "relu", "silu"}
    """

    def __init__(self, name: str, d_model: int, d_ff: int, activation: str = "gelu") -> None:
        self.up = Linear(f"{name}.up", d_model, d_ff)
        self.down = Linear(f"{name}.down", d_ff, d_model)
        self.activate, self.activate_backward = ACTIVATIONS[activation]

    def init(self, rng: np.random.Generator, std: float, output_std: float) -> dict[str, Array]:
        """Return initial values by name; `down` ends in the residual sum: it has its own std."""
        return {**self.up.init(rng, std), **self.down.init(rng, output_std)}

    def forward(self, params: Params, x: Array, keep: bool = True) -> tuple[Array, FeedForwardCache | None]:
        """Return y (..., d_model) and what the backward needs."""
        u, up = self.up.forward(params, x, keep)  # (..., d_ff)
        a, activation = self.activate(u)  # (..., d_ff)
        y, down = self.down.forward(params, a, keep)  # (..., d_model)
        return y, FeedForwardCache(up, activation, down) if up and down else None

    def backward(self, params: Params, dy: Array, cache: FeedForwardCache, grads: Grads) -> Array:
        """Add the parameters' gradients to `grads`; return dx."""
        da = self.down.backward(params, dy, cache.down, grads)
        du = self.activate_backward(da, cache.activation)
        return self.up.backward(params, du, cache.up, grads)
