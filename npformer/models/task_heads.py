"""Heads for fine-tuning: labels or a number, for a text (`SequenceHead`) or each of its words (`TokenHead`).

    pooled = mean over the real tokens' outputs  |  the first token's  |  tanh(the first token's @ W_p + b_p)
             |  the last real token's
    y      = dropout(pooled) @ W + b             W (d_model, n_labels) is "task.weight", b is "task.bias"

The first token of a decoder sees itself alone: its texts are pooled by the mean or the last token, which has
seen all the others. A token head does the same to the outputs at some positions, with nothing to pool.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..nn._blocks import Random
from ..nn.layers import Dropout, Linear
from .heads import Pooler
from .parameters import Array
from .pooling import mean_pooled, mean_pooled_backward

TASKS = ("classify", "tag", "regress")
POOLINGS = ("mean", "cls", "pooler", "last")
CAUSAL_POOLINGS = ("mean", "last")  # of a decoder


class TokenHeadCache(NamedTuple):
    """What `TokenHead.backward` needs."""

    dropout: Any
    linear: Any


class TokenHead:
    """y = dropout(hidden) @ W + b, for the output at each position that is asked for.

    Parameters
    ----------
    d_model, n_labels : int
    dropout : float

    References
    ----------
    Devlin et al.: BERT, arXiv:1810.04805, section 5.3 (the first piece of a word is tagged).
    """

    def __init__(self, d_model: int, n_labels: int, dropout: float = 0.0) -> None:
        self.dropout, self.linear = Dropout(dropout), Linear("task", d_model, n_labels)

    def init(self, rng: np.random.Generator, std: float) -> dict[str, Array]:
        """Return initial values by name."""
        return self.linear.init(rng, std)

    def forward(
        self, params: Any, hidden: Array, keep: bool = True, *, rng: Random | None = None
    ) -> tuple[Array, TokenHeadCache | None]:
        """Return y (n, n_labels) for hidden (n, d_model), and what the backward needs.

        `rng` draws for the n rows; where they are some positions of a grid, a `GatheredRandom` draws for all.
        """
        x, c_dropout = self.dropout.forward(hidden, rng)  # 1
        y, c_linear = self.linear.forward(params, x, keep)  # 2
        return y, TokenHeadCache(c_dropout, c_linear) if keep else None

    # 2. y = x @ W + b:                        dx = dy @ Wᵀ,   dW = xᵀ @ dy,   db = Σ_rows dy
    # 1. x = hidden · kept / (1 - p):          dhidden = dx · kept / (1 - p)
    def backward(self, params: Any, dy: Array, cache: TokenHeadCache, grads: Any) -> Array:
        """Add the parameters' gradients to `grads`; return dhidden."""
        dx = self.linear.backward(params, dy, cache.linear, grads)  # 2
        return self.dropout.backward(dx, cache.dropout)  # 1


class SequenceHeadCache(NamedTuple):
    """What `SequenceHead.backward` needs."""

    pooling: Any  # the mean's weights, or the pooler's cache
    output: TokenHeadCache


class SequenceHead:
    """y = dropout(pool(hidden)) @ W + b, for each text.

    Parameters
    ----------
    d_model, n_labels : int
    pooling : {"mean", "cls", "pooler", "last"}
    dropout : float
    pooler : Pooler, optional
        The model's, for that pooling.

    References
    ----------
    Devlin et al.: BERT, arXiv:1810.04805, section 4.1. Reimers, Gurevych: Sentence-BERT, arXiv:1908.10084,
    section 3 (pooling). Radford et al.: Improving Language Understanding by Generative Pre-Training (GPT),
    section 3.2 (the last token).
    """

    def __init__(
        self,
        d_model: int,
        n_labels: int,
        pooling: str = "mean",
        dropout: float = 0.0,
        pooler: Pooler | None = None,
    ) -> None:
        self.pooling, self.pooler = pooling, pooler if pooling == "pooler" else None
        self.output = TokenHead(d_model, n_labels, dropout)

    def init(self, rng: np.random.Generator, std: float) -> dict[str, Array]:
        """Return initial values by name (the pooler is the model's)."""
        return self.output.init(rng, std)

    def at(self, mask: Array) -> Array | None:
        """Return the flat positions in (B, T) whose outputs `forward` wants; None = all of them.

        `mask` (B, T) is True at real tokens; of a text that has none, the last is the first.
        """
        B, T = mask.shape
        if self.pooling == "mean":
            return None
        first: Array = np.arange(B) * T
        return first + (mask * np.arange(T)).max(axis=1) if self.pooling == "last" else first

    def forward(
        self,
        params: Any,
        hidden: Array,
        keep: bool = True,
        *,
        mask: Array | None = None,
        rng: Random | None = None,
    ) -> tuple[Array, SequenceHeadCache | None]:
        """Return y (B, n_labels), and what the backward needs.

        Parameters
        ----------
        params : mapping
        hidden : ndarray, shape (B, T, d_model) for the mean, else (B, d_model)
            The model's outputs at the positions `at`.
        keep : bool
            False keeps nothing for a backward.
        mask : ndarray of bool, shape (B, T), optional
            True = a real token; default: all are. Only the mean asks.
        rng : Random, optional
            Source of dropout, one row for each text; None = no dropout.
        """
        c_pooling: Any = None
        if self.pooling == "mean":
            real = np.ones(hidden.shape[:2], bool) if mask is None else mask
            pooled, c_pooling = mean_pooled(hidden, real)  # 1
        elif self.pooler is not None:
            pooled, c_pooling = self.pooler.forward(params, hidden, keep)  # 1
        else:
            pooled = hidden
        y, c_output = self.output.forward(params, pooled, keep, rng=rng)  # 2
        return y, None if c_output is None else SequenceHeadCache(c_pooling, c_output)

    # 2. as for a token:                       dpooled
    # 1. the mean (pooling.py):                dhidden_bt = mask_bt / n_b · dpooled_b
    #    the pooler (heads.py), or the first or last token's output as it is: dhidden = dpooled
    def backward(self, params: Any, dy: Array, cache: SequenceHeadCache, grads: Any) -> Array:
        """Add the parameters' gradients to `grads`; return dhidden, of the shape of `hidden`."""
        dpooled = self.output.backward(params, dy, cache.output, grads)  # 2
        if self.pooling == "mean":
            return mean_pooled_backward(dpooled, cache.pooling)  # 1
        if self.pooler is not None:
            return self.pooler.backward(params, dpooled, cache.pooling, grads)  # 1
        return dpooled


def build_task_head(config: Any, pooler: Pooler | None = None) -> SequenceHead | TokenHead:
    """Return the head that a model's configuration asks for by its `task`, which is not None."""
    c = config
    if c.task == "tag":
        return TokenHead(c.d_model, c.n_labels, c.task_dropout)
    return SequenceHead(c.d_model, c.n_labels, c.task_pooling, c.task_dropout, pooler)
