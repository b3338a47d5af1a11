"""The smallest blocks: linear, normalisation, dropout, with the names of their parameters."""

from __future__ import annotations

import numpy as np

from ..functional import (
    DropoutCache,
    LayerNormCache,
    LinearCache,
    RmsNormCache,
    dropout,
    dropout_backward,
    layer_norm,
    layer_norm_backward,
    linear,
    linear_backward,
    rms_norm,
    rms_norm_backward,
)
from ._blocks import Array, Grads, Params, Random, add_gradient, normal
from .lora import add_weight_gradient, weight_of


class Linear:
    """y = x @ W + b, with parameters `name`.weight (d_in, d_out) and `name`.bias (d_out,).

    Parameters
    ----------
    name : str
    d_in, d_out : int
    bias : bool
    """

    def __init__(self, name: str, d_in: int, d_out: int, bias: bool = True) -> None:
        self.weight, self.bias = f"{name}.weight", f"{name}.bias" if bias else None
        self.d_in, self.d_out = d_in, d_out

    def init(self, rng: np.random.Generator, std: float) -> dict[str, Array]:
        """Return initial values by name."""
        values = {self.weight: normal(rng, std, self.d_in, self.d_out)}
        if self.bias is not None:
            values[self.bias] = np.zeros(self.d_out)
        return values

    def forward(self, params: Params, x: Array, keep: bool = True) -> tuple[Array, LinearCache | None]:
        """Return y (..., d_out) and what the backward needs."""
        bias = None if self.bias is None else params[self.bias]
        y, cache = linear(x, weight_of(params, self.weight), bias)
        return y, cache if keep else None

    def backward(self, params: Params, dy: Array, cache: LinearCache, grads: Grads) -> Array:
        """Add the parameters' gradients to `grads`; return dx."""
        dx, dweight, dbias = linear_backward(dy, cache)
        add_weight_gradient(params, grads, self.weight, dweight)
        if self.bias is not None:
            add_gradient(grads, self.bias, dbias)
        return dx


class LayerNorm:
    """Layer normalisation with parameters `name`.gamma and `name`.beta, both (d,).

    Parameters
    ----------
    name : str
    d : int
    eps : float
    bias : bool
        False: no beta.
    """

    def __init__(self, name: str, d: int, eps: float, bias: bool = True) -> None:
        self.gamma, self.beta = f"{name}.gamma", f"{name}.beta" if bias else None
        self.d, self.eps = d, eps

    def init(self, rng: np.random.Generator, std: float) -> dict[str, Array]:
        """Return initial values by name."""
        values = {self.gamma: np.ones(self.d)}
        if self.beta is not None:
            values[self.beta] = np.zeros(self.d)
        return values

    def forward(self, params: Params, x: Array, keep: bool = True) -> tuple[Array, LayerNormCache | None]:
        """Return y (..., d) and what the backward needs."""
        gamma = params[self.gamma]
        beta = np.zeros_like(gamma) if self.beta is None else params[self.beta]
        y, cache = layer_norm(x, gamma, beta, self.eps)
        return y, cache if keep else None

    def backward(self, params: Params, dy: Array, cache: LayerNormCache, grads: Grads) -> Array:
        """Add the parameters' gradients to `grads`; return dx."""
        dx, dgamma, dbeta = layer_norm_backward(dy, cache)
        add_gradient(grads, self.gamma, dgamma)
        if self.beta is not None:
            add_gradient(grads, self.beta, dbeta)
        return dx


class RMSNorm:
    """Root-mean-square normalisation with the parameter `name`.gamma (d,).

    Parameters
    ----------
    name : str
    d : int
    eps : float
    """

    def __init__(self, name: str, d: int, eps: float) -> None:
        self.gamma, self.d, self.eps = f"{name}.gamma", d, eps

    def init(self, rng: np.random.Generator, std: float) -> dict[str, Array]:
        """Return initial values by name."""
        return {self.gamma: np.ones(self.d)}

    def forward(self, params: Params, x: Array, keep: bool = True) -> tuple[Array, RmsNormCache | None]:
        """Return y (..., d) and what the backward needs."""
        y, cache = rms_norm(x, params[self.gamma], self.eps)
        return y, cache if keep else None

    def backward(self, params: Params, dy: Array, cache: RmsNormCache, grads: Grads) -> Array:
        """Add the parameter's gradient to `grads`; return dx."""
        dx, dgamma = rms_norm_backward(dy, cache)
        add_gradient(grads, self.gamma, dgamma)
        return dx


# name -> class of the norms that a model can have
NORMS: dict[str, type[LayerNorm] | type[RMSNorm]] = {"layer_norm": LayerNorm, "rms_norm": RMSNorm}


class Dropout:
    """Dropout with probability p where there is a source of randomness; else the identity.

    Parameters
    ----------
    p : float
    """

    def __init__(self, p: float) -> None:
        self.p = p

    def forward(self, x: Array, rng: Random | None) -> tuple[Array, DropoutCache | None]:
        """Return y and what the backward needs (None where nothing was dropped)."""
        if rng is None or self.p == 0.0:
            return x, None
        return dropout(x, self.p, rng)

    def backward(self, dy: Array, cache: DropoutCache | None) -> Array:
        """Return dx."""
        return dy if cache is None else dropout_backward(dy, cache)
