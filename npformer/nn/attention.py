"""Multi-head self-attention as a block: `functional.multi_head_attention` with named parameters.

`step` is for decoding: the keys and values of the tokens before are not computed again.
"""

from __future__ import annotations

import math

import numpy as np

from ..functional import (
    MultiHeadAttentionCache,
    alibi,
    multi_head_attention,
    multi_head_attention_backward,
    rms_norm,
    rotary,
    scaled_dot_product_attention,
)
from ._blocks import Array, Grads, Params, Random, add_gradient
from ._projections import KeyValues, Projections

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
    rotary_interleaved : bool
        Pairs of features are neighbours in place of halves.
    n_kv_heads : int, optional
        Fewer heads of keys and values than of queries; default: as many.
    d_head : int, optional
        Width of a head; default d_model / n_heads.
    bias : bool
        Whether the projections have biases.
    alibi : bool
        Scores fall with the distance (ALiBi).
    window : int, optional
        A query sees this many of the nearest keys only; see `functional.scaled_dot_product_attention`.
    softcap : float, optional
        Of the scores.
    qk_norm : bool
        RMSNorm of every query and key, with parameters `name`.{query_norm, key_norm}.gamma.
    eps : float
        Of these norms.
    """

    def __init__(
        self,
        name: str,
        d_model: int,
        n_heads: int,
        dropout: float = 0.0,
        rotary_base: float | None = None,
        *,
        rotary_interleaved: bool = False,
        n_kv_heads: int | None = None,
        d_head: int | None = None,
        bias: bool = True,
        alibi: bool = False,
        window: int | None = None,
        softcap: float | None = None,
        qk_norm: bool = False,
        eps: float = 1e-6,
    ) -> None:
        self.name, self.d_model, self.n_heads, self.dropout = name, d_model, n_heads, dropout
        self.n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        self.d_head = d_model // n_heads if d_head is None else d_head
        self.rotary_base, self.rotary_interleaved = rotary_base, rotary_interleaved
        self.alibi, self.window, self.softcap, self.eps = alibi, window, softcap, eps
        self.projections = Projections(name, bias)
        self.gammas = [f"{name}.query_norm.gamma", f"{name}.key_norm.gamma"] if qk_norm else []

    def init(
        self, rng: np.random.Generator, std: float, output_std: float, neighbour_heads: int = 0
    ) -> dict[str, Array]:
        """Return initial values by name.

        The output projection ends in a residual sum and has its own std. The first `neighbour_heads` heads
        begin by looking at the token one to the right, one to the left, two to the right, ...
        """
        d, q, kv = self.d_model, self.n_heads * self.d_head, self.n_kv_heads * self.d_head
        values = self.projections.init(rng, [(d, q), (d, kv), (d, kv), (q, d)], std, output_std)
        values |= {gamma: np.ones(self.d_head) for gamma in self.gammas}
        if neighbour_heads:
            offsets = [1 + j // 2 if j % 2 == 0 else -(1 + j // 2) for j in range(neighbour_heads)]
            query, key, *_ = self.projections.biases
            values[query], values[key] = self._neighbour_biases(offsets)
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
        *,
        causal: bool = False,
        positions: Array | None = None,
        bias: Array | None = None,
        collected: dict[str, Array] | None = None,
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
        causal : bool
            Nobody sees a later key.
        positions : ndarray, shape (T,) or (B, T), optional
            To rotate by; default 0, 1, 2, ...
        bias : ndarray, broadcastable to (B, h, T, T), optional
            Added to the scores; a constant, whose gradient nobody gets.
        collected : dict, optional
            Filled with "`name`" and the attention weights (B, h, T, T) as "`name`.weights".

        Returns
        -------
        y : ndarray, shape (B, T, d_model), or (n, d_model) with `at`
        cache : MultiHeadAttentionCache or None
        """
        T = x.shape[1]
        rotated = self.rotary_base is not None
        positions = (np.arange(T) if positions is None else positions) if rotated else None
        if self.alibi:
            distances = alibi(self.n_heads, T, T).astype(x.real.dtype)
            bias = distances if bias is None else distances + bias
        gamma_q, gamma_k = (params[name] for name in self.gammas) if self.gammas else (None, None)
        y, cache = multi_head_attention(
            x,
            None,
            *self.projections.arguments(params),
            bias,
            gamma_q,
            gamma_k,
            n_heads=self.n_heads,
            mask=mask,
            causal=causal,
            window=self.window,
            softcap=self.softcap,
            positions_q=positions,
            positions_kv=positions,
            rotary_base=self.rotary_base or 10000.0,
            rotary_interleaved=self.rotary_interleaved,
            norm_eps=self.eps,
            at=at,
            dropout_p=self.dropout if rng is not None else 0.0,
            rng=rng,
        )
        if collected is not None:
            collected |= {self.name: y, f"{self.name}.weights": cache.attention.P}
        return y, cache if keep else None

    def backward(self, params: Params, dy: Array, cache: MultiHeadAttentionCache, grads: Grads) -> Array:
        """Add the parameters' gradients to `grads`; return dx (B, T, d_model)."""
        dx, _, *of_projections, _, dgamma_q, dgamma_k = multi_head_attention_backward(dy, cache)
        self.projections.add_gradients(params, of_projections, grads)
        for name, gradient in zip(self.gammas, (dgamma_q, dgamma_k), strict=False):
            add_gradient(grads, name, gradient)
        return dx

    def step(
        self,
        params: Params,
        x: Array,
        store: KeyValues,
        start: int,
        mask: Array | None = None,
        positions: Array | None = None,
    ) -> Array:
        """Attend from new tokens to all tokens so far, themselves among them.

        Parameters
        ----------
        params : mapping
        x : ndarray, shape (B, T, d_model)
            The new tokens alone.
        store : KeyValues
            Holds the keys and values of `start` tokens, and gets those of the new ones.
        start : int
        mask : ndarray of bool, broadcastable to (B, h, T, start + T), optional
        positions : ndarray, shape (T,) or (B, T), optional
            To rotate by; default start, start + 1, ...

        Returns
        -------
        y : ndarray, shape (B, T, d_model)
        """
        stop = start + x.shape[1]
        heads = (self.n_heads, self.n_kv_heads, self.n_kv_heads)
        q, k, v = (self.projections.heads(params, part, x, h) for part, h in enumerate(heads))
        if self.gammas:
            q, k = (rms_norm(z, params[g], self.eps)[0] for z, g in zip((q, k), self.gammas, strict=True))
        if self.rotary_base is not None:
            positions = np.arange(start, stop) if positions is None else positions
            positions = positions[:, None] if positions.ndim > 1 else positions  # the same for every head
            q, k = (
                rotary(z, positions, self.rotary_base, interleaved=self.rotary_interleaved)[0] for z in (q, k)
            )
        store.k[:, :, start:stop], store.v[:, :, start:stop] = k, v
        bias = alibi(self.n_heads, stop - start, stop, start).astype(x.dtype) if self.alibi else None
        out, _ = scaled_dot_product_attention(
            q,
            store.k[:, :, :stop],
            store.v[:, :, :stop],
            bias,
            mask=mask,
            causal=stop - start > 1,  # a single new token is the last one and sees all
            query_offset=start,
            window=self.window,
            softcap=self.softcap,
        )
        return self.projections.output(params, out)
