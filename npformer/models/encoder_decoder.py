"""The encoder-decoder: the original Transformer, with pre-norm and learned positions as configuration."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..nn import DecoderLayer, Embeddings, EncoderLayer, LayerNorm
from . import _arguments
from .decoding import DecodingState
from .encoder_decoder_config import EncoderDecoderConfig
from .freezing import any_below
from .heads import Unembedding
from .lora import initial_parameters
from .parameters import Array, Parameters
from .stack import Stack, StackCache


class EncoderDecoderCache(NamedTuple):
    """What `EncoderDecoder.backward` needs, and the arrays that were asked for by name."""

    params: Any
    source_embeddings: Any
    encoder: StackCache
    memory: Array
    target_embeddings: Any
    decoder: StackCache
    collected: dict[str, Array]


class EncoderDecoder:
    """A source read by an encoder, a target written by a decoder that attends to the source.

    Parameters
    ----------
    config : EncoderDecoderConfig
    rng : numpy.random.Generator, optional
        Draws the initial weights; default: seed 0.
    dtype : dtype
        Of the parameters.

    Attributes
    ----------
    params : Parameters
    lm_head : Unembedding
        Logits from outputs.

    References
    ----------
    Vaswani et al.: Attention Is All You Need, arXiv:1706.03762.

    Examples
    --------
    >>> config = EncoderDecoderConfig(30, 8, 2, 16, n_encoder_layers=1, n_decoder_layers=2, max_positions=9)
    >>> model = EncoderDecoder(config, np.random.default_rng(0), dtype=np.float64)
    >>> hidden, cache = model.forward([[5, 6, 7]], [[1, 8, 9, 4]])
    >>> hidden.shape
    (1, 4, 8)
    """

    def __init__(
        self,
        config: EncoderDecoderConfig,
        rng: np.random.Generator | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        self.config = c = config
        self.embeddings = Embeddings(
            "embeddings",
            c.vocab_size,
            c.d_model,
            max_positions=c.max_positions,
            n_segments=0,
            positions=c.positions,
            normalise=False,
            dropout=c.dropout,
            scale=math.sqrt(c.d_model) if c.scale_embedding else 1.0,
        )

        def final_norm(name: str) -> LayerNorm | None:
            return LayerNorm(name, c.d_model, c.eps) if c.norm == "pre" else None

        sizes = (c.d_model, c.n_heads, c.d_ff)
        options: dict[str, Any] = {
            "activation": c.activation,
            "norm": c.norm,
            "dropout": c.dropout,
            "eps": c.eps,
        }
        self.encoder = Stack(
            [EncoderLayer(f"encoder.{i}", *sizes, **options) for i in range(c.n_encoder_layers)],
            final_norm("encoder.norm"),
        )
        self.decoder = Stack(
            [DecoderLayer(f"decoder.{i}", *sizes, cross=True, **options) for i in range(c.n_decoder_layers)],
            final_norm("decoder.norm"),
        )
        weight = "embeddings.token" if c.tied else "lm_head.weight"
        self.lm_head = Unembedding(c.d_model, c.vocab_size, weight, tied=c.tied)
        rng = np.random.default_rng(0) if rng is None else rng
        self.params = initial_parameters(self._init(rng), c.lora, rng, dtype)

    def _init(self, rng: np.random.Generator) -> dict[str, Array]:
        c, default = self.config, self.config.d_model**-0.5
        std = default if c.init_std is None else c.init_std
        values = self.embeddings.init(rng, default if c.embedding_std is None else c.embedding_std)
        for stack, n_layers in ((self.encoder, c.n_encoder_layers), (self.decoder, c.n_decoder_layers)):
            values |= stack.init(rng, std, std / math.sqrt(2 * n_layers) if c.scale_residual else std)
        return values | self.lm_head.init(rng, std)

    def __repr__(self) -> str:
        c = self.config
        layers = f"n_encoder_layers={c.n_encoder_layers}, n_decoder_layers={c.n_decoder_layers}"
        sizes = f"{layers}, d_model={c.d_model}, n_heads={c.n_heads}, vocab_size={c.vocab_size}"
        return f"EncoderDecoder({sizes}, parameters={self.params.size:_})"

    @property
    def collectable(self) -> list[str]:
        """Names that `forward` can collect, in the order of computation.

        "source_embeddings" and "embeddings" (of the target); each layer's branches, weights and output.
        """
        return ["source_embeddings", *self.encoder.collectable, "embeddings", *self.decoder.collectable]

    def forward(
        self,
        source_ids: npt.ArrayLike,
        ids: npt.ArrayLike,
        *,
        source_mask: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        at: npt.ArrayLike | None = None,
        collect: Collection[str] = (),
        keep: bool = True,
        recompute: bool = False,
        rng: Any = None,
        params: Parameters | None = None,
    ) -> tuple[Array, EncoderDecoderCache]:
        """Compute the output of every target token, from the source and the target up to it.

        Parameters
        ----------
        source_ids : array_like of int, shape (B, S)
        ids : array_like of int, shape (B, T)
            The target, beginning with a token that says so.
        source_mask, mask : array_like of bool, shape (B, S) and (B, T), optional
            True = a real token, False = padding, on whichever side: positions count the real tokens.
        at : array_like of int, shape (n,), optional
            Flat positions ``b * T + t`` of the target whose output is wanted.
        collect, keep, recompute, rng, params
            As in `Encoder.forward`.

        Returns
        -------
        hidden : ndarray, shape (B, T, d_model), or (n, d_model) with `at`
            For logits: ``model.lm_head.forward(params, hidden)``.
        cache : EncoderDecoderCache

        Raises
        ------
        ValueError, TypeError
            Naming the argument, what was expected and what came.
        """
        c, name = self.config, "EncoderDecoder"
        source_ids, source_mask = self._source(source_ids, source_mask)
        ids = _arguments.token_ids(name, "ids", ids, c.vocab_size, c.max_positions)
        if len(ids) != len(source_ids):
            raise ValueError(
                f"{name}: ids: expected {len(source_ids)} sequences as source_ids has, got {len(ids)}"
            )
        mask = _arguments.token_mask(name, "mask", mask, ids.shape)
        at = None if at is None else _arguments.integers(name, "at", at, 1, ids.size)
        _arguments.names(name, collect, self.collectable)
        weights = self.params if params is None else params
        everything: dict[str, Array] = {}
        into = everything if collect else None
        options: dict[str, Any] = {
            "keep": keep,
            "recompute": recompute,
            "rng": rng,
            "collected": into,
        }
        memory, source_keys, c_source, c_encoder = self._encode(weights, source_ids, source_mask, options)
        x, c_target = self.embeddings.forward(weights, ids, None, keep, rng, _arguments.positions(mask))
        if into is not None:
            into["embeddings"] = x
        keys = None if mask is None else mask[:, None, None, :]
        of_layer = {"memory": memory, "memory_mask": source_keys}
        x, c_decoder = self.decoder.forward(weights, x, keys, at, of_layer=of_layer, **options)
        collected = {name: everything[name] for name in collect}
        return x, EncoderDecoderCache(weights, c_source, c_encoder, memory, c_target, c_decoder, collected)

    def backward(self, dhidden: Array, cache: EncoderDecoderCache, grads: Any) -> None:
        """Add the gradient of every parameter but the head's to `grads`.

        The memory collects from the cross-attention of every decoder layer, and hands it to the encoder.

        Parameters
        ----------
        dhidden : ndarray
            Gradient of the loss with respect to `forward`'s output, of its shape.
        cache : EncoderDecoderCache
        grads : mapping of names to arrays
            E.g. ``model.params.zeros_like()``; added to in place.

        Raises
        ------
        ValueError
            If the forward kept nothing.
        """
        _arguments.kept("EncoderDecoder", cache.target_embeddings)
        params, dmemory = cache.params, np.zeros_like(cache.memory)
        wanted, of_source = (any_below(name, grads) for name in ("embeddings", "encoder"))
        first = 0 if wanted or of_source else self.decoder.first_trained(grads)
        dx = self.decoder.backward(params, dhidden, cache.decoder, grads, {"dmemory": dmemory}, first)
        if wanted:
            self.embeddings.backward(params, dx, cache.target_embeddings, grads)
        if wanted or of_source:
            first = 0 if wanted else self.encoder.first_trained(grads)
            dx = self.encoder.backward(params, dmemory, cache.encoder, grads, first=first)
        if wanted:
            self.embeddings.backward(params, dx, cache.source_embeddings, grads)

    def start(
        self, source_ids: npt.ArrayLike, capacity: int, source_mask: npt.ArrayLike | None = None
    ) -> DecodingState:
        """Read the source, and return a state for writing the target.

        Parameters
        ----------
        source_ids : array_like of int, shape (B, S)
        capacity : int
            How many tokens of the target there is to be room for.
        source_mask : array_like of bool, shape (B, S), optional

        Raises
        ------
        ValueError, TypeError
            Naming the argument, what was expected and what came.
        """
        c, params = self.config, self.params
        source_ids, source_mask = self._source(source_ids, source_mask)
        _arguments.decoding_sizes("EncoderDecoder", len(source_ids), capacity)
        shape = (len(source_ids), c.n_heads, capacity, c.d_model // c.n_heads)
        state = DecodingState.empty(c.n_decoder_layers, shape, params.flat.dtype)
        memory, state.memory_mask, _, _ = self._encode(params, source_ids, source_mask, {"keep": False})
        state.memory = [layer.cross_attention.branch.project(params, memory) for layer in self.decoder.layers]
        return state

    def step(self, ids: npt.ArrayLike, state: DecodingState, mask: npt.ArrayLike | None = None) -> Array:
        """Go on by some target tokens; see `Decoder.step`."""
        c, params = self.config, self.params
        ids = _arguments.token_ids("EncoderDecoder.step", "ids", ids, c.vocab_size, c.max_positions)
        real = _arguments.token_mask("EncoderDecoder.step", "mask", mask, ids.shape)
        start = state.length
        positions, allowed = state.admit("EncoderDecoder", ids.shape, real, c.max_positions)
        x, _ = self.embeddings.forward(params, ids, None, False, None, positions)
        for layer, store, memory in zip(self.decoder.layers, state.layers, state.memory, strict=True):
            x = layer.step(params, x, store, start, allowed, positions, memory, state.memory_mask)
        if self.decoder.final_norm is not None:
            x, _ = self.decoder.final_norm.forward(params, x, False)
        return x

    def save_pretrained(self, folder: str | os.PathLike[str], tokenizer: Any = None) -> None:
        """Write config.json, model.npz and the tokenizer's files; see `models.save_pretrained`."""
        from .pretrained import save_pretrained  # which imports this file

        save_pretrained(self, folder, tokenizer)

    def _source(self, source_ids: Any, source_mask: Any) -> tuple[Array, Array | None]:
        c, name = self.config, "EncoderDecoder"
        ids = _arguments.token_ids(name, "source_ids", source_ids, c.vocab_size, c.max_positions)
        return ids, _arguments.token_mask(name, "source_mask", source_mask, ids.shape)

    def _encode(
        self, params: Any, ids: Array, mask: Array | None, options: Mapping[str, Any]
    ) -> tuple[Array, Array | None, Any, StackCache]:
        """Return the memory (B, S, d_model), who may be attended to (B, 1, 1, S), and the caches."""
        keys, positions = None if mask is None else mask[:, None, None, :], _arguments.positions(mask)
        keep, rng = options["keep"], options.get("rng")
        x, c_source = self.embeddings.forward(params, ids, None, keep, rng, positions)
        if options.get("collected") is not None:
            options["collected"]["source_embeddings"] = x
        memory, c_encoder = self.encoder.forward(params, x, keys, **options)
        return memory, keys, c_source, c_encoder
