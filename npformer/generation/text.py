"""The text of a sequence that grows: what is certain of it, and where it stops."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

UNFINISHED = "�"  # what decoding puts for a character whose last bytes have not come


class Tokenizer(Protocol):
    """What is needed of a tokenizer."""

    def decode(self, ids: Iterable[int], /) -> str:
        """Return the text of `ids`."""


def continuation(tokenizer: Tokenizer, prompt: Sequence[int], ids: Sequence[int]) -> str:
    """Return the text that `ids` add to that of `prompt`, blanks between the two included.

    Examples
    --------
    >>> class Words:
    ...     def decode(self, ids):
    ...         return " ".join(["zero", "one", "two"][i] for i in ids)
    >>> continuation(Words(), [0], [1, 2])
    ' one two'
    """
    if not ids:  # and a prompt that ends within a character is not this one's text
        return ""
    before = tokenizer.decode(prompt).rstrip(UNFINISHED)
    whole = tokenizer.decode([*prompt, *ids])
    return whole[len(os.path.commonprefix([before, whole])) :]


def cut_at(text: str, stop_strings: Sequence[str]) -> tuple[str, bool]:
    """Return `text` up to the first stop string in it, and whether there is one.

    Examples
    --------
    >>> cut_at("one. two. three", ["three", ". "])
    ('one', True)
    """
    starts = [start for stop in stop_strings if (start := text.find(stop)) >= 0]
    return (text[: min(starts)], True) if starts else (text, False)


class GrowingText:
    """The text of one sequence while tokens come.

    Text is certain, and handed out, when more text has come after it (a tokenizer may join a token to the one
    before), no character in it waits for bytes, and it cannot be the beginning of a stop string.

    Parameters
    ----------
    tokenizer : Tokenizer
    prompt : sequence of int
    stop_strings : sequence of str

    Examples
    --------
    >>> class Bytes:
    ...     def decode(self, ids):
    ...         return bytes(ids).decode("utf-8", "replace")
    >>> text = GrowingText(Bytes(), [], ["END"])
    >>> [text.add(byte) for byte in "né EN".encode()]
    ['', 'n', '', 'é', ' ', '']
    >>> text.finish()
    'EN'
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], stop_strings: Sequence[str] = ()) -> None:
        self.tokenizer, self.prompt, self.stop_strings = tokenizer, list(prompt), tuple(stop_strings)
        self.ids: list[int] = []
        self.text = ""  # all of it, as far as it goes
        self.stopped = False  # by a stop string
        self._given = 0

    def add(self, token: int) -> str:
        """Take a token in, and return what is certain now; `stopped` says whether a stop string is there."""
        before = self.text
        self.ids.append(token)
        self.text, self.stopped = cut_at(
            continuation(self.tokenizer, self.prompt, self.ids), self.stop_strings
        )
        if self.text == before:  # a special token: still nothing has come after the last one
            return ""
        certain = os.path.commonprefix([before, self.text]).rstrip(UNFINISHED)
        return self._hand_out(len(certain) - _begun(certain, self.stop_strings))

    def finish(self) -> str:
        """Return the rest."""
        return self._hand_out(len(self.text))

    def _hand_out(self, end: int) -> str:
        new = self.text[self._given : end]
        self._given = max(self._given, end)
        return new


def _begun(text: str, stop_strings: Sequence[str]) -> int:
    """How many characters at the end of `text` may be the beginning of a stop string."""
    longest: Any = max(map(len, stop_strings), default=1) - 1
    for n in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-n:]) for stop in stop_strings):
            return n
    return 0
