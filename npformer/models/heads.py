"""Heads: what is put on a model's output."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..functional import tanh, tanh_backward
from ..nn._blocks import normal
from ..nn.feed_forward import ACTIVATIONS
from ..nn.layers import LayerNorm, Linear

Array = Any

CLASSES = 1024  # of the vocabulary at a time, where the whole product would be as large as the embedding


class UnembeddingCache(NamedTuple):
    """What `Unembedding.backward` needs."""

    t: Array  # (..., d_model)
    capped: Any


class Unembedding:
    """Logits over the vocabulary.

        logits = t @ Eᵀ + c          tied: E (V, d_model) is the token embedding
        logits = t @ W + c           untied: W (d_model, V) is the head's own
        logits = m tanh(logits / m)  with a cap m

    Parameters
    ----------
    d_model, vocab_size : int
    weight : str
        Name of E or W among the parameters.
    tied : bool
    bias : str, optional
        Name of c; None = there is none.
    softcap : float, optional

    References
    ----------
    Press, Wolf: Using the Output Embedding to Improve Language Models, arXiv:1608.05859 (tying).
    Gemma Team: Gemma 2, arXiv:2408.00118, section 2 (the cap).
    """

    def __init__(
        self,
        d_model: int,
        vocab_size: int,
        weight: str = "embeddings.token",
        *,
        tied: bool = True,
        bias: str | None = None,
        softcap: float | None = None,
    ) -> None:
        self.d_model, self.vocab_size = d_model, vocab_size
        self.weight, self.tied, self.bias, self.softcap = weight, tied, bias, softcap

    def init(self, rng: np.random.Generator, std: float) -> dict[str, Array]:
        """Return initial values by name (a tied embedding is the model's)."""
        values = {} if self.tied else {self.weight: normal(rng, std, self.d_model, self.vocab_size)}
        if self.bias is not None:
            values[self.bias] = np.zeros(self.vocab_size)
        return values

    def forward(self, params: Any, t: Array, keep: bool = True) -> tuple[Array, UnembeddingCache | None]:
        """Return logits (..., V) for t (..., d_model), and what the backward needs."""
        logits = t @ (params[self.weight].T if self.tied else params[self.weight])  # 1
        if self.bias is not None:
            logits += params[self.bias]  # 2
        capped = None
        if self.softcap is not None:
            logits /= self.softcap
            logits, capped = tanh(logits)  # 3
            logits = logits * self.softcap
        return logits, UnembeddingCache(t, capped) if keep else None

    # 1. logits = t @ Eᵀ is linear in both:  dt = dlogits @ E,   dE = Σ_rows dlogitsᵀ @ t
    #    (a tied E is used twice in the model: this adds to what its use as an embedding gives)
    #    and with W in the place of Eᵀ:      dt = dlogits @ Wᵀ,  dW = Σ_rows tᵀ @ dlogits
    # 2. c is added to every row:            dc = Σ_rows dlogits
    # 3. m tanh(l / m) has the slope tanh':  dl = dlogits · (1 - tanh²(l / m)),  m and 1 / m cancel
    def backward(self, params: Any, dlogits: Array, cache: UnembeddingCache, grads: Any) -> Array:
        """Add the parameters' gradients to `grads`; return dt."""
        if cache.capped is not None:
            dlogits = tanh_backward(dlogits, cache.capped)  # 3
        rows = dlogits.reshape(-1, self.vocab_size)
        if self.bias is not None and self.bias in grads:
            grads[self.bias] += rows.sum(axis=0)  # 2
        if self.weight in grads:  # 1: the product is added while it is in the cache
            t, dweight = cache.t.reshape(-1, self.d_model), grads[self.weight]
            for start in range(0, self.vocab_size, CLASSES):
                some = slice(start, start + CLASSES)
                if self.tied:
                    dweight[some] += rows[:, some].T @ t
                else:
                    dweight[:, some] += t.T @ rows[:, some]
        weight = params[self.weight]
        dt: Array = dlogits @ (weight if self.tied else weight.T)  # 1
        return dt


class MaskedLMHeadCache(NamedTuple):
    """What `MaskedLMHead.backward` needs."""

    transform: Any
    activation: Any
    norm: Any
    unembedding: UnembeddingCache


class MaskedLMHead:
    """BERT's head for masked tokens: a transform, and the token embedding as the decoder.

        t      = norm(activation(hidden @ W + b))      W: (d_model, d_embedding)
        logits = t @ Eᵀ + c          E: the encoder's token embedding (V, d_embedding), tied

    Parameters
    ----------
    d_model, vocab_size : int
    activation : str
    eps : float
    embedding : str
        Name of the token embedding among the parameters.
    d_embedding : int, optional
        Its width; default: `d_model`.

    References
    ----------
    Devlin et al.: BERT, arXiv:1810.04805, and the transform in its published code.
    """

    def __init__(
        self,
        d_model: int,
        vocab_size: int,
        *,
        activation: str,
        eps: float,
        embedding: str = "embeddings.token",
        d_embedding: int | None = None,
    ) -> None:
        d_embedding = d_model if d_embedding is None else d_embedding
        self.transform = Linear("mlm.transform", d_model, d_embedding)
        self.activate, self.activate_backward = ACTIVATIONS[activation]
        self.norm = LayerNorm("mlm.norm", d_embedding, eps)
        self.unembedding = Unembedding(d_embedding, vocab_size, embedding, bias="mlm.bias")

    def init(self, rng: np.random.Generator, std: float) -> dict[str, Array]:
        """Return initial values by name (the embedding is the encoder's)."""
        return {
            **self.transform.init(rng, std),
            **self.norm.init(rng, std),
            **self.unembedding.init(rng, std),
        }

    def forward(
        self, params: Any, hidden: Array, keep: bool = True
    ) -> tuple[Array, MaskedLMHeadCache | None]:
        """Return logits (..., V) for hidden (..., d_model), and what the backward needs."""
        u, transform = self.transform.forward(params, hidden, keep)
        a, activation = self.activate(u)
        t, norm = self.norm.forward(params, a, keep)
        logits, unembedding = self.unembedding.forward(params, t, keep)
        return logits, MaskedLMHeadCache(transform, activation, norm, unembedding) if unembedding else None

    def backward(self, params: Any, dlogits: Array, cache: MaskedLMHeadCache, grads: Any) -> Array:
        """Add the parameters' gradients to `grads`; return dhidden."""
        dt = self.unembedding.backward(params, dlogits, cache.unembedding, grads)
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


class ReplacedTokenHeadCache(NamedTuple):
    """What `ReplacedTokenHead.backward` needs."""

    transform: Any
    activation: Any
    logit: Any


class ReplacedTokenHead:
    """Was this token put in the place of another? A logit: activation(hidden @ W + b) @ w + c.

    Parameters
    ----------
    d_model : int
    activation : str

    References
    ----------
    Clark et al.: ELECTRA, arXiv:2003.10555, section 2, and the transform in its published code.
    """

    def __init__(self, d_model: int, *, activation: str) -> None:
        self.transform = Linear("rtd.transform", d_model, d_model)
        self.activate, self.activate_backward = ACTIVATIONS[activation]
        self.logit = Linear("rtd.logit", d_model, 1)

    def init(self, rng: np.random.Generator, std: float) -> dict[str, Array]:
        """Return initial values by name."""
        return {**self.transform.init(rng, std), **self.logit.init(rng, std)}

    def forward(
        self, params: Any, hidden: Array, keep: bool = True
    ) -> tuple[Array, ReplacedTokenHeadCache | None]:
        """Return logits (...) for hidden (..., d_model), and what the backward needs."""
        u, transform = self.transform.forward(params, hidden, keep)
        a, activation = self.activate(u)
        logits, logit = self.logit.forward(params, a, keep)  # (..., 1)
        return logits[..., 0], ReplacedTokenHeadCache(transform, activation, logit) if keep else None

    def backward(self, params: Any, dlogits: Array, cache: ReplacedTokenHeadCache, grads: Any) -> Array:
        """Add the parameters' gradients to `grads`; return dhidden."""
        da = self.logit.backward(params, dlogits[..., None], cache.logit, grads)
        du = self.activate_backward(da, cache.activation)
        return self.transform.backward(params, du, cache.transform, grads)


class PairHeadCache(NamedTuple):
    """What `PairHead.backward` needs."""

    pooler: Any
    linear: Any


class PairHead:
    """Two classes for a pair of texts, from the first token's output.

        pooled = pooler(hidden[:, 0])
        logits = pooled @ W + b          W (d_model, 2)

    Parameters
    ----------
    pooler : Pooler
        The model's, shared with whoever else reads it.
    d_model : int

    References
    ----------
    Devlin et al.: BERT, arXiv:1810.04805, section 3.1, task 2.
    """

    def __init__(self, pooler: Pooler, d_model: int) -> None:
        self.pooler, self.linear = pooler, Linear("pair", d_model, 2)

    def init(self, rng: np.random.Generator, std: float) -> dict[str, Array]:
        """Return initial values by name (the pooler's are its own)."""
        return self.linear.init(rng, std)

    def forward(self, params: Any, first: Array, keep: bool = True) -> tuple[Array, PairHeadCache | None]:
        """Return logits (..., 2) of the first tokens' outputs (..., d_model)."""
        pooled, c_pooler = self.pooler.forward(params, first, keep)
        logits, c_linear = self.linear.forward(params, pooled, keep)
        return logits, PairHeadCache(c_pooler, c_linear) if keep else None

    def backward(self, params: Any, dlogits: Array, cache: PairHeadCache, grads: Any) -> Array:
        """Add the parameters' gradients to `grads`; return the gradient of the first tokens' outputs."""
        dpooled = self.linear.backward(params, dlogits, cache.linear, grads)
        return self.pooler.backward(params, dpooled, cache.pooler, grads)
