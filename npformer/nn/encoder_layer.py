"""One layer of an encoder: self-attention and feed-forward, each with its residual sum and norm.

    post-norm (the original Transformer, BERT)      pre-norm
        h = norm(x + attention(x))                      h = x + attention(norm(x))
        y = norm(h + feed_forward(h))                   y = h + feed_forward(norm(h))

Everything after the attention weights have been applied works on each position by itself. `at` names the
positions whose output is wanted, and that part is then done there alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..functional import EmbeddingCache, MultiHeadAttentionCache, embedding, embedding_backward
from ._blocks import Array, Grads, Params, Random
from .attention import SelfAttention
from .feed_forward import FeedForward, FeedForwardCache
from .layers import Dropout, LayerNorm
from .randomness import GatheredRandom


class EncoderLayerCache(NamedTuple):
    """What `EncoderLayer.backward` needs."""

    attention_norm: Any
    attention: MultiHeadAttentionCache
    attention_dropout: Any
    gather: EmbeddingCache | None
    feed_forward_norm: Any
    feed_forward: FeedForwardCache
    feed_forward_dropout: Any
    shape: tuple[int, ...]


class EncoderLayer:
    """Self-attention and feed-forward with residual sums; parameters below `name`.

    Parameters
    ----------
    name : str
        E.g. "encoder.0".
    d_model, n_heads, d_ff : int
    activation : str
        See `FeedForward`.
    norm : {"post", "pre"}
    dropout : float
        Of the attention weights and of both branches before their sums.
    eps : float
        Of the norms.
    rotary_base : float, optional
        See `SelfAttention`.

    References
    ----------
    Vaswani et al.: Attention Is All You Need, arXiv:1706.03762, section 3.1 (post-norm).
    Xiong et al.: On Layer Normalization in the Transformer Architecture, arXiv:2002.04745 (pre-norm).
    """

    def __init__(
        self,
        name: str,
        d_model: int,
        n_heads: int,
        d_ff: int,
        *,
        activation: str = "gelu",
        norm: str = "post",
        dropout: float = 0.0,
        eps: float = 1e-12,
        rotary_base: float | None = None,
    ) -> None:
        self.name, self.norm = name, norm
        self.attention = SelfAttention(f"{name}.attention", d_model, n_heads, dropout, rotary_base)
        self.attention_norm = LayerNorm(f"{name}.attention_norm", d_model, eps)
        self.feed_forward = FeedForward(f"{name}.feed_forward", d_model, d_ff, activation)
        self.feed_forward_norm = LayerNorm(f"{name}.feed_forward_norm", d_model, eps)
        self.dropout = Dropout(dropout)

    def init(
        self, rng: np.random.Generator, std: float, output_std: float, neighbour_heads: int = 0
    ) -> dict[str, Array]:
        """Return initial values by name; `output_std` is for the projections that end in a residual sum.

        For `neighbour_heads` see `SelfAttention.init`.
        """
        return {
            **self.attention.init(rng, std, output_std, neighbour_heads),
            **self.attention_norm.init(rng, std),
            **self.feed_forward.init(rng, std, output_std),
            **self.feed_forward_norm.init(rng, std),
        }

    def forward(
        self,
        params: Params,
        x: Array,
        mask: Array | None = None,
        at: Array | None = None,
        keep: bool = True,
        rng: Random | None = None,
        collected: dict[str, Array] | None = None,
    ) -> tuple[Array, EncoderLayerCache | None]:
        """Run the layer.

        Parameters
        ----------
        params : mapping
        x : ndarray, shape (B, T, d_model)
        mask : ndarray of bool, broadcastable to (B, h, T, T), optional
            True = may be attended to.
        at : ndarray of int, shape (n,), optional
            Flat positions in (B, T) whose output is wanted.
        keep : bool
            False keeps nothing for a backward.
        rng : Random, optional
            Source of dropout; None = no dropout.
        collected : dict, optional
            Filled with "`name`.attention" and "`name`.feed_forward" (before their sums), and `name`.

        Returns
        -------
        y : ndarray, shape (B, T, d_model), or (n, d_model) with `at`
        cache : EncoderLayerCache or None
        """
        B, T, d_model = x.shape
        pre = self.norm == "pre"
        branch_rng = GatheredRandom(rng, at, (B, T)) if rng is not None and at is not None else rng
        gather = None

        u, c_norm = self.attention_norm.forward(params, x, keep) if pre else (x, None)
        a, c_attention = self.attention.forward(params, u, mask, at, keep, rng)
        a, c_a = self.dropout.forward(a, branch_rng)
        if at is not None:
            x, gather = embedding(at, x.reshape(B * T, d_model))  # the rows of x at those positions
        h = x + a
        if not pre:
            h, c_norm = self.attention_norm.forward(params, h, keep)

        v, c_norm2 = self.feed_forward_norm.forward(params, h, keep) if pre else (h, None)
        f, c_feed_forward = self.feed_forward.forward(params, v, keep)
        f, c_f = self.dropout.forward(f, branch_rng)
        y = h + f
        if not pre:
            y, c_norm2 = self.feed_forward_norm.forward(params, y, keep)

        if collected is not None:
            collected |= {f"{self.name}.attention": a, f"{self.name}.feed_forward": f, self.name: y}
        if c_attention is None or c_feed_forward is None:
            return y, None
        cache = EncoderLayerCache(
            c_norm, c_attention, c_a, gather, c_norm2, c_feed_forward, c_f, (B, T, d_model)
        )
        return y, cache

    def backward(self, params: Params, dy: Array, cache: EncoderLayerCache, grads: Grads) -> Array:
        """Add the parameters' gradients to `grads`; return dx (B, T, d_model).

        A residual sum h = x + branch(x) hands its gradient on twice: dx = dh + branch'(dh).
        """
        pre = self.norm == "pre"
        if not pre:
            dy = self.feed_forward_norm.backward(params, dy, cache.feed_forward_norm, grads)
        df = self.dropout.backward(dy, cache.feed_forward_dropout)
        dv = self.feed_forward.backward(params, df, cache.feed_forward, grads)
        if pre:
            dv = self.feed_forward_norm.backward(params, dv, cache.feed_forward_norm, grads)
        dh = dy + dv

        if not pre:
            dh = self.attention_norm.backward(params, dh, cache.attention_norm, grads)
        da = self.dropout.backward(dh, cache.attention_dropout)
        du = self.attention.backward(params, da, cache.attention, grads)
        if pre:
            du = self.attention_norm.backward(params, du, cache.attention_norm, grads)
        if cache.gather is not None:
            dh = embedding_backward(dh, cache.gather).reshape(cache.shape)
        return dh + du
