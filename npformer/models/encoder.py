"""The encoder: BERT's, with pre-norm, sinusoidal and rotary positions as configuration."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..nn import Embeddings, EncoderLayer, LayerNorm
from . import _arguments
from .config import EncoderConfig
from .freezing import any_below
from .heads import MaskedLMHead, PairHead, Pooler, ReplacedTokenHead
from .lora import initial_parameters
from .parameters import Array, Parameters
from .stack import Stack, StackCache
from .task_heads import build_task_head


class EncoderCache(NamedTuple):
    """What `Encoder.backward` needs, and the arrays that were asked for by name."""

    params: Any
    embeddings: Any
    stack: StackCache
    collected: dict[str, Array]


class Encoder:
    """A stack of encoder layers over embeddings, with the heads that the configuration asks for.

    Parameters
    ----------
    config : EncoderConfig
    rng : numpy.random.Generator, optional
        Draws the initial weights; default: seed 0.
    dtype : dtype
        Of the parameters.

    Attributes
    ----------
    params : Parameters
        Every parameter by its dotted name, in one flat vector.
    mlm_head : MaskedLMHead
        Where ``config.mlm``; logits from outputs.
    pooler : Pooler
        Where ``config.pooler``; a vector for the text from the first token's output.
    task_head : SequenceHead or TokenHead
        Where ``config.task``; labels or a number, for a text or for each word.
    rtd_head : ReplacedTokenHead
        Where ``config.rtd``; a logit for each token: was it put there in the place of another?
    nsp_head : PairHead
        Where ``config.pair_head``; two logits for a pair of texts from the first token's output.

    References
    ----------
    Devlin et al.: BERT, arXiv:1810.04805. Su et al.: RoFormer, arXiv:2104.09864 (rotary positions).

    Examples
    --------
    >>> config = EncoderConfig(vocab_size=30, d_model=8, n_heads=2, d_ff=16, n_layers=2, max_positions=10)
    >>> model = Encoder(config, np.random.default_rng(0), dtype=np.float64)
    >>> hidden, cache = model.forward([[1, 5, 7, 2]])
    >>> grads = model.params.zeros_like()
    >>> model.backward(np.ones_like(hidden), cache, grads)
    >>> hidden.shape, grads["encoder.0.attention.query.weight"].shape
    ((1, 4, 8), (8, 8))
    """

    def __init__(
        self, config: EncoderConfig, rng: np.random.Generator | None = None, dtype: npt.DTypeLike = np.float32
    ) -> None:
        self.config = c = config
        self.embeddings = Embeddings(
            "embeddings",
            c.vocab_size,
            c.d_model,
            max_positions=c.max_positions,
            n_segments=c.n_segments,
            positions=None if c.positions == "rotary" else c.positions,
            normalise=c.norm == "post",  # a pre-norm layer normalises its own input
            dropout=c.dropout,
            eps=c.eps,
            d_embedding=c.d_embedding,
        )
        layers = [
            EncoderLayer(
                f"encoder.{i}",
                c.d_model,
                c.n_heads,
                c.d_ff,
                activation=c.activation,
                norm=c.norm,
                dropout=c.dropout,
                eps=c.eps,
                rotary_base=c.rotary_base if c.positions == "rotary" else None,
            )
            for i in range(c.n_layers)
        ]
        self.stack = Stack(layers, LayerNorm("encoder.norm", c.d_model, c.eps) if c.norm == "pre" else None)
        if c.mlm:
            self.mlm_head = MaskedLMHead(
                c.d_model, c.vocab_size, activation=c.activation, eps=c.eps, d_embedding=c.d_embedding
            )
        if c.pooler:
            self.pooler = Pooler(c.d_model)
        if c.task is not None:
            self.task_head: Any = build_task_head(c, self.pooler if c.pooler else None)
        if c.rtd:
            self.rtd_head = ReplacedTokenHead(c.d_model, activation=c.activation)
        if c.pair_head:
            self.nsp_head = PairHead(self.pooler, c.d_model)
        rng = np.random.default_rng(0) if rng is None else rng
        self.params = initial_parameters(self._init(rng), c.lora, rng, dtype)

    def _init(self, rng: np.random.Generator) -> dict[str, Array]:
        c, std = self.config, self.config.init_std
        output_std = std / math.sqrt(2 * c.n_layers) if c.scale_residual else std
        values = self.embeddings.init(rng, std if c.embedding_std is None else c.embedding_std)
        values |= self.stack.init(rng, std, output_std, c.neighbour_heads)
        if c.mlm:
            values |= self.mlm_head.init(rng, std)
        if c.pooler:
            values |= self.pooler.init(rng, std)
        if c.task is not None:
            values |= self.task_head.init(rng, std)
        if c.rtd:
            values |= self.rtd_head.init(rng, std)
        if c.pair_head:
            values |= self.nsp_head.init(rng, std)
        return values

    def __repr__(self) -> str:
        c = self.config
        sizes = f"n_layers={c.n_layers}, d_model={c.d_model}, n_heads={c.n_heads}, vocab_size={c.vocab_size}"
        return f"Encoder({sizes}, parameters={self.params.size:_})"

    @property
    def collectable(self) -> list[str]:
        """Names that `forward` can collect: "embeddings", and each layer's branches, weights and output."""
        return ["embeddings", *self.stack.collectable]

    def forward(
        self,
        ids: npt.ArrayLike,
        *,
        segment_ids: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        at: npt.ArrayLike | None = None,
        collect: Collection[str] = (),
        keep: bool = True,
        recompute: bool = False,
        rng: Any = None,
        params: Parameters | None = None,
    ) -> tuple[Array, EncoderCache]:
        """Compute the output of every token, or of those at some positions.

        Parameters
        ----------
        ids : array_like of int, shape (B, T)
        segment_ids : array_like of int, shape (B, T), optional
            Default: all 0.
        mask : array_like of bool, shape (B, T), optional
            True = a real token, False = padding, which nobody attends to.
        at : array_like of int, shape (n,), optional
            Flat positions ``b * T + t`` whose output is wanted; the last layer's position-wise part is
            done for them alone.
        collect : collection of str
            Names from `collectable`; the arrays come back in ``cache.collected``. With `at`, those of the
            last layer are at those positions.
        keep : bool
            False keeps nothing for a backward (inference).
        recompute : bool
            Keep only the input of each layer but the last, and let the backward run its forward again: a
            third more work, the same bits, and the activations of one layer in memory in place of all.
        rng : numpy.random.Generator or SequenceRandom, optional
            Source of dropout; None = no dropout.
        params : Parameters, optional
            Use these in place of the model's own.

        Returns
        -------
        hidden : ndarray, shape (B, T, d_model), or (n, d_model) with `at`
        cache : EncoderCache

        Raises
        ------
        ValueError, TypeError
            Naming the argument, what was expected and what came.
        """
        c, name = self.config, "Encoder"
        ids = _arguments.token_ids(name, "ids", ids, c.vocab_size, c.max_positions)
        if segment_ids is not None:
            segment_ids = _arguments.integers(name, "segment_ids", segment_ids, 2, c.n_segments)
            if segment_ids.shape != ids.shape:
                raise ValueError(f"Encoder: segment_ids: expected shape {ids.shape}, got {segment_ids.shape}")
        mask = _arguments.token_mask(name, "mask", mask, ids.shape)
        at = None if at is None else _arguments.integers(name, "at", at, 1, ids.size)
        _arguments.names(name, collect, self.collectable)
        weights = self.params if params is None else params
        keys = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, T): broadcasts over h, T
        everything: dict[str, Array] = {}
        into = everything if collect else None

        x, c_embeddings = self.embeddings.forward(weights, ids, segment_ids, keep, rng)
        if into is not None:
            into["embeddings"] = x
        x, c_stack = self.stack.forward(
            weights, x, keys, at, keep=keep, recompute=recompute, rng=rng, collected=into
        )
        collected = {name: everything[name] for name in collect}
        return x, EncoderCache(weights, c_embeddings, c_stack, collected)

    def backward(self, dhidden: Array, cache: EncoderCache, grads: Any) -> None:
        """Add the gradient of every parameter to `grads`.

        Parameters
        ----------
        dhidden : ndarray
            Gradient of the loss with respect to `forward`'s output, of its shape.
        cache : EncoderCache
        grads : mapping of names to arrays
            E.g. ``model.params.zeros_like()``; added to in place.

        Raises
        ------
        ValueError
            If the forward kept nothing.
        """
        _arguments.kept("Encoder", cache.embeddings)
        wanted = any_below("embeddings", grads)
        first = 0 if wanted else self.stack.first_trained(grads)
        dx = self.stack.backward(cache.params, dhidden, cache.stack, grads, first=first)
        if wanted:
            self.embeddings.backward(cache.params, dx, cache.embeddings, grads)

    def save_pretrained(self, folder: str | os.PathLike[str], tokenizer: Any = None) -> None:
        """Write config.json, model.npz and the tokenizer's vocab.txt; see `models.save_pretrained`."""
        from .pretrained import save_pretrained  # which imports this file

        save_pretrained(self, folder, tokenizer)
