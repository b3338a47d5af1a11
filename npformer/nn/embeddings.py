"""A model's input: tokens, positions and segments summed, normalised, dropped out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..functional import (
    EmbeddingCache,
    embedding,
    embedding_backward,
    embedding_backward_rows,
    sinusoidal_positions,
)
from ._blocks import Array, Grads, Params, Random, add_gradient, normal
from .layers import Dropout, LayerNorm, Linear


class EmbeddingsCache(NamedTuple):
    """What `Embeddings.backward` needs."""

    token: EmbeddingCache
    position: EmbeddingCache | None
    segment: EmbeddingCache | None
    norm: Any
    dropout: Any
    projection: Any


class Embeddings:
    """x = dropout(norm(scale · token[ids] + position[t] + segment[segment_ids])).

    Where the embeddings have a width d_embedding of their own, x @ W + b of it, W (d_embedding, d_model): a
    vocabulary of V then costs V · d_embedding numbers, however wide the layers are.

    Parameters
    ----------
    name : str
    vocab_size, d_model, max_positions, n_segments : int
        `n_segments` = 0: no segments.
    positions : {"learned", "sinusoidal", None}
        None: the positions come in elsewhere (rotary).
    normalise : bool
    dropout, eps : float
    scale : float
        Of the tokens' rows alone.
    d_embedding : int, optional
        Default: `d_model`, and then there is no W.

    References
    ----------
    Devlin et al.: BERT, arXiv:1810.04805, figure 2.
    Vaswani et al.: Attention Is All You Need, arXiv:1706.03762, section 3.4 (the scale).
    Lan et al.: ALBERT, arXiv:1909.11942, section 3.1 (a width of their own; W behind the norm in its code).
    """

    def __init__(
        self,
        name: str,
        vocab_size: int,
        d_model: int,
        *,
        max_positions: int,
        n_segments: int = 2,
        positions: str | None = "learned",
        normalise: bool = True,
        dropout: float = 0.0,
        eps: float = 1e-12,
        scale: float = 1.0,
        d_embedding: int | None = None,
    ) -> None:
        self.d_embedding = d_model if d_embedding is None else d_embedding
        self.vocab_size, self.d_model, self.n_segments = vocab_size, d_model, n_segments
        self.max_positions, self.positions, self.scale = max_positions, positions, scale
        self.token, self.position, self.segment = f"{name}.token", f"{name}.position", f"{name}.segment"
        self.norm = LayerNorm(f"{name}.norm", self.d_embedding, eps) if normalise else None
        self.dropout = Dropout(dropout)
        narrow = self.d_embedding != d_model
        self.projection = Linear(f"{name}.projection", self.d_embedding, d_model) if narrow else None

    def init(self, rng: np.random.Generator, std: float) -> dict[str, Array]:
        """Return initial values by name."""
        values = {self.token: normal(rng, std, self.vocab_size, self.d_embedding)}
        if self.positions == "learned":
            values[self.position] = normal(rng, std, self.max_positions, self.d_embedding)
        if self.n_segments:
            values[self.segment] = normal(rng, std, self.n_segments, self.d_embedding)
        if self.norm is not None:
            values |= self.norm.init(rng, std)
        if self.projection is not None:  # keeps the size of what goes through it
            values |= self.projection.init(rng, self.d_embedding**-0.5)
        return values

    def forward(
        self,
        params: Params,
        ids: Array,
        segment_ids: Array | None = None,
        keep: bool = True,
        rng: Random | None = None,
        positions: Array | None = None,
    ) -> tuple[Array, EmbeddingsCache | None]:
        """Return x (B, T, d_model) and what the backward needs.

        Without `segment_ids`, every token is in segment 0; without `positions` (B, T), at 0, 1, 2, ...
        """
        T = ids.shape[1]
        # (B, T, d_embedding), fresh: the sums below are in place
        x, token = embedding(ids, params[self.token])
        if self.scale != 1.0:
            x *= self.scale
        position = segment = norm = None
        if self.positions == "learned" and positions is None:
            x += params[self.position][:T]
        elif self.positions == "learned" and positions is not None:
            p, position = embedding(positions, params[self.position])
            x += p
        elif self.positions == "sinusoidal":
            x += self._sinusoidal(T, positions).astype(x.real.dtype)
        if self.n_segments:
            segment_ids = np.zeros_like(ids) if segment_ids is None else segment_ids
            s, segment = embedding(segment_ids, params[self.segment])
            x += s
        if self.norm is not None:
            x, norm = self.norm.forward(params, x, keep)
        x, dropped = self.dropout.forward(x, rng)
        projection = None
        if self.projection is not None:
            x, projection = self.projection.forward(params, x, keep)  # (B, T, d_model)
        return x, EmbeddingsCache(token, position, segment, norm, dropped, projection) if keep else None

    def _sinusoidal(self, T: int, positions: Array | None) -> Array:
        """Return the encodings of T positions, or of some (B, T): a step of decoding has a few alone."""
        if positions is None or not positions.size:
            return sinusoidal_positions(T, self.d_embedding)
        low, high = int(positions.min()), int(positions.max())
        table: Array = sinusoidal_positions(high + 1 - low, self.d_embedding, low)
        return table[positions - low]

    def backward(self, params: Params, dx: Array, cache: EmbeddingsCache, grads: Grads) -> None:
        """Add the parameters' gradients to `grads`; ids have none."""
        if self.projection is not None:
            dx = self.projection.backward(params, dx, cache.projection, grads)
        dx = self.dropout.backward(dx, cache.dropout)
        if self.norm is not None:
            dx = self.norm.backward(params, dx, cache.norm, grads)
        if cache.segment is not None:
            add_gradient(grads, self.segment, embedding_backward(dx, cache.segment))
        if cache.position is not None:
            add_gradient(grads, self.position, embedding_backward(dx, cache.position))
        elif self.positions == "learned" and self.position in grads:  # the same in every sequence
            grads[self.position][: dx.shape[1]] += dx.sum(axis=0)
        if self.token in grads:
            ids, rows = embedding_backward_rows(dx, cache.token)
            grads[self.token][ids] += rows if self.scale == 1.0 else self.scale * rows  # each id stands once
