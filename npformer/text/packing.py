"""Sequences of one length out of documents: whole sentences where they fit, little padding, no token lost.

    [CLS] sentence sentence [SEP] sentence ... [SEP] [PAD] ...

A sequence is filled with the sentences that follow one another. The first that does not fit begins the
next sequence if that leaves few places empty (an eighth of the sequence at most); otherwise it is cut, at the
end of a word, and its rest begins the next sequence: a sentence's cut end costs a model less than places that
teach nothing. A document's end is a [SEP], and the next document follows in the same sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .corpus import Document
from .sentences import lines, sentences
from .tokenizers import Tokenizer

Array = npt.NDArray[Any]

SLACK = 8  # at most 1 / SLACK of a sequence is left empty for the sake of a whole sentence
MOST_SEEN = 200_000  # words whose pieces are remembered; a large corpus has no end of them


class Packed(NamedTuple):
    """Sequences of token ids, and which of them are tokens: in memory, or in a file (packed_file.py)."""

    ids: Any  # (N, T) integers, padded with the tokenizer's pad_id; int32 in memory
    mask: Any  # (N, T) bool, True = a real token; of a file a `PaddingMask`

    def rows(self, chosen: Any) -> Packed:
        """Return the sequences `chosen` (indices or a slice) in memory: of a file, they alone are read."""
        return Packed(self.ids[chosen].astype(np.int32, copy=False), self.mask[chosen])

    def evenly_spaced(self, tokens: int) -> Packed:
        """Return sequences of at most `tokens` places in all, evenly spaced; all of them if they are no more.

        Examples
        --------
        >>> packed = Packed(np.arange(20).reshape(5, 4), np.ones((5, 4), dtype=bool))
        >>> packed.evenly_spaced(13).ids[:, 0]
        array([ 0,  8, 16], dtype=int32)
        """
        n, most = len(self.ids), max(1, tokens // self.ids.shape[1])
        return self.rows(slice(None) if n <= most else np.linspace(0, n - 1, most).astype(np.intp))


def pack(documents: Iterable[Document], tokenizer: Tokenizer, seq_len: int) -> Packed:
    """Encode `documents` and fill sequences of `seq_len` tokens with their sentences, in order.

    Parameters
    ----------
    documents : iterable of Document
    tokenizer : WordPieceTokenizer or CharacterTokenizer
        Special tokens written in a document are text like any other.
    seq_len : int
        T, with room for [CLS], [SEP] and a token.

    Returns
    -------
    Packed
        Without [CLS], [SEP] and padding, its rows one after another are the documents' ids, in order.

    Raises
    ------
    ValueError
        If `seq_len` is below 3.

    Examples
    --------
    >>> from npformer.text import WordPieceTokenizer
    >>> vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "A", "b"]
    >>> documents = [Document("a", "A b b. A b."), Document("b", "A b b b.")]
    >>> pack(documents, WordPieceTokenizer(vocab, lowercase=False), 10).ids
    array([[2, 6, 7, 7, 5, 6, 7, 5, 3, 0],
           [2, 6, 7, 7, 7, 5, 3, 0, 0, 0]], dtype=int32)
    """
    return packed_rows(filled_rows(documents, tokenizer, seq_len), seq_len, tokenizer.pad_id)


def packed_rows(rows: Iterable[Sequence[int]], length: int, pad_id: int) -> Packed:
    """Return rows of ids, none of them more than `length`, padded; the mask is ids != pad_id.

    Examples
    --------
    >>> packed_rows([[2, 7, 3], [2, 8, 9, 3]], 4, pad_id=0).mask
    array([[ True,  True,  True, False],
           [ True,  True,  True,  True]])
    """
    filled = [np.array(row, dtype=np.int32) for row in rows]
    packed = np.full((len(filled), length), pad_id, dtype=np.int32)
    for i, row in enumerate(filled):
        packed[i, : row.size] = row
    return Packed(packed, packed != pad_id)


def filled_rows(documents: Iterable[Document], tokenizer: Tokenizer, seq_len: int) -> Iterator[list[int]]:
    """Yield what `pack` fills its sequences with, one after another, without the padding.

    Of the documents, only the one at hand is looked at.
    """
    if isinstance(seq_len, bool) or not isinstance(seq_len, (int, np.integer)) or seq_len < 3:
        raise ValueError(f"pack: seq_len: expected an integer of at least 3, got {seq_len!r}")
    seen: dict[str, list[int]] = {}
    continues = tokenizer.continues
    slack = seq_len // SLACK
    row = [tokenizer.cls_id]

    def finished() -> list[int]:
        return row if row[-1] == tokenizer.sep_id else [*row, tokenizer.sep_id]

    for document in documents:
        for ids in _sentence_ids(document.text, tokenizer, seq_len - 2, seen):
            start = 0
            while start < len(ids):
                space = seq_len - 1 - len(row)  # the last place is [SEP]'s
                if len(ids) - start <= space:
                    row += ids[start:]
                    break
                if space > slack:
                    stop = start + space - _torn(ids, start + space, min(slack, space - 1), continues)
                    row += ids[start:stop]
                    start = stop
                yield finished()
                row = [tokenizer.cls_id]
        if len(seen) > MOST_SEEN:
            seen.clear()
        if len(row) > 1 and row[-1] != tokenizer.sep_id:
            row.append(tokenizer.sep_id)
    if len(row) > 1:
        yield finished()


def _sentence_ids(
    text: str, tokenizer: Tokenizer, longest: int, seen: dict[str, list[int]]
) -> Iterator[list[int]]:
    """The ids of each sentence; of each line, where a sentence has more than `longest`."""
    for sentence in sentences(text):
        ids = tokenizer.encode_plain(sentence, specials=False, seen=seen)
        if len(ids) <= longest:
            yield ids
        else:
            for line in lines(sentence):
                yield tokenizer.encode_plain(line, specials=False, seen=seen)


def _torn(ids: Sequence[int], stop: int, most: int, continues: Sequence[bool]) -> int:
    """How many pieces before a cut at `stop` belong to the word it tears; 0 if more than `most` do."""
    for n in range(most + 1):
        if not continues[ids[stop - n]]:
            return n
    return 0
