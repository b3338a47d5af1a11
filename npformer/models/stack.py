"""Layers, one after the other, with a norm behind the last where nothing else normalises its sum."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..nn import LayerNorm, RMSNorm
from .freezing import any_below
from .parameters import Array

NOTHING: Mapping[str, Any] = {}


class StackCache(NamedTuple):
    """What `Stack.backward` needs."""

    layers: list[Any]
    final_norm: Any


class Recomputation(NamedTuple):
    """What one layer's forward was given: enough to run it again, and all that is kept of it then."""

    x: Array
    mask: Array | None
    rng: Any  # as it was before the layer drew from it
    of_layer: Mapping[str, Any]


class Stack:
    """Layers of one kind.

    Parameters
    ----------
    layers : sequence of EncoderLayer or DecoderLayer
    final_norm : LayerNorm or RMSNorm, optional
        In pre-norm nothing has normalised the last sum.
    """

    def __init__(self, layers: Sequence[Any], final_norm: LayerNorm | RMSNorm | None = None) -> None:
        self.layers, self.final_norm = list(layers), final_norm

    def init(self, rng: np.random.Generator, std: float, *of_layer: Any) -> dict[str, Array]:
        """Return initial values by name; `of_layer` are more arguments of the layers' `init`."""
        values: dict[str, Array] = {}
        for layer in self.layers:
            values |= layer.init(rng, std, *of_layer)
        if self.final_norm is not None:
            values |= self.final_norm.init(rng, std)
        return values

    @property
    def collectable(self) -> list[str]:
        """Names that a forward can collect: each layer's branches, attention weights and output."""
        parts = [".attention", ".attention.weights", ".feed_forward", ""]
        if getattr(self.layers[0], "cross_attention", None) is not None:
            parts[2:2] = [".cross_attention", ".cross_attention.weights"]
        return [f"{layer.name}{part}" for layer in self.layers for part in parts]

    def first_trained(self, grads: Any) -> int:
        """Return the place of the first layer that has a parameter in `grads`; their number if none has."""
        trained = (i for i, layer in enumerate(self.layers) if any_below(layer.name, grads))
        return next(trained, len(self.layers))

    def forward(
        self,
        params: Any,
        x: Array,
        mask: Array | None,
        at: Array | None = None,
        *,
        keep: bool = True,
        recompute: bool = False,
        rng: Any = None,
        collected: dict[str, Array] | None = None,
        of_layer: Mapping[str, Any] = NOTHING,
    ) -> tuple[Array, StackCache]:
        """Run all layers, the last at the positions `at` alone.

        Parameters
        ----------
        params : mapping
        x : ndarray, shape (B, T, d_model)
        mask : ndarray of bool, broadcastable to (B, h, T, T), optional
        at : ndarray of int, shape (n,), optional
        keep, recompute, rng
            As in `Encoder.forward`.
        collected : dict, optional
            Filled with what is `collectable`.
        of_layer : mapping
            More arguments of the layers' forward.

        Returns
        -------
        hidden : ndarray, shape (B, T, d_model), or (n, d_model) with `at`
        cache : StackCache
        """
        caches = []
        for layer in self.layers:
            last = layer is self.layers[-1]
            again = keep and recompute and not last  # the last layer's backward comes at once
            kept = Recomputation(x, mask, copy.deepcopy(rng), of_layer) if again else None
            x, cache = layer.forward(
                params, x, mask, at if last else None, keep and not again, rng, collected, **of_layer
            )
            caches.append(kept if again else cache)
        c_norm: Any = None
        if self.final_norm is not None:
            x, c_norm = self.final_norm.forward(params, x, keep)
        return x, StackCache(caches, c_norm)

    def backward(
        self,
        params: Any,
        dhidden: Array,
        cache: StackCache,
        grads: Any,
        of_layer: Mapping[str, Any] = NOTHING,
        first: int = 0,
    ) -> Array:
        """Add the parameters' gradients to `grads`; return dx, the gradient of the input of layer `first`.

        `of_layer` has more arguments of the layers' backward. The layers below `first` are left out.
        """
        dx = dhidden
        if self.final_norm is not None:
            dx = self.final_norm.backward(params, dx, cache.final_norm, grads)
        both = zip(reversed(self.layers[first:]), reversed(cache.layers[first:]), strict=True)
        for layer, layer_cache in both:
            if isinstance(layer_cache, Recomputation):
                x, mask, rng, forward = layer_cache
                _, layer_cache = layer.forward(params, x, mask, rng=copy.deepcopy(rng), **forward)
            dx = layer.backward(params, dx, layer_cache, grads, **of_layer)
        return dx
