"""A branch of a layer with its norm, dropout and residual sum.

post-norm (the original Transformer, BERT)      pre-norm (GPT-2, Llama)
    y = norm(x + dropout(branch(x)))                y = x + dropout(branch(norm(x)))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ..functional import EmbeddingCache, embedding, embedding_backward
from ._blocks import Array, Grads, Params, Random
from .layers import Dropout, LayerNorm, RMSNorm
from .randomness import GatheredRandom

Norm = LayerNorm | RMSNorm
NOTHING: Mapping[str, Any] = MappingProxyType({})


class ResidualCache(NamedTuple):
    """What `Residual.backward` needs."""

    norm: Any
    branch: Any  # the branch's own
    dropout: Any
    gather: EmbeddingCache | None
    shape: tuple[int, ...]  # of x


class Residual:
    """A block beside the identity.

    Parameters
    ----------
    branch : block
        With ``forward(params, x, keep, ...)`` and ``backward(params, dy, cache, grads, ...)``.
    norm : LayerNorm or RMSNorm
    placement : {"post", "pre"}
        Where the norm stands.
    dropout : float
        Of the branch, before the sum.

    References
    ----------
    Vaswani et al.: Attention Is All You Need, arXiv:1706.03762, section 3.1 (post-norm).
    Xiong et al.: On Layer Normalization in the Transformer Architecture, arXiv:2002.04745 (pre-norm).
    """

    def __init__(self, branch: Any, norm: Norm, placement: str, dropout: float) -> None:
        self.branch, self.norm, self.pre = branch, norm, placement == "pre"
        self.dropout = Dropout(dropout)

    def forward(
        self,
        params: Params,
        x: Array,
        keep: bool = True,
        rng: Random | None = None,
        at: Array | None = None,
        of_branch: Mapping[str, Any] = NOTHING,
    ) -> tuple[Array, ResidualCache | None]:
        """Run the branch and add it to its input.

        Parameters
        ----------
        params : mapping
        x : ndarray, shape (B, T, d_model), or any leading axes without `at`
        keep : bool
            False keeps nothing for a backward.
        rng : Random, optional
            Source of the dropout before the sum; None = none.
        at : ndarray of int, shape (n,), optional
            Flat positions in (B, T) whose output is wanted; the branch is told, and returns (n, d_model).
        of_branch : mapping
            More arguments of the branch's forward.

        Returns
        -------
        y : ndarray, the shape of x, or (n, d_model) with `at`
        cache : ResidualCache or None
        """
        shape, gather = x.shape, None
        there = {} if at is None else {"at": at}
        u, c_norm = self.norm.forward(params, x, keep) if self.pre else (x, None)
        f, c_branch = self.branch.forward(params, u, keep=keep, **there, **of_branch)
        if at is not None:
            x, gather = embedding(at, x.reshape(-1, shape[-1]))  # the rows of x at those positions
            rng = None if rng is None else GatheredRandom(rng, at, shape[:-1])
        f, c_dropout = self.dropout.forward(f, rng)
        y = x + f
        if not self.pre:
            y, c_norm = self.norm.forward(params, y, keep)
        return y, ResidualCache(c_norm, c_branch, c_dropout, gather, shape) if keep else None

    def backward(
        self,
        params: Params,
        dy: Array,
        cache: ResidualCache,
        grads: Grads,
        of_branch: Mapping[str, Any] = NOTHING,
    ) -> Array:
        """Add the parameters' gradients to `grads`; return dx.

        The sum y = x + branch(x) hands its gradient on twice: dx = dy + branch'(dy). `of_branch` has more
        arguments of the branch's backward.
        """
        if not self.pre:
            dy = self.norm.backward(params, dy, cache.norm, grads)
        df = self.dropout.backward(dy, cache.dropout)
        du = self.branch.backward(params, df, cache.branch, grads, **of_branch)
        if self.pre:
            du = self.norm.backward(params, du, cache.norm, grads)
        if cache.gather is not None:
            dy = embedding_backward(dy, cache.gather).reshape(cache.shape)
        return dy + du

    def step(self, params: Params, x: Array, branch: Callable[[Array], Array]) -> Array:
        """Return y for new tokens alone, whose branch is computed by `branch`; nothing is kept."""
        if self.pre:
            return x + branch(self.norm.forward(params, x, keep=False)[0])
        return self.norm.forward(params, x + branch(x), keep=False)[0]
