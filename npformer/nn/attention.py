"""Multi-head self-attention as a block: `functional.multi_head_attention` with named parameters."""

from __future__ import annotations

import math

import numpy as np

from ..functional import MultiHeadAttentionCache, multi_head_attention, multi_head_attention_backward
from ._blocks import Array, Grads, Params, Random, add_gradient, normal

NEIGHBOUR_LEAD = 1.7  # of scores: with 32 features a head and base 100, 73 % of the attention


class SelfAttention:
    """Self-attention with parameters `name`.{query, key, value, output}.{weight, bias}.

    Parameters
    ----------
    name : str
    d_model, n_heads : int
    dropout : float
        Of the attention weights.
    rotary_base : float, optional
        Rotate queries and keys by their positions; None = no rotation.
    """

    def __init__(
        self, name: str, d_model: int, n_heads: int, dropout: float = 0.0, rotary_base: float | None = None
    ) -> None:
        self.d_model, self.n_heads, self.dropout, self.rotary_base = d_model, n_heads, dropout, rotary_base
        parts = ("query", "key", "value", "output")
        self.weights = [f"{name}.{part}.weight" for part in parts]
        self.biases = [f"{name}.{part}.bias" for part in parts]

    def init(
        self, rng: np.random.Generator, std: float, output_std: float, neighbour_heads: int = 0
    ) -> dict[str, Array]:
        """Return initial values by name.

        The output projection ends in a residual sum and has its own std. The first `neighbour_heads` heads
        begin by looking at the token one to the right, one to the left, two to the right, ...
        """
        values = {}
        for weight, bias, s in zip(self.weights, self.biases, (std, std, std, output_std), strict=True):
            values[weight] = normal(rng, s, self.d_model, self.d_model)
            values[bias] = np.zeros(self.d_model)
        if neighbour_heads:
            offsets = [1 + j // 2 if j % 2 == 0 else -(1 + j // 2) for j in range(neighbour_heads)]
            values[self.biases[0]], values[self.biases[1]] = self._neighbour_biases(offsets)
        return values

    def _neighbour_biases(self, offsets: list[int]) -> tuple[Array, Array]:
        # Rotary turns the pairs of a query at t and of a key at s by t · θ and s · θ. From the biases alone,
        # with a pair of the query's (A, 0) and of the key's (A cos oθ, -A sin oθ), the score is
        #     A² / √d_head · Σ_θ cos((s - t - o) θ),
        # highest at s = t + o. Its lead over the tokens beside that one is A² / √d_head · Σ_θ (1 - cos θ).
        assert self.rotary_base is not None
        d_head = self.d_model // self.n_heads
        theta = self.rotary_base ** (-np.arange(0, d_head, 2) / d_head)
        A = math.sqrt(NEIGHBOUR_LEAD * math.sqrt(d_head) / (1 - np.cos(theta)).sum())
        query, key = np.zeros((2, self.n_heads, 2, d_head // 2))  # pairs are halves against each other
        for head, o in enumerate(offsets):
            query[head, 0] = A
            key[head] = A * np.cos(o * theta), -A * np.sin(o * theta)
        return query.reshape(-1), key.reshape(-1)

    def forward(
        self,
        params: Params,
        x: Array,
        mask: Array | None = None,
        at: Array | None = None,
        keep: bool = True,
        rng: Random | None = None,
    ) -> tuple[Array, MultiHeadAttentionCache | None]:
        """Attend from every position of `x` to every key that `mask` allows.

        Parameters
        ----------
        params : mapping
        x : ndarray, shape (B, T, d_model)
        mask : ndarray of bool, broadcastable to (B, h, T, T), optional
        at : ndarray of int, shape (n,), optional
            Flat positions in (B, T): the output projection is done there alone.
        keep : bool
            False keeps nothing for a backward.
        rng : Random, optional
            None = no dropout.

        Returns
        -------
        y : ndarray, shape (B, T, d_model), or (n, d_model) with `at`
        cache : MultiHeadAttentionCache or None
        """
        positions = None if self.rotary_base is None else np.arange(x.shape[1])
        y, cache = multi_head_attention(
            x,
            None,
            *(params[name] for name in self.weights),
            *(params[name] for name in self.biases),
            n_heads=self.n_heads,
            mask=mask,
            positions_q=positions,
            positions_kv=positions,
            rotary_base=self.rotary_base or 10000.0,
            at=at,
            dropout_p=self.dropout if rng is not None else 0.0,
            rng=rng,
        )
        return y, cache if keep else None

    def backward(self, params: Params, dy: Array, cache: MultiHeadAttentionCache, grads: Grads) -> Array:
        """Add the parameters' gradients to `grads`; return dx (B, T, d_model)."""
        dx, _, *of_parameters = multi_head_attention_backward(dy, cache)[:10]  # then come three None
        for name, gradient in zip(self.weights + self.biases, of_parameters, strict=True):
            add_gradient(grads, name, gradient)
        return dx
