"""Documents as one stream of tokens, cut into rows, for models that read from left to right.

    stream   [SEP] document [SEP] document [SEP] ...
    row k    tokens kT .. kT + T of it: the last of a row is the first of the next

So each token but the very first is once what comes next in a row. A text of any kind is a document: nothing
is cut into sentences, and with a tokenizer that loses nothing the rows are the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .corpus import Document
from .packing import MOST_SEEN
from .sentences import lines
from .tokenizers import Tokenizer


def token_rows(documents: Iterable[Document], tokenizer: Tokenizer, seq_len: int) -> Iterator[list[int]]:
    """Yield rows of `seq_len` + 1 tokens, the last one of what is left.

    Of the documents, only the one at hand is looked at.

    Parameters
    ----------
    documents : iterable of Document
    tokenizer : WordPieceTokenizer or CharacterTokenizer
        Special tokens written in a document are text like any other.
    seq_len : int
        T.

    Raises
    ------
    ValueError
        If `seq_len` is below 1.

    Examples
    --------
    >>> from npformer.text import CharacterTokenizer
    >>> documents = [Document("a", "abba"), Document("b", "bab")]
    >>> tokenizer = CharacterTokenizer.train(["ab"])  # [SEP] is 3, a 5, b 6
    >>> list(token_rows(documents, tokenizer, 4))
    [[3, 5, 6, 6, 5], [5, 3, 6, 5, 6], [6, 3]]
    """
    if seq_len < 1:
        raise ValueError(f"token_rows: seq_len: expected at least 1, got {seq_len}")
    seen: dict[str, list[int]] = {}
    row = [tokenizer.sep_id]
    for document in documents:
        for ids in _ids(document.text, tokenizer, seen):
            row += ids
            start = 0
            while len(row) - start > seq_len:
                yield row[start : start + seq_len + 1]
                start += seq_len
            del row[:start]
        if len(seen) > MOST_SEEN:
            seen.clear()
    if len(row) > 1:
        yield row


def _ids(text: str, tokenizer: Tokenizer, seen: dict[str, list[int]]) -> Iterator[list[int]]:
    """The ids of each line, then the document's end."""
    for line in lines(text):
        yield tokenizer.encode_plain(line, specials=False, seen=seen)
    yield [tokenizer.sep_id]
