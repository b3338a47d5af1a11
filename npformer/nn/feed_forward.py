"""The position-wise feed-forward block: linear, activation, linear; or with a gate.

FeedForward         y = dropout(activation(x @ W_up + b_up)) @ W_down + b_down
GatedFeedForward    y = dropout(silu(x @ W_gate) · (x @ W_up)) @ W_down        SwiGLU
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..functional import (
    DropoutCache,
    LinearCache,
    SwigluCache,
    gelu,
    gelu_backward,
    relu,
    relu_backward,
    silu,
    silu_backward,
    swiglu,
    swiglu_backward,
)
from ._blocks import Array, Grads, Params, Random
from .layers import Dropout, Linear

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
    dropout: DropoutCache | None
    down: LinearCache


class FeedForward:
    """y = activation(x @ W_up + b_up) @ W_down + b_down, with parameters `name`.{up, down}.{weight, bias}.

    Parameters
    ----------
    name : str
    d_model, d_ff : int
    activation : {"gelu", "gelu_tanh", "relu", "silu"}
    bias : bool
    dropout : float
        Of the activations.
    """

    def __init__(
        self,
        name: str,
        d_model: int,
        d_ff: int,
        activation: str = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        self.name = name
        self.up = Linear(f"{name}.up", d_model, d_ff, bias)
        self.down = Linear(f"{name}.down", d_ff, d_model, bias)
        self.activate, self.activate_backward = ACTIVATIONS[activation]
        self.dropout = Dropout(dropout)

    def init(self, rng: np.random.Generator, std: float, output_std: float) -> dict[str, Array]:
        """Return initial values by name; `down` ends in the residual sum: it has its own std."""
        return {**self.up.init(rng, std), **self.down.init(rng, output_std)}

    def forward(
        self,
        params: Params,
        x: Array,
        keep: bool = True,
        collected: dict[str, Array] | None = None,
        rng: Random | None = None,
    ) -> tuple[Array, FeedForwardCache | None]:
        """Return y (..., d_model), in `collected` too under `name`, and what the backward needs."""
        u, up = self.up.forward(params, x, keep)  # (..., d_ff)
        a, activation = self.activate(u)  # (..., d_ff)
        a, dropped = self.dropout.forward(a, rng)
        y, down = self.down.forward(params, a, keep)  # (..., d_model)
        if collected is not None:
            collected[self.name] = y
        return y, FeedForwardCache(up, activation, dropped, down) if up and down else None

    def backward(self, params: Params, dy: Array, cache: FeedForwardCache, grads: Grads) -> Array:
        """Add the parameters' gradients to `grads`; return dx."""
        da = self.dropout.backward(self.down.backward(params, dy, cache.down, grads), cache.dropout)
        du = self.activate_backward(da, cache.activation)
        return self.up.backward(params, du, cache.up, grads)


class GatedFeedForwardCache(NamedTuple):
    """What `GatedFeedForward.backward` needs."""

    gate: LinearCache
    up: LinearCache
    swiglu: SwigluCache
    dropout: DropoutCache | None
    down: LinearCache


class GatedFeedForward:
    """y = swiglu(x @ W_gate, x @ W_up) @ W_down, with parameters `name`.{gate, up, down}.{weight, bias}.

    Parameters
    ----------
    name : str
    d_model, d_ff : int
    bias : bool
    dropout : float
        Of the product.

    References
    ----------
    Shazeer: GLU Variants Improve Transformer, arXiv:2002.05202, equation 6.
    """

    def __init__(self, name: str, d_model: int, d_ff: int, bias: bool = False, dropout: float = 0.0) -> None:
        self.name = name
        self.gate = Linear(f"{name}.gate", d_model, d_ff, bias)
        self.up = Linear(f"{name}.up", d_model, d_ff, bias)
        self.down = Linear(f"{name}.down", d_ff, d_model, bias)
        self.dropout = Dropout(dropout)

    def init(self, rng: np.random.Generator, std: float, output_std: float) -> dict[str, Array]:
        """Return initial values by name; `down` ends in the residual sum: it has its own std."""
        return {**self.gate.init(rng, std), **self.up.init(rng, std), **self.down.init(rng, output_std)}

    def forward(
        self,
        params: Params,
        x: Array,
        keep: bool = True,
        collected: dict[str, Array] | None = None,
        rng: Random | None = None,
    ) -> tuple[Array, GatedFeedForwardCache | None]:
        """Return y (..., d_model), in `collected` too under `name`, and what the backward needs."""
        g, gate = self.gate.forward(params, x, keep)  # (..., d_ff)
        u, up = self.up.forward(params, x, keep)  # (..., d_ff)
        a, gated = swiglu(g, u)  # (..., d_ff)
        a, dropped = self.dropout.forward(a, rng)
        y, down = self.down.forward(params, a, keep)  # (..., d_model)
        if collected is not None:
            collected[self.name] = y
        return y, GatedFeedForwardCache(gate, up, gated, dropped, down) if gate and up and down else None

    def backward(self, params: Params, dy: Array, cache: GatedFeedForwardCache, grads: Grads) -> Array:
        """Add the parameters' gradients to `grads`; return dx, which collects from gate and up."""
        da = self.dropout.backward(self.down.backward(params, dy, cache.down, grads), cache.dropout)
        dg, du = swiglu_backward(da, cache.swiglu)
        dx = self.gate.backward(params, dg, cache.gate, grads)
        dx += self.up.backward(params, du, cache.up, grads)
        return dx


def feed_forward(
    name: str, d_model: int, d_ff: int, activation: str, bias: bool, dropout: float = 0.0
) -> FeedForward | GatedFeedForward:
    """Return the block of this activation, "swiglu" among them."""
    if activation == "swiglu":
        return GatedFeedForward(name, d_model, d_ff, bias, dropout)
    return FeedForward(name, d_model, d_ff, activation, bias, dropout)
