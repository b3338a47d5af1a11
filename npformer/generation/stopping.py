"""When a sequence ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .results import Finished


@dataclass(frozen=True)
class Stopping:
    """Tokens and strings that end a sequence, and how long it may get.

    Attributes
    ----------
    max_new_tokens : int
    tokens : frozenset of int
    strings : tuple of str
    tokenizer : object or None
        With ``decode(ids)``.
    """

    max_new_tokens: int
    tokens: frozenset[int]
    strings: tuple[str, ...]
    tokenizer: Any

    @classmethod
    def checked(
        cls,
        op: str,
        max_new_tokens: int,
        tokens: int | Sequence[int],
        strings: str | Sequence[str],
        tokenizer: Any,
        vocab_size: int,
    ) -> Stopping:
        """Return the rules for `op`.

        Raises
        ------
        ValueError
            If a token is out of range, a string is empty, or there are strings and no tokenizer.
        TypeError
            If a token is no integer.
        """
        given = np.atleast_1d(np.asarray(tokens))
        if given.size and given.dtype.kind not in "iu":  # an empty list has floats
            raise TypeError(f"{op}: stop_tokens: expected an integer or several, got {tokens!r}")
        ids = frozenset(given.reshape(-1).tolist())
        for token in sorted(ids):
            if not 0 <= token < vocab_size:
                raise ValueError(f"{op}: stop_tokens: expected ids in [0, {vocab_size}), got {token}")
        texts = (strings,) if isinstance(strings, str) else tuple(strings)
        if "" in texts:
            raise ValueError(f"{op}: stop_strings: expected strings that are not empty, got ''")
        if texts and tokenizer is None:
            raise ValueError(f"{op}: stop_strings: expected a tokenizer with them, got None")
        return cls(max_new_tokens, ids, texts, tokenizer)

    def reason(self, token: int, length: int, room: int, string: bool) -> Finished | None:
        """Return why a sequence of `length` new tokens ends with `token`; None if it goes on.

        `room` is what the model's positions leave, `string` whether its text has a stop string.
        """
        if token in self.tokens:
            return "stop_token"
        if string:
            return "stop_string"
        if length >= self.max_new_tokens:
            return "length"
        return "context" if length >= room else None
