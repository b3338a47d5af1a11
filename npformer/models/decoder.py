"""The decoder: a causal language model, of GPT-2's or Llama's form by configuration."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..nn import NORMS, DecoderLayer, Embeddings
from . import _arguments
from .decoder_config import DecoderConfig
from .decoding import DecodingState
from .freezing import any_below
from .heads import Unembedding
from .lora import initial_parameters
from .parameters import Array, Parameters
from .stack import Stack, StackCache
from .task_heads import build_task_head


class DecoderCache(NamedTuple):
    """What `Decoder.backward` needs, and the arrays that were asked for by name."""

    params: Any
    embeddings: Any
    stack: StackCache
    collected: dict[str, Array]


class Decoder:
    """A stack of causal layers over embeddings, with the heads that the configuration asks for.

    Parameters
    ----------
    config : DecoderConfig
    rng : numpy.random.Generator, optional
        Draws the initial weights; default: seed 0.
    dtype : dtype
        Of the parameters.

    Attributes
    ----------
    params : Parameters
        Every parameter by its dotted name, in one flat vector.
    lm_head : Unembedding
        Where ``config.lm``; logits for the next token from outputs.
    task_head : SequenceHead or TokenHead
        Where ``config.task``; labels or a number, for a text or for each word.

    References
    ----------
    Radford et al.: Language Models are Unsupervised Multitask Learners (GPT-2).
    Touvron et al.: LLaMA, arXiv:2302.13971.

    Examples
    --------
    >>> config = DecoderConfig.gpt2(vocab_size=30, d_model=8, n_heads=2, n_layers=2, max_positions=10)
    >>> model = Decoder(config, np.random.default_rng(0), dtype=np.float64)
    >>> hidden, cache = model.forward([[1, 5, 7, 2]])
    >>> logits, _ = model.lm_head.forward(model.params, hidden)
    >>> logits.shape
    (1, 4, 30)

    One token at a time, the same:

    >>> state = model.start(batch=1, capacity=4)
    >>> steps = [model.step([[token]], state) for token in (1, 5, 7, 2)]
    >>> np.allclose(np.concatenate(steps, axis=1), hidden, atol=1e-14)
    True
    """

    def __init__(
        self, config: DecoderConfig, rng: np.random.Generator | None = None, dtype: npt.DTypeLike = np.float32
    ) -> None:
        self.config = c = config
        self.embeddings = Embeddings(
            "embeddings",
            c.vocab_size,
            c.d_model,
            max_positions=c.max_positions,
            n_segments=0,
            positions=c.positions if c.positions in ("learned", "sinusoidal") else None,
            normalise=False,
            dropout=c.dropout,
        )
        layers = [
            DecoderLayer(
                f"decoder.{i}",
                c.d_model,
                c.n_heads,
                c.d_ff,
                activation=c.activation,
                norm=c.norm,
                norm_type=c.norm_type,
                bias=c.bias,
                dropout=c.dropout,
                eps=c.eps,
                n_kv_heads=c.n_kv_heads,
                d_head=c.d_head,
                rotary_base=c.rotary_base if c.positions == "rotary" else None,
                rotary_interleaved=c.rotary_interleaved,
                alibi=c.positions == "alibi",
                window=c.window,
                softcap=c.softcap,
                qk_norm=c.qk_norm,
            )
            for i in range(c.n_layers)
        ]
        self.stack = Stack(
            layers, NORMS[c.norm_type]("decoder.norm", c.d_model, c.eps) if c.norm == "pre" else None
        )
        if c.lm:
            self.lm_head = Unembedding(
                c.d_model,
                c.vocab_size,
                "embeddings.token" if c.tied else "lm_head.weight",
                tied=c.tied,
                softcap=c.logit_softcap,
            )
        if c.task is not None:
            self.task_head: Any = build_task_head(c)
        rng = np.random.default_rng(0) if rng is None else rng
        self.params = initial_parameters(self._init(rng), c.lora, rng, dtype)

    def _init(self, rng: np.random.Generator) -> dict[str, Array]:
        c, std = self.config, self.config.init_std
        output_std = std / math.sqrt(2 * c.n_layers) if c.scale_residual else std
        values = self.embeddings.init(rng, std if c.embedding_std is None else c.embedding_std)
        values |= self.stack.init(rng, std, output_std)
        if c.lm:
            values |= self.lm_head.init(rng, std)
        if c.task is not None:
            values |= self.task_head.init(rng, std)
        return values

    def _by_distance(self, length: int) -> bool:
        """Whether scores depend on how many of `length` columns are between two tokens, padding too."""
        return self.config.positions == "alibi" or (self.config.window or length) < length

    def __repr__(self) -> str:
        c = self.config
        sizes = f"n_layers={c.n_layers}, d_model={c.d_model}, n_heads={c.n_heads}, vocab_size={c.vocab_size}"
        return f"Decoder({sizes}, parameters={self.params.size:_})"

    @property
    def collectable(self) -> list[str]:
        """Names that `forward` can collect: "embeddings", and each layer's branches, weights and output."""
        return ["embeddings", *self.stack.collectable]

    def forward(
        self,
        ids: npt.ArrayLike,
        *,
        mask: npt.ArrayLike | None = None,
        prefix: npt.ArrayLike | None = None,
        at: npt.ArrayLike | None = None,
        collect: Collection[str] = (),
        keep: bool = True,
        recompute: bool = False,
        rng: Any = None,
        params: Parameters | None = None,
    ) -> tuple[Array, DecoderCache]:
        """Compute the output of every token, or of those at some positions, from the tokens up to it.

        Parameters
        ----------
        ids : array_like of int, shape (B, T)
        mask : array_like of bool, shape (B, T), optional
            True = a real token, False = padding, on whichever side: positions count the real tokens.
            Distances of ALiBi and of a window (shorter than T) count columns: with them, none may be between
            real tokens.
        prefix : array_like of int, shape (B,), optional
            The first so many real tokens of each sequence see one another, later ones among them too (prefix
            LM).
        at, collect, keep, recompute, rng, params
            As in `Encoder.forward`.

        Returns
        -------
        hidden : ndarray, shape (B, T, d_model), or (n, d_model) with `at`
            For logits: ``model.lm_head.forward(params, hidden)``.
        cache : DecoderCache

        Raises
        ------
        ValueError, TypeError
            Naming the argument, what was expected and what came.

        References
        ----------
        Raffel et al.: T5, arXiv:1910.10683, section 3.2.1 (prefix LM).
        """
        c, name = self.config, "Decoder"
        ids = _arguments.token_ids(name, "ids", ids, c.vocab_size, c.max_positions)
        mask = _arguments.token_mask(name, "mask", mask, ids.shape)
        if mask is not None and self._by_distance(ids.shape[1]):
            _arguments.unbroken(name, mask)
        at = None if at is None else _arguments.integers(name, "at", at, 1, ids.size)
        _arguments.names(name, collect, self.collectable)
        weights = self.params if params is None else params
        T, positions = ids.shape[1], _arguments.positions(mask)
        allowed = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, T): broadcasts over h, T
        if prefix is not None:
            lengths = _arguments.integers(name, "prefix", prefix, 1, T + 1)
            if lengths.shape != ids.shape[:1]:
                raise ValueError(f"{name}: prefix: expected shape {ids.shape[:1]}, got {lengths.shape}")
            place = np.arange(T) if positions is None else positions[:, None, :]  # of a key: (B, 1, T)
            seen = np.tri(T, dtype=bool) | (place < lengths[:, None, None])  # (B, T, T)
            allowed = seen[:, None] if allowed is None else seen[:, None] & allowed
        everything: dict[str, Array] = {}
        into = everything if collect else None

        x, c_embeddings = self.embeddings.forward(weights, ids, None, keep, rng, positions)
        if into is not None:
            into["embeddings"] = x
        x, c_stack = self.stack.forward(
            weights,
            x,
            allowed,
            at,
            keep=keep,
            recompute=recompute,
            rng=rng,
            collected=into,
            of_layer={"causal": prefix is None, "positions": positions},
        )
        collected = {name: everything[name] for name in collect}
        return x, DecoderCache(weights, c_embeddings, c_stack, collected)

    def backward(self, dhidden: Array, cache: DecoderCache, grads: Any) -> None:
        """Add the gradient of every parameter but the head's to `grads`.

        Parameters
        ----------
        dhidden : ndarray
            Gradient of the loss with respect to `forward`'s output, of its shape.
        cache : DecoderCache
        grads : mapping of names to arrays
            E.g. ``model.params.zeros_like()``; added to in place.

        Raises
        ------
        ValueError
            If the forward kept nothing.
        """
        _arguments.kept("Decoder", cache.embeddings)
        wanted = any_below("embeddings", grads)
        first = 0 if wanted else self.stack.first_trained(grads)
        dx = self.stack.backward(cache.params, dhidden, cache.stack, grads, first=first)
        if wanted:
            self.embeddings.backward(cache.params, dx, cache.embeddings, grads)

    def start(self, batch: int, capacity: int) -> DecodingState:
        """Return an empty state for decoding.

        Parameters
        ----------
        batch : int
            B, the number of sequences.
        capacity : int
            How many tokens there is to be room for, padding among them: with padding it may be more than the
            model's positions, which real tokens alone take.

        Raises
        ------
        ValueError
            If one of them is below 1.
        """
        c = self.config
        _arguments.decoding_sizes("Decoder", batch, capacity)
        shape = (batch, c.n_kv_heads or c.n_heads, capacity, c.d_head or c.d_model // c.n_heads)
        return DecodingState.empty(c.n_layers, shape, self.params.flat.dtype)

    def step(self, ids: npt.ArrayLike, state: DecodingState, mask: npt.ArrayLike | None = None) -> Array:
        """Go on by some tokens: the outputs of these alone, with the keys and values of those before.

        Parameters
        ----------
        ids : array_like of int, shape (B, T)
            The prompt at first, then a token at a time.
        state : DecodingState
            From `start`; changed.
        mask : array_like of bool, shape (B, T), optional
            False = padding; prompts of different lengths are padded on the left.

        Returns
        -------
        hidden : ndarray, shape (B, T, d_model)

        Raises
        ------
        ValueError, TypeError
            Naming the argument, what was expected and what came; the state is as it was.
        """
        c, params = self.config, self.params
        ids = _arguments.token_ids("Decoder.step", "ids", ids, c.vocab_size, c.max_positions)
        real = _arguments.token_mask("Decoder.step", "mask", mask, ids.shape)
        start = state.length
        by_distance = self._by_distance(start + ids.shape[1])
        positions, allowed = state.admit("Decoder", ids.shape, real, c.max_positions, by_distance)
        x, _ = self.embeddings.forward(params, ids, None, False, None, positions)
        for layer, store in zip(self.stack.layers, state.layers, strict=True):
            x = layer.step(params, x, store, start, allowed, positions)
        if self.stack.final_norm is not None:
            x, _ = self.stack.final_norm.forward(params, x, False)
        return x

    def save_pretrained(self, folder: str | os.PathLike[str], tokenizer: Any = None) -> None:
        """Write config.json, model.npz and the tokenizer's files; see `models.save_pretrained`."""
        from .pretrained import save_pretrained  # which imports this file

        save_pretrained(self, folder, tokenizer)
