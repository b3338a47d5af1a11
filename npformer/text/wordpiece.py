"""The WordPiece tokenizer: words cut into the longest pieces a vocabulary has, greedily from the left.

    word    = piece ##piece ##piece ...       [UNK] where no piece fits, or beyond 100 characters
    single  = [CLS] a [SEP]                   segment ids 0
    pair    = [CLS] a [SEP] b [SEP]           segment ids 0 up to the first [SEP], then 1

A tokenizer is a vocabulary and a table of it, and never changes; any number of threads can use one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from .._files import write_atomically
from .errors import CorpusError
from .normalise import CJK_BLOCKS, split_words
from .sentinels import count_sentinels, pattern_of, sentinel_tokens
from .train_wordpiece import MAX_WORD, PREFIX, SPECIAL_TOKENS, train_vocabulary

# Blanks that the text behind the pieces did not have, most likely: before closing punctuation, after an
# opening bracket, in a decimal, around an apostrophe inside a word, and between Chinese characters.
_CJK = "[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in CJK_BLOCKS) + "、。，！？；：「」（）《》]"
_TIDY = (
    (re.compile(r" +([.,;:!?%)\]}…])"), r"\1"),
    (re.compile(r"([(\[{]) +"), r"\1"),
    (re.compile(r"(?<=\d\.) (?=\d)"), ""),
    (re.compile(r"(?<=\w) (['’]) (?=\w)"), r"\1"),
    (re.compile(f"(?<={_CJK}) (?={_CJK})"), ""),
)


class Encoding(NamedTuple):
    """Token ids of one text or pair, and to which of the two each belongs."""

    ids: list[int]
    segment_ids: list[int]


class WordPieceTokenizer:
    """BERT's tokenizer over a vocabulary.

    Parameters
    ----------
    vocab : sequence of str
        The pieces; a piece's id is its place. Must hold [PAD], [UNK], [CLS], [SEP] and [MASK]; may hold
        sentinels (sentinels.py).
    lowercase : bool
        Strip accents and lower the case, as the vocabulary's own text was (uncased).

    Raises
    ------
    ValueError
        If a piece is empty, holds a line break or occurs twice, or a special token is missing.

    Examples
    --------
    >>> tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##able", "is"])
    >>> tokenizer.tokenize("Unable is [MASK]")
    ['un', '##able', 'is', '[MASK]']
    >>> tokenizer.encode("is", "unable")
    Encoding(ids=[2, 7, 3, 5, 6, 3], segment_ids=[0, 0, 0, 1, 1, 1])
    >>> tokenizer.decode([2, 7, 5, 6, 3])
    'is unable'
    """

    kind = "wordpiece"

    def __init__(self, vocab: Sequence[str], lowercase: bool = True) -> None:
        self.vocab = list(vocab)
        self.lowercase = bool(lowercase)
        problem = _first_problem(self.vocab)
        if problem is not None:
            raise ValueError(f"WordPieceTokenizer: vocab: {problem[1]}")
        self._ids = {piece: i for i, piece in enumerate(self.vocab)}
        self._longest = max(map(len, self.vocab))
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (
            self._ids[token] for token in SPECIAL_TOKENS
        )
        self.special_ids = (self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id)
        sentinels = sentinel_tokens(count_sentinels(self._ids))
        self.sentinel_ids = tuple(self._ids[token] for token in sentinels)
        self._reserved = frozenset((*SPECIAL_TOKENS, *sentinels))
        self._special = pattern_of((*SPECIAL_TOKENS, *sentinels))

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        lowercase: bool = True,
        min_frequency: int = 2,
        *,
        limit_alphabet: int | None = None,
        shrink: bool = False,
    ) -> WordPieceTokenizer:
        """A tokenizer whose vocabulary is trained on `texts`; see `train_vocabulary`.

        With ``shrink=True`` the vocabulary is smaller than asked for where the text supports no more;
        otherwise that is a CorpusError which says how many pieces it supports.
        """
        vocab = train_vocabulary(
            texts,
            vocab_size,
            lowercase=lowercase,
            min_frequency=min_frequency,
            limit_alphabet=limit_alphabet,
            shrink=shrink,
        )
        return cls(vocab, lowercase)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], lowercase: bool = True) -> WordPieceTokenizer:
        """A tokenizer from a vocab.txt: one piece a line, its id the line's number from 0.

        Raises
        ------
        CorpusError
            If the file cannot be read, is not UTF-8, or is no vocabulary; names the file and the line.
        """
        try:
            text = Path(path).read_bytes().decode("utf-8")
        except OSError as error:
            raise CorpusError(f"{path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise CorpusError(f"{path}: not UTF-8 at byte {error.start}") from error
        lines = text.removeprefix("\ufeff").removesuffix("\n").split("\n")
        pieces = [line.removesuffix("\r") for line in lines]
        problem = _first_problem(pieces)
        if problem is not None:
            line, what = problem
            raise CorpusError(f"{path}: " + (f"line {line + 1}: " if line is not None else "") + what)
        return cls(pieces, lowercase)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary as a vocab.txt; a file already there is replaced whole or not at all."""
        data = "".join(piece + "\n" for piece in self.vocab).encode("utf-8")

        def write(file: BinaryIO) -> None:
            file.write(data)

        write_atomically(path, write)

    @property
    def vocab_size(self) -> int:
        """Number of pieces."""
        return len(self.vocab)

    @property
    def continues(self) -> list[bool]:
        """For each piece whether it continues a word ("##able")."""
        return [piece.startswith(PREFIX) for piece in self.vocab]

    def with_sentinels(self, n: int) -> WordPieceTokenizer:
        """Return a tokenizer with n sentinels after its pieces."""
        return WordPieceTokenizer([*self.vocab, *sentinel_tokens(n)], self.lowercase)

    def tokenize(self, text: str, *, specials: bool = True) -> list[str]:
        """The pieces of `text`, without [CLS] and [SEP]; `specials` as in `encode_plain`."""
        return [self.vocab[i] for i in self.encode_plain(text, specials=specials)]

    def encode_plain(
        self, text: str, *, specials: bool = True, seen: dict[str, list[int]] | None = None
    ) -> list[int]:
        """The ids of `text`, without [CLS] and [SEP].

        Parameters
        ----------
        text : str
        specials : bool
            Whether "[MASK]" and the other special tokens and sentinels written in the text mean the tokens. A
            corpus is read with False: there they are text about masks, not masks.
        seen : dict, optional
            Words already cut, to be read and added to; the caller's own, so that threads share nothing by
            accident. Worth its memory over the many texts of a corpus.
        """
        if seen is None:
            seen = {}
        ids: list[int] = []
        for part in self._special.split(text) if specials and "[" in text else (text,):
            if specials and part in self._reserved:
                ids.append(self._ids[part])
                continue
            for word in split_words(part, self.lowercase):
                pieces = seen.get(word)
                if pieces is None:
                    pieces = seen[word] = self._cut(word)
                ids += pieces
        return ids

    def _cut(self, word: str) -> list[int]:
        """The ids of one word: the longest piece that fits, from the left; [UNK] alone if one does not."""
        if len(word) > MAX_WORD:
            return [self.unk_id]
        ids: list[int] = []
        start = 0
        while start < len(word):
            prefix = PREFIX if start else ""
            for stop in range(min(len(word), start + self._longest), start, -1):
                found = self._ids.get(prefix + word[start:stop])
                if found is not None:
                    break
            else:
                return [self.unk_id]
            ids.append(found)
            start = stop
        return ids

    def encode(
        self, text: str, pair: str | None = None, *, max_length: int | None = None, specials: bool = True
    ) -> Encoding:
        """Encode a text, or a pair of texts, with [CLS] and [SEP] where BERT has them.

        Parameters
        ----------
        text, pair : str
        max_length : int, optional
            Most ids to return, [CLS] and [SEP] included. What is too much is cut from the end, of a pair from
            the longer of the two until they are equally long, then from both.
        specials : bool
            As in `encode_plain`.

        Returns
        -------
        Encoding

        Raises
        ------
        ValueError
            If `max_length` has no room for [CLS] and [SEP].
        """
        first = self.encode_plain(text, specials=specials)
        second = None if pair is None else self.encode_plain(pair, specials=specials)
        if max_length is not None:
            room = max_length - (2 if second is None else 3)
            if room < 0:
                raise ValueError(
                    "encode: max_length: "
                    f"expected at least {max_length - room}, for [CLS] and [SEP], got {max_length}"
                )
            n_first, n_second = _longest_first(len(first), len(second or ()), room)
            first = first[:n_first]
            second = None if second is None else second[:n_second]
        ids = [self.cls_id, *first, self.sep_id]
        segment_ids = [0] * len(ids)
        if second is not None:
            ids += [*second, self.sep_id]
            segment_ids += [1] * (len(second) + 1)
        return Encoding(ids, segment_ids)

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """Readable text: pieces joined, and blanks taken out where written text has none.

        Parameters
        ----------
        ids : iterable of int
        skip_special : bool
            Leave out [PAD], [CLS], [SEP], [MASK] and [UNK]; sentinels stay.

        Raises
        ------
        ValueError
            If an id is not in the vocabulary.
        """
        skipped = set(self.special_ids) if skip_special else set()
        text = ""
        for i in map(int, ids):
            if not 0 <= i < len(self.vocab):
                raise ValueError(f"decode: ids: expected ids in [0, {len(self.vocab)}), got {i}")
            if i in skipped:
                continue
            piece = self.vocab[i]
            text += piece[len(PREFIX) :] if piece.startswith(PREFIX) else " " + piece
        text = text.removeprefix(" ")
        for pattern, replacement in _TIDY:
            text = pattern.sub(replacement, text)
        return text

    def __repr__(self) -> str:
        return f"WordPieceTokenizer({self.vocab_size} pieces, {'un' if self.lowercase else ''}cased)"


def _longest_first(n_first: int, n_second: int, room: int) -> tuple[int, int]:
    """How many ids of each text stay; an odd one goes to the longer text, to the second of equals."""
    short, long = sorted((n_first, n_second))
    if short + long > room:
        short = min(short, room // 2)
        long = min(long, room - short)
    return (long, short) if n_first > n_second else (short, long)


def _first_problem(vocab: list[Any]) -> tuple[int | None, str] | None:
    """The first thing wrong with `vocab`: its index, if it has one, and what it is."""
    first: dict[str, int] = {}
    for i, piece in enumerate(vocab):
        if not isinstance(piece, str):
            return i, f"expected strings, got {piece!r}"
        if not piece or "\n" in piece or "\r" in piece:
            return i, "expected a piece, got " + ("nothing" if not piece else f"a line break in {piece!r}")
        if first.setdefault(piece, i) != i:
            return i, f"the piece {piece!r} for the second time, ids {first[piece]} and {i}"
    missing = [token for token in SPECIAL_TOKENS if token not in first]
    if missing:
        return None, f"no special token {', '.join(missing)} among its {len(vocab)} pieces"
    return None
