"""What there is to continue, checked; and the logits of the next tokens, first of the prompts, then in steps.

A decoder continues prompts, padded on the left to the longest among them. An encoder-decoder reads sources,
padded on the right, and continues the tokens that begin a target (`begin`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..models import Decoder, DecodingState, EncoderDecoder, _arguments
from ..models._padding import padded

Array = Any


class Inputs(NamedTuple):
    """What there is to read."""

    before: list[Array]  # the tokens that each sequence continues
    sources: list[Array] | None  # of an encoder-decoder


class Started(NamedTuple):
    """A batch that has been read."""

    state: DecodingState
    logits: Array  # (B, V), of the first new tokens
    before: list[list[int]]  # the tokens that each sequence continues
    room: list[int]  # how many new tokens the model's positions leave to each


class NotFinite(ValueError):
    """What a model says is no number: its weights are damaged, or its training diverged."""


def require_model(op: str, model: Any) -> None:
    """Raise TypeError or ValueError unless `model` can write."""
    if not isinstance(model, Decoder | EncoderDecoder):
        raise TypeError(f"{op}: model: expected a Decoder or EncoderDecoder, got {type(model).__name__}")
    if isinstance(model, Decoder) and not model.config.lm:
        raise ValueError(f"{op}: model: expected a head for the next token (lm), got a decoder without one")


def checked(
    model: Decoder | EncoderDecoder,
    prompts: Sequence[npt.ArrayLike],
    begin: int | Sequence[int] | None,
    max_new_tokens: int,
    op: str,
) -> Inputs:
    """Return what is to be read.

    Parameters
    ----------
    model : Decoder or EncoderDecoder
    prompts : sequence of array_like of int, B of them
        Prompts, or for an encoder-decoder the sources.
    begin : int or sequence of int, optional
        Of an encoder-decoder: the tokens that begin a target.
    max_new_tokens : int
    op : str
        Who asks, for messages.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what was expected and what came.
    """
    if isinstance(max_new_tokens, bool) or not isinstance(max_new_tokens, int | np.integer):
        raise TypeError(f"{op}: max_new_tokens: expected an integer, got {max_new_tokens!r}")
    if max_new_tokens < 1:
        raise ValueError(f"{op}: max_new_tokens: expected at least 1, got {max_new_tokens}")
    c = model.config
    if len(prompts) == 0:
        raise ValueError(f"{op}: prompts: expected at least one, got none")
    read = _arguments.sequences(op, "prompts", prompts, c.vocab_size, c.max_positions)
    if isinstance(model, Decoder):
        if begin is not None:
            raise ValueError(f"{op}: begin: expected None for a decoder, whose prompts begin, got {begin!r}")
        return Inputs(read, None)
    if begin is None:
        raise ValueError(f"{op}: begin: expected the token that begins a target, got None")
    target = _arguments.sequence(op, "begin", np.atleast_1d(begin), c.vocab_size, c.max_positions)
    return Inputs(len(read) * [target], read)


def require_threads(op: str, threads: int | None) -> None:
    """Raise ValueError if `threads` is below 1."""
    if threads is not None and threads < 1:
        raise ValueError(f"{op}: threads: expected at least 1, got {threads}")


def start(model: Decoder | EncoderDecoder, inputs: Inputs, max_new_tokens: int) -> Started:
    """Read prompts or sources."""
    before = inputs.before
    # The last new token is not read: it needs no room.
    room = [model.config.max_positions + 1 - ids.size for ids in before]
    capacity = max(ids.size for ids in before) + min(max_new_tokens, max(room)) - 1
    ids, mask = padded(before, left=True)
    if isinstance(model, Decoder):
        state = model.start(len(before), capacity)
    else:
        assert inputs.sources is not None
        sources, source_mask = padded(inputs.sources)
        state = model.start(sources, capacity, source_mask)
    hidden = model.step(ids, state, mask)
    return Started(state, next_logits(model, hidden), [row.tolist() for row in before], room)


def slide(
    model: Decoder, tokens: list[list[int]], full: list[bool], max_new_tokens: int
) -> Started:
    """Read sequences again, of those that are full the last half of the model's positions only.

    Parameters
    ----------
    model : Decoder
    tokens : list of list of int
        What there is to read of each sequence.
    full : list of bool
    max_new_tokens : int
        How many are still to come.
    """
    half = max(model.config.max_positions // 2, 1)
    rows = [ids[-half:] if is_full else ids for ids, is_full in zip(tokens, full, strict=True)]
    return start(model, Inputs([np.array(row) for row in rows], None), max_new_tokens)


def advance(model: Decoder | EncoderDecoder, state: DecodingState, tokens: Array) -> Array:
    """Take one more token of each sequence (B,) in, and return the logits (B, V) of the next."""
    return next_logits(model, model.step(tokens[:, None], state))


def next_logits(model: Decoder | EncoderDecoder, hidden: Array) -> Array:
    """Return the logits (B, V) after the last position of `hidden` (B, T, d_model).

    Raises
    ------
    NotFinite
        If the model's weights make something that is not finite.
    """
    logits, _ = model.lm_head.forward(model.params, hidden[:, -1], False)
    if not np.isfinite(logits.max()):
        raise NotFinite(
            "the model's logits are not finite: its weights are damaged, or its training diverged"
        )
    return logits
