"""One layer of a decoder: causal self-attention, attention to a memory if there is one, feed-forward.

    pre-norm (GPT-2, Llama)                         post-norm (the original Transformer)
        h = x + attention(norm(x))                      h = norm(x + attention(x))
        g = h + cross_attention(norm(h), memory)        g = norm(h + cross_attention(h, memory))
        y = g + feed_forward(norm(g))                   y = norm(g + feed_forward(g))

Everything after the weights of the self-attention have been applied works on each position by itself: where
the output is wanted at some positions only (`at`) and there is no memory, it is done there alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._blocks import Array, Grads, Params, Random
from ._projections import KeyValues
from .attention import SelfAttention
from .cross_attention import CrossAttention
from .feed_forward import feed_forward
from .layers import NORMS
from .randomness import GatheredRandom
from .residual import Residual, ResidualCache


class DecoderLayerCache(NamedTuple):
    """What `DecoderLayer.backward` needs."""

    attention: ResidualCache
    cross_attention: ResidualCache | None
    feed_forward: ResidualCache


class DecoderLayer:
    """Causal self-attention, cross-attention if asked for, and feed-forward; parameters below `name`.

    Parameters
    ----------
    name : str
        E.g. "decoder.0".
    d_model, n_heads, d_ff : int
    cross : bool
        Whether there is a memory to attend to.
    activation : str
        See `FeedForward`, or "swiglu".
    norm : {"pre", "post"}
    norm_type : {"layer_norm", "rms_norm"}
    bias, norm_bias : bool
        Whether linear maps and layer norms have biases.
    dropout : float
        Of the attention weights and of all branches before their sums.
    activation_dropout : float
        Inside the feed-forward block.
    eps : float
        Of the norms.
    **attention
        More of `SelfAttention`: rotary_base, n_kv_heads, window, ...

    References
    ----------
    Vaswani et al.: Attention Is All You Need, arXiv:1706.03762, section 3.1.
    Radford et al.: Language Models are Unsupervised Multitask Learners (GPT-2), section 2.3.
    Touvron et al.: LLaMA, arXiv:2302.13971, section 2.2.
    """

    def __init__(
        self,
        name: str,
        d_model: int,
        n_heads: int,
        d_ff: int,
        *,
        cross: bool = False,
        activation: str = "gelu_tanh",
        norm: str = "pre",
        norm_type: str = "layer_norm",
        bias: bool = True,
        norm_bias: bool = True,
        dropout: float = 0.0,
        activation_dropout: float = 0.0,
        eps: float = 1e-5,
        **attention: Any,
    ) -> None:
        of_norm = {"bias": norm_bias} if norm_type == "layer_norm" else {}

        def residual(branch: Any, part: str) -> Residual:
            normalise = NORMS[norm_type](f"{name}.{part}_norm", d_model, eps, **of_norm)
            return Residual(branch, normalise, norm, dropout)

        self.name = name
        self.attention = residual(
            SelfAttention(f"{name}.attention", d_model, n_heads, dropout, bias=bias, eps=eps, **attention),
            "attention",
        )
        self.cross_attention = None
        if cross:
            block = CrossAttention(f"{name}.cross_attention", d_model, n_heads, dropout, bias=bias)
            self.cross_attention = residual(block, "cross_attention")
        self.feed_forward = residual(
            feed_forward(f"{name}.feed_forward", d_model, d_ff, activation, bias, activation_dropout),
            "feed_forward",
        )

    @property
    def branches(self) -> list[Residual]:
        """The two or three branches, in order."""
        cross = [] if self.cross_attention is None else [self.cross_attention]
        return [self.attention, *cross, self.feed_forward]

    def init(self, rng: np.random.Generator, std: float, output_std: float) -> dict[str, Array]:
        """Return initial values by name; `output_std` is for the projections that end in a residual sum."""
        values: dict[str, Array] = {}
        for residual in self.branches:
            values |= {**residual.branch.init(rng, std, output_std), **residual.norm.init(rng, std)}
        return values

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
        causal: bool = True,
        positions: Array | None = None,
        memory: Array | None = None,
        memory_mask: Array | None = None,
        bias: Array | None = None,
        memory_bias: Array | None = None,
    ) -> tuple[Array, DecoderLayerCache | None]:
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
            Filled with "`name`.attention", "`name`.cross_attention" and "`name`.feed_forward" (before dropout
            and their sums), the weights of the attentions ("`name`.attention.weights"), and `name`.
        causal : bool
            False where `mask` says all (a prefix that sees itself whole).
        positions : ndarray, shape (T,) or (B, T), optional
            For rotary positions; default 0, 1, 2, ...
        memory : ndarray, shape (B, S, d_model), optional
        memory_mask : ndarray of bool, broadcastable to (B, h, T, S), optional
        bias, memory_bias : ndarray, broadcastable to (B, h, T, T) and (B, h, T, S), optional
            Added to the scores; see `SelfAttention.forward`.

        Returns
        -------
        y : ndarray, shape (B, T, d_model), or (n, d_model) with `at`
        cache : DecoderLayerCache or None
        """
        of_self = {
            "mask": mask, "rng": rng, "causal": causal, "positions": positions, "bias": bias,
            "collected": collected,
        }  # fmt: skip
        cross, first = None, at if self.cross_attention is None else None
        h, c_self = self.attention.forward(params, x, keep, rng, first, of_self)
        if self.cross_attention is not None:
            of_cross = {
                "memory": memory, "mask": memory_mask, "rng": rng, "bias": memory_bias, "collected": collected
            }  # fmt: skip
            h, cross = self.cross_attention.forward(params, h, keep, rng, at, of_cross)
        there = GatheredRandom(rng, at, x.shape[:2]) if rng is not None and at is not None else rng
        y, c_ff = self.feed_forward.forward(
            params, h, keep, there, of_branch={"rng": there, "collected": collected}
        )
        if collected is not None:
            collected[self.name] = y
        return y, DecoderLayerCache(c_self, cross, c_ff) if c_self and c_ff else None

    def backward(
        self,
        params: Params,
        dy: Array,
        cache: DecoderLayerCache,
        grads: Grads,
        dmemory: Array | None = None,
    ) -> Array:
        """Add the parameters' gradients to `grads` and the memory's to `dmemory`; return dx."""
        dh = self.feed_forward.backward(params, dy, cache.feed_forward, grads)
        if self.cross_attention is not None and cache.cross_attention is not None:
            dh = self.cross_attention.backward(params, dh, cache.cross_attention, grads, {"dmemory": dmemory})
        return self.attention.backward(params, dh, cache.attention, grads)

    def step(
        self,
        params: Params,
        x: Array,
        store: KeyValues,
        start: int,
        mask: Array | None = None,
        positions: Array | None = None,
        memory: KeyValues | None = None,
        memory_mask: Array | None = None,
    ) -> Array:
        """Run the layer on new tokens alone; the arguments are those of the attentions' `step`.

        Returns
        -------
        y : ndarray, shape (B, T, d_model)
        """
        attention, feed_forward = self.attention.branch, self.feed_forward.branch
        x = self.attention.step(
            params, x, lambda u: attention.step(params, u, store, start, mask, positions)
        )
        if self.cross_attention is not None:
            cross = self.cross_attention.branch
            x = self.cross_attention.step(params, x, lambda u: cross.step(params, u, memory, memory_mask))
        return self.feed_forward.step(params, x, lambda u: feed_forward.forward(params, u, False)[0])
