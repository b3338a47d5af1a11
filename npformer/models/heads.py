"""Heads: what is put on an encoder's output."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..functional import tanh, tanh_backward
from ..nn.feed_forward import ACTIVATIONS
from ..nn.layers import LayerNorm, Linear

Array = Any

CLASSES = 1024  # of the vocabulary at a time, where the whole product would be as large as the embedding


class MaskedLMHeadCache(NamedTuple):
    """What `MaskedLMHead.backward` needs."""

    transform: Any
    activation: Any
    norm: Any
    t: Array  # (n, d_model)


class MaskedLMHead:
    """BERT's head for masked tokens: a transform, and the token embedding as the decoder.

        t      = norm(activation(hidden @ W + b))
        logits = t @ Eᵀ + c          E: the encoder's token embedding (V, d_model), tied

    Parameters
    ----------
    d_model, vocab_size : int
    activation : str
    eps : float
    embedding : str
        Name of the token embedding among the parameters.

    References
    ----------
    Devlin et al.: BERT, arXiv:1810.04805, and the transform in its published code.
    Press, Wolf: Using the Output Embedding to Improve Language Models, arXiv:1608.05859 (tying).
    """

    def __init__(
        self,
        d_model: int,
        vocab_size: int,
        *,
        activation: str,
        eps: float,
        embedding: str = "embeddings.token",
    ) -> None:
        self.vocab_size, self.embedding, self.bias = vocab_size, embedding, "mlm.bias"
        self.transform = Linear("mlm.transform", d_model, d_model)
        self.activate, self.activate_backward = ACTIVATIONS[activation]
        self.norm = LayerNorm("mlm.norm", d_model, eps)

    def init(self, rng: np.random.Generator, std: float) -> dict[str, Array]:
        """Return initial values by name (the embedding is the encoder's)."""
        return {
            **self.transform.init(rng, std),
            **self.norm.init(rng, std),
            self.bias: np.zeros(self.vocab_size),
        }

    def forward(
        self, params: Any, hidden: Array, keep: bool = True
    ) -> tuple[Array, MaskedLMHeadCache | None]:
        """Return logits (..., V) for hidden (..., d_model), and what the backward needs."""
        u, transform = self.transform.forward(params, hidden, keep)
        a, activation = self.activate(u)
        t, norm = self.norm.forward(params, a, keep)
        logits = t @ params[self.embedding].T  # 1
        logits += params[self.bias]  # 2
        return logits, MaskedLMHeadCache(transform, activation, norm, t) if keep else None

    # 1. logits = t @ Eᵀ is linear in both:  dt = dlogits @ E,   dE = Σ_rows dlogitsᵀ @ t
    #    (E is used twice in the model: this adds to what its use as an embedding gives)
    # 2. c is added to every row:            dc = Σ_rows dlogits
    def backward(self, params: Any, dlogits: Array, cache: MaskedLMHeadCache, grads: Any) -> Array:
        """Add the parameters' gradients to `grads`; return dhidden."""
        rows = dlogits.reshape(-1, self.vocab_size)
        if self.bias in grads:
            grads[self.bias] += rows.sum(axis=0)  # 2
        if self.embedding in grads:
            t, dE = cache.t.reshape(-1, cache.t.shape[-1]), grads[self.embedding]
            for start in range(0, len(dE), CLASSES):  # 1: the product is added while it is in the cache
                dE[start : start + CLASSES] += rows[:, start : start + CLASSES].T @ t
        dt = dlogits @ params[self.embedding]  # 1
        da = self.norm.backward(params, dt, cache.norm, grads)
        du = self.activate_backward(da, cache.activation)
        return self.transform.backward(params, du, cache.transform, grads)


class PoolerCache(NamedTuple):
    """What `Pooler.backward` needs."""

    linear: Any
    tanh: Any


class Pooler:
    """A vector for the whole text: tanh(hidden[:, 0] @ W + b), of the first token's output.

    Parameters
    ----------
    d_model : int
    """

    def __init__(self, d_model: int) -> None:
        self.linear = Linear("pooler", d_model, d_model)

    def init(self, rng: np.random.Generator, std: float) -> dict[str, Array]:
        """Return initial values by name."""
        return self.linear.init(rng, std)

    def forward(self, params: Any, first: Array, keep: bool = True) -> tuple[Array, PoolerCache | None]:
        """Return the pooled vectors (B, d_model) of the first tokens' outputs (B, d_model)."""
        u, c_linear = self.linear.forward(params, first, keep)
        pooled, c_tanh = tanh(u)
        return pooled, PoolerCache(c_linear, c_tanh) if keep else None

    def backward(self, params: Any, dpooled: Array, cache: PoolerCache, grads: Any) -> Array:
        """Add the parameters' gradients to `grads`; return the gradient of the first tokens' outputs."""
        return self.linear.backward(params, tanh_backward(dpooled, cache.tanh), cache.linear, grads)
