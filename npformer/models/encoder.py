"""The encoder: BERT's, with pre-norm, sinusoidal and rotary positions as configuration."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..nn import Embeddings, EncoderLayer, LayerNorm
from .config import EncoderConfig
from .heads import MaskedLMHead, Pooler
from .parameters import Array, Parameters


class EncoderCache(NamedTuple):
    """What `Encoder.backward` needs, and the arrays that were asked for by name."""

    params: Any
    embeddings: Any
    layers: list[Any]
    final_norm: Any
    collected: dict[str, Array]


class Recomputation(NamedTuple):
    """What one layer's forward was given: enough to run it again, and all that is kept of it then."""

    x: Array
    keys: Array | None
    rng: Any  # as it was before the layer drew from it


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
        )
        self.layers = [
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
        # In pre-norm nothing has normalised the last sum.
        self.final_norm = LayerNorm("encoder.norm", c.d_model, c.eps) if c.norm == "pre" else None
        if c.mlm:
            self.mlm_head = MaskedLMHead(c.d_model, c.vocab_size, activation=c.activation, eps=c.eps)
        if c.pooler:
            self.pooler = Pooler(c.d_model)
        self.params = Parameters(self._init(np.random.default_rng(0) if rng is None else rng), dtype)

    def _init(self, rng: np.random.Generator) -> dict[str, Array]:
        c, std = self.config, self.config.init_std
        output_std = std / math.sqrt(2 * c.n_layers) if c.scale_residual else std
        values = self.embeddings.init(rng, std if c.embedding_std is None else c.embedding_std)
        for layer in self.layers:
            values |= layer.init(rng, std, output_std, c.neighbour_heads)
        if self.final_norm is not None:
            values |= self.final_norm.init(rng, std)
        if c.mlm:
            values |= self.mlm_head.init(rng, std)
        if c.pooler:
            values |= self.pooler.init(rng, std)
        return values

    @property
    def collectable(self) -> list[str]:
        """Names that `forward` can collect: "embeddings", and for each layer its branches and its output."""
        of_layers = [
            f"{layer.name}{part}" for layer in self.layers for part in (".attention", ".feed_forward", "")
        ]
        return ["embeddings", *of_layers]

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
        ids, segment_ids, mask, at = self._checked(ids, segment_ids, mask, at, collect)
        weights = self.params if params is None else params
        keys = (
            None if mask is None or mask.all() else mask[:, None, None, :]
        )  # (B, 1, 1, T): broadcasts over h, T
        everything: dict[str, Array] = {}
        into = everything if collect else None

        x, c_embeddings = self.embeddings.forward(weights, ids, segment_ids, keep, rng)
        if into is not None:
            into["embeddings"] = x
        caches = []
        for layer in self.layers:
            last = layer is self.layers[-1]
            again = keep and recompute and not last  # the last layer's backward comes at once
            kept = Recomputation(x, keys, copy.deepcopy(rng)) if again else None
            x, cache = layer.forward(weights, x, keys, at if last else None, keep and not again, rng, into)
            caches.append(kept if again else cache)
        c_final = None
        if self.final_norm is not None:
            x, c_final = self.final_norm.forward(weights, x, keep)
        collected = {name: everything[name] for name in collect}
        return x, EncoderCache(weights, c_embeddings, caches, c_final, collected)

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
        if cache.embeddings is None:
            raise ValueError(
                "Encoder.backward: cache: expected one of a forward with keep=True, got keep=False"
            )
        params, dx = cache.params, dhidden
        if self.final_norm is not None:
            dx = self.final_norm.backward(params, dx, cache.final_norm, grads)
        for layer, layer_cache in zip(reversed(self.layers), reversed(cache.layers), strict=True):
            if isinstance(layer_cache, Recomputation):
                x, keys, rng = layer_cache
                _, layer_cache = layer.forward(params, x, keys, rng=copy.deepcopy(rng))
            dx = layer.backward(params, dx, layer_cache, grads)
        self.embeddings.backward(params, dx, cache.embeddings, grads)

    def save_pretrained(self, folder: str | os.PathLike[str], tokenizer: Any = None) -> None:
        """Write config.json, model.npz and the tokenizer's vocab.txt; see `models.save_pretrained`."""
        from .pretrained import save_pretrained  # which imports this file

        save_pretrained(self, folder, tokenizer)

    def _checked(
        self, ids: Any, segment_ids: Any, mask: Any, at: Any, collect: Collection[str]
    ) -> tuple[Array, Array | None, Array | None, Array | None]:
        c = self.config
        ids = _integers("ids", ids, 2, c.vocab_size)
        B, T = ids.shape
        if c.max_positions < T:
            raise ValueError(
                f"Encoder: ids: expected at most max_positions = {c.max_positions} tokens, got {T}"
            )
        if segment_ids is not None:
            segment_ids = _integers("segment_ids", segment_ids, 2, c.n_segments)
            if segment_ids.shape != ids.shape:
                raise ValueError(f"Encoder: segment_ids: expected shape {ids.shape}, got {segment_ids.shape}")
        if mask is not None:
            mask = np.asarray(mask)
            if mask.dtype != np.bool_:
                raise TypeError(
                    f"Encoder: mask: expected booleans (True = a real token), got dtype {mask.dtype}"
                )
            if mask.shape != ids.shape:
                raise ValueError(f"Encoder: mask: expected shape {ids.shape}, got {mask.shape}")
        if at is not None:
            at = _integers("at", at, 1, B * T)
        unknown = sorted(set(collect) - set(self.collectable))
        if unknown:
            raise ValueError(
                f"Encoder: collect: expected names among {', '.join(self.collectable)}, got {unknown[0]!r}"
            )
        return ids, segment_ids, mask, at


def _integers(argument: str, values: Any, ndim: int, upper: int) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"Encoder: {argument}: expected integers, got dtype {array.dtype}")
    array = array.astype(np.intp, copy=False)
    if array.ndim != ndim:
        raise ValueError(f"Encoder: {argument}: expected {ndim} axes, got shape {array.shape}")
    if array.size and not (array.min() >= 0 and array.max() < upper):
        got = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"Encoder: {argument}: expected integers in [0, {upper}), got {got}")
    return array
