"""Rows of whole sentences of one document, for objectives that ask how sentences follow one another.

    [CLS] sentence [SEP] sentence [SEP] ... sentence [PAD] ...        the document begins here
    [SEP] sentence [SEP] sentence [SEP] ... sentence [PAD] ...        it goes on

A row has two sentences at least, and as many as fit. A sentence longer than half a row is cut, into its lines
and these at the ends of words; so is one that would be alone in its row, a text's last. A single token that
would be alone is in none. Which document a row is of follows from the first columns, counted
(`document_starts`). What a document is: parts.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from .corpus import Document
from .packing import MOST_SEEN, Packed
from .sentences import lines, sentences
from .tokenizers import Tokenizer

READ = 1 << 16  # rows whose first columns are looked at at once


def sentence_rows(documents: Iterable[Document], tokenizer: Tokenizer, width: int) -> Iterator[list[int]]:
    """Yield rows of at most `width` ids, without the padding.

    Neighbours in a row are neighbours in their document: what was between two documents of one name was held
    out, so a row ends there, and the document goes on in the next.

    Parameters
    ----------
    documents : iterable of Document
        Only the one at hand is looked at.
    tokenizer : WordPieceTokenizer or CharacterTokenizer
        Special tokens written in a document are text like any other.
    width : int

    Yields
    ------
    list of int
        Of every document all tokens, but for its last sentence if that is a single token and would be alone.

    Raises
    ------
    ValueError
        If `width` is below 4: a mark and two sentences with a mark between them.

    Examples
    --------
    >>> from npformer.text import WordPieceTokenizer
    >>> tokenizer = WordPieceTokenizer(
    ...     ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "A", "b"], lowercase=False
    ... )
    >>> documents = [Document("one", "A. A b. A b b. A A."), Document("two", "A b b b")]
    >>> list(sentence_rows(documents, tokenizer, 10))
    [[2, 6, 5, 3, 6, 7, 5], [3, 6, 7, 7, 5, 3, 6, 6, 5], [2, 6, 7, 3, 7, 7]]
    """
    if isinstance(width, bool) or not isinstance(width, (int, np.integer)) or width < 4:
        raise ValueError(f"sentence_rows: width: expected an integer of at least 4, got {width!r}")
    seen: dict[str, list[int]] = {}
    continues = tokenizer.continues
    longest = (width - 2) // 2  # two of them, with the marks before and between, fit
    before = None
    for name, text in documents:
        mark = tokenizer.sep_id if name == before else tokenizer.cls_id
        for group in _grouped(_short(text, tokenizer, longest, continues, seen), width - 1, continues):
            row = [mark]
            for ids in group:
                row += [*ids, tokenizer.sep_id]
            yield row[:-1]
            mark, before = tokenizer.sep_id, name
        if len(seen) > MOST_SEEN:
            seen.clear()


def _short(
    text: str, tokenizer: Tokenizer, longest: int, continues: Sequence[bool], seen: dict[str, list[int]]
) -> Iterator[list[int]]:
    """The ids of each sentence, at most `longest`; of one with more, those of its lines, cut if need be."""
    for sentence in sentences(text):
        ids = tokenizer.encode_plain(sentence, specials=False, seen=seen)
        if not ids:
            continue
        if len(ids) <= longest:
            yield ids
            continue
        for line in lines(sentence):
            ids = tokenizer.encode_plain(line, specials=False, seen=seen)
            while len(ids) > longest:
                stop = _end_of_word(ids, longest, continues)
                yield ids[:stop]
                ids = ids[stop:]
            if ids:
                yield ids


def _grouped(
    pieces: Iterable[list[int]], room: int, continues: Sequence[bool]
) -> Iterator[list[list[int]]]:
    """Groups of pieces that fill `room`, with a mark between any two; none of a single piece."""
    group: list[list[int]] = []
    used = -1
    for ids in pieces:
        if used + 1 + len(ids) > room:
            yield group  # two at least: each takes up to half
            group, used = [], -1
        group.append(ids)
        used += 1 + len(ids)
    if len(group) == 1 and len(group[0]) > 1:
        ids = group[0]
        stop = _end_of_word(ids, -(-len(ids) // 2), continues)
        group = [ids[:stop], ids[stop:]]
    if len(group) > 1:
        yield group


def _end_of_word(ids: Sequence[int], stop: int, continues: Sequence[bool]) -> int:
    """The last end of a word up to `stop`, which is below len(ids); `stop` itself if there is none."""
    return next((n for n in range(stop, 0, -1) if not continues[ids[n]]), stop)


def document_starts(packed: Packed, cls_id: int) -> npt.NDArray[np.int64]:
    """Return the first row of each document, and behind them the number of rows; shape (documents + 1,).

    Raises
    ------
    ValueError
        If the first row begins no document: these are not rows of `sentence_rows`.

    Examples
    --------
    >>> ids = np.array([[2, 7, 3, 8], [3, 9, 3, 5], [2, 6, 3, 6]])
    >>> document_starts(Packed(ids, ids > 0), cls_id=2)
    array([0, 2, 3])
    """
    n = len(packed.ids)
    firsts = (packed.ids[a : a + READ, 0] for a in range(0, n, READ))
    found = [np.flatnonzero(first == cls_id) + READ * i for i, first in enumerate(firsts)]
    starts = np.concatenate([*found, [n]]).astype(np.int64)
    if n and starts[0] != 0:
        raise ValueError("document_starts: packed: expected rows of whole documents, the first begins none")
    return starts
