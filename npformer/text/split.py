"""A held-out part that shares no line with the training part.

    1. cut      long documents into blocks of about a 200th of the text (20,000 characters at most), at
                the end of a paragraph, else of a line, and in a line that is more than a fifth of the text,
                of a sentence
    2. draw     blocks in random order until they hold the wanted share of the text
    3. join     blocks again that lie side by side in one document and are on one side
    4. clean    drop from the held-out side every line that, stripped, stands on the training side as well

The blocks are small beside the text, so a single file is split as well as a thousand; and large beside a
line, so that most of what a model reads in the held-out part has its context.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np

from .corpus import Document
from .errors import CorpusError
from .parts import Blocks, part_blocks, separate
from .sentences import lines, paragraphs, sentences

LARGEST_BLOCK = 20_000  # characters


def split_corpus(
    documents: Sequence[Document], held_out: float = 0.1, seed: int = 0, *, parts: bool = False
) -> tuple[list[Document], list[Document]]:
    """Split `documents` into a training and a held-out part.

    Parameters
    ----------
    documents : sequence of Document
    held_out : float
        The share of the characters to hold out, before step 4 drops lines.
    seed : int
        The same seed, documents and share give the same split.
    parts : bool
        Of one document: return its parts between blank lines, each with its number behind the name. The split
        is the same.

    Returns
    -------
    train, held_out : list of Document
        In the order of `documents`; what is of one document has one name. Neither is empty, and no line,
        white space around it aside, is in both.

    Raises
    ------
    CorpusError
        If there are not two different lines (or two sentences, in a text of one line).
    ValueError
        If `held_out` is not between 0 and 1.

    Examples
    --------
    >>> train, held_out = split_corpus([Document("poem", "one\\ntwo\\nthree\\nfour\\nfive\\n")], seed=1)
    >>> [document.text for document in held_out]
    ['five\\n']
    """
    if not 0 < held_out < 1:
        raise ValueError(f"split_corpus: held_out: expected a share between 0 and 1, got {held_out}")
    total = sum(len(document.text) for document in documents)
    blocks = [  # 1
        (i, block)
        for i, document in enumerate(documents)
        if document.text.strip()
        for block in blocks_of_text(document.text, min(LARGEST_BLOCK, total // 200), total // 5)
    ]
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(blocks))
    drawn: set[int] = set()  # 2
    size = 0
    for j in order[:-1].tolist():  # at least one block stays
        if size >= held_out * total:
            break
        drawn.add(j)
        size += len(blocks[j][1])
    train, held = _join(documents, blocks, drawn, parts)  # 3
    in_training = {line for document in train for line in stripped_lines(document.text)}
    held = [Document(name, without(text, in_training)) for name, text in held]  # 4
    train, held = not_blank(train), not_blank(held)
    if not held:  # little text, or much repetition: hold out one line, wherever it stands
        train, held = _hold_out_one_line(documents, rng)
        train = separate(train) if parts else train
    return train, held


def split_tail(documents: Sequence[Document], share: float) -> tuple[list[Document], list[Document]]:
    """Split `documents` where the last `share` of their characters begins, wherever that is.

    Nothing is cleaned: lines may stand in both parts, as in the benchmarks that split like this.

    Raises
    ------
    CorpusError
        If a part would hold nothing but white space.
    ValueError
        If `share` is not between 0 and 1.

    Examples
    --------
    >>> split_tail([Document("poem", "one two three four five!")], 0.25)
    ([Document(name='poem', text='one two three four')], [Document(name='poem', text=' five!')])
    """
    if not 0 < share < 1:
        raise ValueError(f"split_tail: share: expected a share between 0 and 1, got {share}")
    left = int((1 - share) * sum(len(document.text) for document in documents))
    parts: tuple[list[Document], list[Document]] = ([], [])
    for name, text in documents:
        at = min(left, len(text))
        left -= at
        for part, piece in zip(parts, (text[:at], text[at:]), strict=True):
            part.append(Document(name, piece))
    train, held = (not_blank(part) for part in parts)
    if not train or not held:
        raise CorpusError(f"too little text to hold the last {100 * share:g} % of it out")
    return train, held


def blocks_of_text(text: str, limit: int, longest_line: int) -> list[str]:
    """Slices of `text`, none blank, as long as `limit` allows; longer where nothing parts them."""
    units: list[str] = []
    for paragraph in paragraphs(text):
        if len(paragraph) <= limit:
            units.append(paragraph)
            continue
        for line in lines(paragraph):
            units += sentences(line) if len(line) > max(limit, longest_line) else [line]
    blocks: list[list[str]] = []
    size, blank = 0, False
    for unit in units:
        if blocks and (size + len(unit) <= limit or blank or not unit.strip()):
            blocks[-1].append(unit)
            size += len(unit)
            blank = blank and not unit.strip()
        else:
            blocks.append([unit])
            size, blank = len(unit), not unit.strip()
    return ["".join(block) for block in blocks]


def _join(
    documents: Sequence[Document], blocks: list[tuple[int, str]], drawn: set[int], parts: bool
) -> tuple[list[Document], list[Document]]:
    cut: Iterable[Blocks] = (
        (documents[i].name, [(j in drawn, block) for j, (_, block) in of_document])
        for i, of_document in groupby(enumerate(blocks), key=lambda item: item[1][0])
    )
    sides: tuple[list[Document], list[Document]] = ([], [])
    for name, of_name in part_blocks(cut) if parts else cut:
        for is_drawn, run in groupby(of_name, key=lambda item: item[0]):
            sides[is_drawn].append(Document(name, "".join(block for _, block in run)))
    return sides


def stripped_lines(text: str) -> Iterator[str]:
    """The lines that are not blank, without white space around them."""
    return (line.strip() for line in text.splitlines() if line.strip())


def without(text: str, unwanted: set[str]) -> str:
    """`text` without the lines that, stripped, are among the unwanted."""
    return "".join(line for line in lines(text) if line.strip() not in unwanted)


def not_blank(documents: list[Document]) -> list[Document]:
    """The documents that are not blank."""
    return [document for document in documents if document.text.strip()]


def _hold_out_one_line(
    documents: Sequence[Document], rng: np.random.Generator
) -> tuple[list[Document], list[Document]]:
    names = {line: name for name, text in documents for line in stripped_lines(text)}
    if len(names) < 2:
        raise CorpusError("too little text to hold a part of it out: expected at least two different lines")
    line = sorted(names)[int(rng.integers(len(names)))]
    train = [Document(name, without(text, {line})) for name, text in documents]
    return not_blank(train), [Document(names[line], line + "\n")]
