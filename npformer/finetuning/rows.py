"""Labelled examples as rows of tokens.

    a text          [CLS] text [SEP]
    a pair          [CLS] first [SEP] second [SEP]              segments 0 and 1, where the model has segments
    words           [CLS] pieces of word 1, of word 2 ... [SEP]     the first piece of a word speaks for it

(For texts that are written, see kinds/seq2seq.py and kinds/clm.py.)

What is too long is cut at its end, of a pair from the longer of the two. A word whose first piece is cut off
is not judged in training; prediction says nothing of it, and a score counts it as wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..models._padding import padded
from ..text import Tokenizer
from ..text.labelled import Example

Array = npt.NDArray[Any]


class Rows(NamedTuple):
    """The tokens of examples, a row each, of their own lengths."""

    ids: list[Array]
    segment_ids: list[Array] | None  # None: the model has no segments
    firsts: list[Array] | None  # of words: where in the row the first piece of each is
    cut: int  # how many rows have lost tokens
    per_example: int = 1  # rows
    targets: list[Array] | None = None  # of texts that are to be written: the tokens of each
    targets_cut: int = 0
    given: int = 0  # how many tokens at the beginning of each target are not predicted: its [CLS]

    @property
    def lengths(self) -> Array:
        """(n,) tokens of each example's row, or of the longest of its rows."""
        lengths = np.array([len(row) for row in self.ids], np.intp)
        longest: Array = lengths.reshape(-1, self.per_example).max(axis=1)
        return longest

    @property
    def n_tokens(self) -> int:
        """How many tokens there are in all, those of targets too."""
        return sum(map(len, self.ids)) + sum(map(len, self.targets or ()))

    @property
    def predicted(self) -> Array:
        """(n,) the tokens of all targets that are predicted, one target after the other."""
        assert self.targets is not None
        return np.concatenate([target[self.given :] for target in self.targets])

    def told(self, examples: Sequence[Example]) -> str | None:
        """Return a line on what was cut, None if nothing was."""
        n, found = len(self.ids), []
        if self.cut:
            unread = ""
            if self.firsts is not None:
                words = sum(len(example.words or ()) for example in examples)
                unread = f", {words - sum(map(len, self.firsts)):,} of {words:,} words are not read"
            what = "rows" if self.targets is None else "sources"
            found.append(f"{self.cut:,} of {n:,} {what} are cut to {max(map(len, self.ids))} tokens{unread}")
        if self.targets is not None and self.targets_cut:
            longest = max(map(len, self.targets))
            found.append(f"{self.targets_cut:,} of {n:,} targets are cut to {longest} tokens")
        return "; ".join(found) or None


class Grid(NamedTuple):
    """Some rows side by side, padded to the longest of them."""

    ids: Array  # (B, T)
    mask: Array  # (B, T) bool, True = a real token
    segment_ids: Array | None  # (B, T)


def rows_of_texts(
    texts: Sequence[tuple[str, ...]], tokenizer: Tokenizer, longest: int, segments: bool
) -> Rows:
    """Return the rows of texts or of pairs of texts.

    Parameters
    ----------
    texts : sequence of tuples of one or two str
    tokenizer : WordPieceTokenizer or CharacterTokenizer
    longest : int
        Most tokens of a row.
    segments : bool
        Whether the model has segments.

    Examples
    --------
    >>> from npformer.text import CharacterTokenizer
    >>> tokenizer = CharacterTokenizer.train(["abc"])  # [CLS] is 2, [SEP] 3, a 5
    >>> rows = rows_of_texts([("ab",), ("a", "cba")], tokenizer, longest=6, segments=True)
    >>> [row.tolist() for row in rows.ids], [row.tolist() for row in rows.segment_ids], rows.cut
    ([[2, 5, 6, 3], [2, 5, 3, 7, 6, 3]], [[0, 0, 0, 0], [0, 0, 0, 1, 1, 1]], 1)
    """
    ids, segment_ids, cut = [], [], 0
    for sides in texts:
        plain = [tokenizer.encode_plain(side, specials=False) for side in sides]
        room = longest - 1 - len(plain)
        kept = _shortened([len(side) for side in plain], room)
        cut += sum(kept) < sum(len(side) for side in plain)
        row, of_row = [tokenizer.cls_id], [0]
        for number, (side, n) in enumerate(zip(plain, kept, strict=True)):
            row += [*side[:n], tokenizer.sep_id]
            of_row += [number] * (n + 1)
        ids.append(np.array(row, np.intp))
        segment_ids.append(np.array(of_row, np.intp))
    return Rows(ids, segment_ids if segments else None, None, cut)


def _shortened(lengths: list[int], room: int) -> list[int]:
    """Return how many tokens of each side stay: the longer side gives first."""
    kept = list(lengths)
    while sum(kept) > room:
        longest = max(range(len(kept)), key=lambda i: (kept[i], i))
        others = max((n for i, n in enumerate(kept) if i != longest), default=0)
        kept[longest] -= max(1, min(sum(kept) - room, kept[longest] - others))
    return kept


def rows_of_words(
    sentences: Sequence[Sequence[str]], tokenizer: Tokenizer, longest: int, segments: bool
) -> Rows:
    """Return the rows of sentences that are cut into words, and where the first piece of each word is.

    A word that the tokenizer makes nothing of (a control character, say) is an unknown piece.

    Examples
    --------
    >>> from npformer.text import WordPieceTokenizer
    >>> pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "chess"]
    >>> rows = rows_of_words([["Playing", "chess"]], WordPieceTokenizer(pieces), 8, False)
    >>> rows.ids[0], rows.firsts[0]
    (array([2, 5, 6, 7, 3]), array([1, 3]))
    """
    ids, firsts, cut = [], [], 0
    for words in sentences:
        row, of_row = [tokenizer.cls_id], []
        for word in words:
            of_row.append(len(row))
            row += tokenizer.encode_plain(word, specials=False) or [tokenizer.unk_id]
        cut += len(row) >= longest
        row = row[: longest - 1]
        ids.append(np.array([*row, tokenizer.sep_id], np.intp))
        firsts.append(np.array([i for i in of_row if i < len(row)], np.intp))
    segment_ids = [np.zeros_like(row) for row in ids] if segments else None
    return Rows(ids, segment_ids, firsts, cut)


def grid(rows: Rows, places: Sequence[int] | Array, pad_id: int) -> Grid:
    """Return the rows at `places` padded to the longest of them."""
    ids, mask = padded([rows.ids[i] for i in places], pad_id)
    segment_ids = None
    if rows.segment_ids is not None:
        segment_ids, _ = padded([rows.segment_ids[i] for i in places], 0)
    return Grid(ids, mask, segment_ids)
