"""Multi-head attention to another sequence, the memory, as a block.

`project` and `step` are for decoding: the memory's keys and values are computed once.
"""

from __future__ import annotations

import numpy as np

from ..functional import (
    MultiHeadAttentionCache,
    multi_head_attention,
    multi_head_attention_backward,
    scaled_dot_product_attention,
)
from ._blocks import Array, Grads, Params, Random
from ._projections import KeyValues, Projections


class CrossAttention:
    """Attention to a memory, with parameters `name`.{query, key, value, output}.{weight, bias}.

    Parameters
    ----------
    name : str
    d_model, n_heads : int
    dropout : float
        Of the attention weights.
    bias : bool
        Whether the projections have biases.

    References
    ----------
    Vaswani et al.: Attention Is All You Need, arXiv:1706.03762, section 3.2.3.
    """

    def __init__(
        self, name: str, d_model: int, n_heads: int, dropout: float = 0.0, *, bias: bool = True
    ) -> None:
        self.name, self.d_model, self.n_heads, self.dropout = name, d_model, n_heads, dropout
        self.projections = Projections(name, bias)

    def init(self, rng: np.random.Generator, std: float, output_std: float) -> dict[str, Array]:
        """Return initial values by name; the output projection ends in a residual sum and has its own std."""
        return self.projections.init(rng, 4 * [(self.d_model, self.d_model)], std, output_std)

    def forward(
        self,
        params: Params,
        x: Array,
        memory: Array,
        mask: Array | None = None,
        at: Array | None = None,
        keep: bool = True,
        rng: Random | None = None,
        *,
        bias: Array | None = None,
        collected: dict[str, Array] | None = None,
    ) -> tuple[Array, MultiHeadAttentionCache | None]:
        """Attend from every position of `x` to every position of `memory` that `mask` allows.

        Parameters
        ----------
        params : mapping
        x : ndarray, shape (B, T, d_model)
        memory : ndarray, shape (B, S, d_model)
        mask : ndarray of bool, broadcastable to (B, h, T, S), optional
        at, keep, rng, bias, collected
            As in `SelfAttention.forward`; bias and weights are (B, h, T, S).

        Returns
        -------
        y : ndarray, shape (B, T, d_model), or (n, d_model) with `at`
        cache : MultiHeadAttentionCache or None
        """
        y, cache = multi_head_attention(
            x,
            memory,
            *self.projections.arguments(params),
            bias,
            n_heads=self.n_heads,
            mask=mask,
            at=at,
            dropout_p=self.dropout if rng is not None else 0.0,
            rng=rng,
        )
        if collected is not None:
            collected |= {self.name: y, f"{self.name}.weights": cache.attention.P}
        return y, cache if keep else None

    def backward(
        self, params: Params, dy: Array, cache: MultiHeadAttentionCache, grads: Grads, dmemory: Array
    ) -> Array:
        """Add the parameters' gradients to `grads` and the memory's to `dmemory`; return dx."""
        dx, dkv, *of_projections, _, _, _ = multi_head_attention_backward(dy, cache)
        self.projections.add_gradients(params, of_projections, grads)
        dmemory += dkv
        return dx

    def project(self, params: Params, memory: Array) -> KeyValues:
        """Return the keys and values of `memory` (B, S, d_model), for any number of steps."""
        k, v = (self.projections.heads(params, part, memory, self.n_heads) for part in (1, 2))
        return KeyValues(k, v)

    def step(self, params: Params, x: Array, store: KeyValues, mask: Array | None = None) -> Array:
        """Attend from new tokens (B, T, d_model) to the memory whose keys and values are in `store`."""
        q = self.projections.heads(params, 0, x, self.n_heads)
        out, _ = scaled_dot_product_attention(q, store.k, store.v, mask=mask)
        return self.projections.output(params, out)
