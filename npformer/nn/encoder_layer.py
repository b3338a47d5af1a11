"""One layer of an encoder: self-attention and feed-forward, each with its residual sum and norm.

    post-norm (the original Transformer, BERT)      pre-norm
        h = norm(x + attention(x))                      h = x + attention(norm(x))
        y = norm(h + feed_forward(h))                   y = h + feed_forward(norm(h))

Everything after the attention weights have been applied works on each position by itself. `at` names the
positions whose output is wanted, and that part is then done there alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._blocks import Array, Grads, Params, Random
from .attention import SelfAttention
from .feed_forward import FeedForward
from .layers import LayerNorm
from .randomness import GatheredRandom
from .residual import Residual, ResidualCache


class EncoderLayerCache(NamedTuple):
    """What `EncoderLayer.backward` needs."""

    attention: ResidualCache
    feed_forward: ResidualCache


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
    bias, norm_bias : bool
        Whether linear maps and norms have biases.
    activation_dropout : float
        Inside the feed-forward block.

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
        bias: bool = True,
        norm_bias: bool = True,
        activation_dropout: float = 0.0,
    ) -> None:
        self.name = name
        self.attention = Residual(
            SelfAttention(f"{name}.attention", d_model, n_heads, dropout, rotary_base, bias=bias),
            LayerNorm(f"{name}.attention_norm", d_model, eps, norm_bias),
            norm,
            dropout,
        )
        self.feed_forward = Residual(
            FeedForward(f"{name}.feed_forward", d_model, d_ff, activation, bias, activation_dropout),
            LayerNorm(f"{name}.feed_forward_norm", d_model, eps, norm_bias),
            norm,
            dropout,
        )

    def init(
        self, rng: np.random.Generator, std: float, output_std: float, neighbour_heads: int = 0
    ) -> dict[str, Array]:
        """Return initial values by name; `output_std` is for the projections that end in a residual sum.

        For `neighbour_heads` see `SelfAttention.init`.
        """
        return {
            **self.attention.branch.init(rng, std, output_std, neighbour_heads),
            **self.attention.norm.init(rng, std),
            **self.feed_forward.branch.init(rng, std, output_std),
            **self.feed_forward.norm.init(rng, std),
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
        *,
        bias: Array | None = None,
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
            Filled with "`name`.attention" and "`name`.feed_forward" (before dropout and their sums),
            "`name`.attention.weights", and `name`.
        bias : ndarray, broadcastable to (B, h, T, T), optional
            Added to the scores; see `SelfAttention.forward`.

        Returns
        -------
        y : ndarray, shape (B, T, d_model), or (n, d_model) with `at`
        cache : EncoderLayerCache or None
        """
        of_attention = {"mask": mask, "rng": rng, "bias": bias, "collected": collected}
        h, attention = self.attention.forward(params, x, keep, rng, at, of_attention)
        there = GatheredRandom(rng, at, x.shape[:2]) if rng is not None and at is not None else rng
        y, feed_forward = self.feed_forward.forward(
            params, h, keep, there, of_branch={"rng": there, "collected": collected}
        )
        if collected is not None:
            collected[self.name] = y
        return y, EncoderLayerCache(attention, feed_forward) if attention and feed_forward else None

    def backward(self, params: Params, dy: Array, cache: EncoderLayerCache, grads: Grads) -> Array:
        """Add the parameters' gradients to `grads`; return dx (B, T, d_model)."""
        dh = self.feed_forward.backward(params, dy, cache.feed_forward, grads)
        return self.attention.backward(params, dh, cache.attention, grads)
