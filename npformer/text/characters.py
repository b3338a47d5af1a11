"""The character tokenizer: every character of the training text is a token, and nothing of the text is lost.

    vocabulary   [PAD] [UNK] [CLS] [SEP] [MASK], the characters of the text, sorted; and sentinels, if any
    vocab.txt    a token a line; what cannot be printed, and the backslash, escaped: the line break is \\n

A character that the text did not have is [UNK].
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from .._files import write_atomically
from .errors import CorpusError
from .sentinels import count_sentinels, pattern_of, sentinel_tokens
from .train_wordpiece import SPECIAL_TOKENS
from .wordpiece import Encoding

_ESCAPE = re.compile(r"\\(?:[ntr\\]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


class CharacterTokenizer:
    """A tokenizer whose pieces are characters.

    Parameters
    ----------
    vocab : sequence of str
        The special tokens, then single characters, then sentinels (sentinels.py), if any; an id is a place in
        it.

    Raises
    ------
    ValueError
        If the special tokens are not the first, or a piece is no single character or occurs twice.

    Examples
    --------
    >>> tokenizer = CharacterTokenizer.train(["to be\\n"])
    >>> tokenizer.vocab[5:], tokenizer.encode_plain("boat")
    (['\\n', ' ', 'b', 'e', 'o', 't'], [7, 9, 1, 10])
    >>> tokenizer.decode(tokenizer.encode("to be\\n").ids)
    'to be\\n'
    """

    kind = "char"
    lowercase = False

    def __init__(self, vocab: Sequence[str]) -> None:
        self.vocab = list(vocab)
        problem = _first_problem(self.vocab)
        if problem is not None:
            raise ValueError(f"CharacterTokenizer: vocab: piece {problem[0]}: {problem[1]}")
        self._ids = {piece: i for i, piece in enumerate(self.vocab)}
        self.special_ids = tuple(range(len(SPECIAL_TOKENS)))
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = self.special_ids
        sentinels = sentinel_tokens(count_sentinels(self._ids))
        self.sentinel_ids = tuple(self._ids[token] for token in sentinels)
        self._special = pattern_of((*SPECIAL_TOKENS, *sentinels))

    @classmethod
    def train(cls, texts: Iterable[str]) -> CharacterTokenizer:
        """Return the tokenizer of every character in `texts`.

        Raises
        ------
        CorpusError
            If there are fewer than two of them.
        """
        characters: set[str] = set()
        for text in texts:
            characters |= set(text)
        if len(characters) < 2:
            found = f"one, {next(iter(characters))!r}" if characters else "none"
            raise CorpusError(f"expected a text of at least two different characters, got {found}")
        return cls([*SPECIAL_TOKENS, *sorted(characters)])

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> CharacterTokenizer:
        """Return the tokenizer of a vocab.txt that `save` wrote.

        Raises
        ------
        CorpusError
            If the file cannot be read or is no such vocabulary; names the file and the line.
        """
        try:
            lines = Path(path).read_bytes().decode("utf-8").removesuffix("\n").split("\n")
        except OSError as error:
            raise CorpusError(f"{path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise CorpusError(f"{path}: not UTF-8 at byte {error.start}") from error
        vocab = [_unescaped(line) for line in lines]
        problem = _first_problem(vocab)
        if problem is not None:
            raise CorpusError(f"{path}: line {problem[0] + 1}: {problem[1]}")
        return cls(vocab)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary as a vocab.txt; a file already there is replaced whole or not at all."""
        data = "".join(_escaped(piece) + "\n" for piece in self.vocab).encode("utf-8")

        def write(file: BinaryIO) -> None:
            file.write(data)

        write_atomically(path, write)

    @property
    def vocab_size(self) -> int:
        """Number of pieces."""
        return len(self.vocab)

    @property
    def continues(self) -> list[bool]:
        """For each piece whether it continues a word: never, a character does not tell."""
        return [False] * len(self.vocab)

    def with_sentinels(self, n: int) -> CharacterTokenizer:
        """Return a tokenizer with n sentinels after its characters."""
        return CharacterTokenizer([*self.vocab, *sentinel_tokens(n)])

    def encode_plain(
        self, text: str, *, specials: bool = True, seen: dict[str, list[int]] | None = None
    ) -> list[int]:
        """Return the ids of `text`, without [CLS] and [SEP].

        Parameters
        ----------
        text : str
        specials : bool
            Whether "[MASK]" and the other special tokens and sentinels written in the text mean the tokens.
        seen
            Not used: looking a character up is quick.
        """
        if specials and "[" in text:
            parts = self._special.split(text)
            return [i for part in parts for i in (self._lookup([part] if part in self._ids else part))]
        return self._lookup(text)

    def _lookup(self, pieces: Iterable[str]) -> list[int]:
        get, unknown = self._ids.get, self.unk_id
        return [get(piece, unknown) for piece in pieces]

    def encode(self, text: str, *, specials: bool = True) -> Encoding:
        """Return the ids of `text` between [CLS] and [SEP]."""
        ids = [self.cls_id, *self.encode_plain(text, specials=specials), self.sep_id]
        return Encoding(ids, [0] * len(ids))

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """Return the text of `ids`, exactly.

        Parameters
        ----------
        ids : iterable of int
        skip_special : bool
            Leave out [PAD], [UNK], [CLS], [SEP] and [MASK]; sentinels stay.

        Raises
        ------
        ValueError
            If an id is not in the vocabulary.
        """
        first = len(SPECIAL_TOKENS) if skip_special else 0
        ids = [int(i) for i in ids]
        for i in ids:
            if not 0 <= i < len(self.vocab):
                raise ValueError(f"decode: ids: expected ids in [0, {len(self.vocab)}), got {i}")
        return "".join(self.vocab[i] for i in ids if i >= first)

    def __repr__(self) -> str:
        n = self.vocab_size - len(SPECIAL_TOKENS) - len(self.sentinel_ids)
        return f"CharacterTokenizer({n} characters)"


def _escaped(piece: str) -> str:
    if len(piece) > 1 or (piece.isprintable() and piece != "\\"):
        return piece
    return piece.encode("unicode_escape").decode("ascii")


def _unescaped(line: str) -> str:
    if not _ESCAPE.fullmatch(line):  # what is no single character is found to be wrong right afterwards
        return line
    return line.encode("ascii").decode("unicode_escape")


def _first_problem(vocab: list[str]) -> tuple[int, str] | None:
    """The first thing wrong with `vocab`: its index, and what it is."""
    for i, token in enumerate(SPECIAL_TOKENS):
        if i >= len(vocab) or vocab[i] != token:
            return i, f"expected {token}, got {vocab[i] if i < len(vocab) else 'the end'!r}"
    first: dict[str, int] = {}
    n_sentinels = count_sentinels(set(vocab))
    pieces = vocab[: len(vocab) - n_sentinels]
    if vocab[len(pieces) :] != sentinel_tokens(n_sentinels):
        where = min(vocab.index(token) for token in sentinel_tokens(n_sentinels))
        return where, f"expected the sentinels at the end, in their order, got {vocab[where]!r}"
    for i, piece in enumerate(pieces[len(SPECIAL_TOKENS) :], len(SPECIAL_TOKENS)):
        if not isinstance(piece, str) or len(piece) != 1:
            return i, f"expected a single character, got {piece!r}"
        if first.setdefault(piece, i) != i:
            return i, f"the character {piece!r} for the second time, ids {first[piece]} and {i}"
    return None
