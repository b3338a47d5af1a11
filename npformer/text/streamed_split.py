"""The held-out part of a corpus that is too large to hold: the rules of split.py, in two passes.

    1. cut      each piece of text into blocks, as split.py does
    2. draw     blocks spread evenly over the text, each a little at random, until they hold their share
    3. clean    drop from the held-out side every line that, stripped, stands on the training side as well

In memory are a piece of text, the held-out part and a sample of the rest, and nothing that grows with the
corpus. The first pass (`draw_held_out`) returns the last two; the second (`training_documents`) goes through
the training part, and notes on its way which of the held-out lines it meets.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np

from .corpus import Document
from .errors import CorpusError
from .parts import Blocks, part_blocks
from .split import LARGEST_BLOCK, blocks_of_text, not_blank, stripped_lines, without
from .text_files import PIECE, TextFiles


class Drawn(NamedTuple):
    """What the first pass found."""

    held_out: list[Document]  # before step 3
    sample: list[str]  # blocks of the training part, evenly spaced
    length: int  # characters of the whole corpus


def drawn_blocks(files: TextFiles, share: float, seed: int, parts: bool = False) -> Iterator[Blocks]:
    """Yield the name and the blocks of each piece of text, every block with whether it is held out.

    The same files, share and seed give the same blocks. With `parts`, those of one file are returned as the
    blocks of its parts between blank lines (`part_blocks`).
    """
    blocks = _drawn_blocks(files, share, seed)
    return part_blocks(blocks) if parts else blocks


def _drawn_blocks(files: TextFiles, share: float, seed: int) -> Iterator[Blocks]:
    rng = np.random.default_rng(seed)
    apart = LARGEST_BLOCK / share  # from one held-out block to the next, in characters
    due, at, held = rng.random() * apart, 0, 0
    for document in files:
        blocks = []
        for block in blocks_of_text(document.text, LARGEST_BLOCK, PIECE // 5):
            at += len(block)
            is_held = at > due
            if is_held:
                held += len(block)
                due = held / share + rng.random() * apart
            blocks.append((is_held, block))
        yield document.name, blocks


def draw_held_out(
    files: TextFiles, share: float, seed: int, sample: int, *, parts: bool = False
) -> Drawn:
    """Go through the corpus for the first time.

    Parameters
    ----------
    files : TextFiles
    share : float
        Of the characters, to hold out.
    seed : int
    sample : int
        Characters of the training part to return.
    parts : bool
        See `drawn_blocks`.

    Returns
    -------
    Drawn

    Raises
    ------
    CorpusError
        If a file cannot be read, or there is too little text to hold a part of it out.
    """
    rate = sample / max(files.size, 1)  # of characters for a byte: no less than what is wanted
    held_out: list[Document] = []
    taken: list[str] = []
    length = size = 0
    for name, blocks in drawn_blocks(files, share, seed, parts):
        for is_held, block in blocks:
            length += len(block)
            if is_held:
                held_out.append(Document(name, block))
            elif size <= rate * length and size < sample:
                taken.append(block)
                size += len(block)
    if not held_out or not taken:
        raise CorpusError("too little text to hold a part of it out")
    return Drawn(held_out, taken, length)


def training_documents(
    files: TextFiles, share: float, seed: int, length: int, unseen: set[str], *, parts: bool = False
) -> Iterator[Document]:
    """Go through the training part; take every line that is met out of `unseen`.

    Parameters
    ----------
    files, share, seed, parts
        As for `draw_held_out`.
    length : int
        What `draw_held_out` found.
    unseen : set of str
        Stripped lines of the held-out part. What is left of it at the end stands there alone.

    Yields
    ------
    Document
        Blocks that lie side by side in one piece of text are one document.

    Raises
    ------
    CorpusError
        If the corpus is no longer as long as in the first pass.
    """
    for name, blocks in drawn_blocks(files, share, seed, parts):
        length -= sum(len(block) for _, block in blocks)
        for is_held, run in groupby(blocks, key=lambda item: item[0]):
            if not is_held:
                text = "".join(block for _, block in run)
                unseen.difference_update(stripped_lines(text))
                yield Document(name, text)
    if length:
        raise CorpusError(f"{files.names[0]}, or another of the files: changed while it was read")


def lines_of(documents: list[Document]) -> set[str]:
    """Return the stripped lines of `documents`."""
    return {line for document in documents for line in stripped_lines(document.text)}


def cleaned(held_out: list[Document], unseen: set[str]) -> list[Document]:
    """Return the held-out documents without the lines that the training part has too.

    Raises
    ------
    CorpusError
        If nothing is left.
    """
    unwanted = lines_of(held_out) - unseen
    kept = not_blank([Document(name, without(text, unwanted)) for name, text in held_out])
    if not kept:
        raise CorpusError(
            f"the text repeats itself: of {len(unwanted):,} lines to hold out, each stands elsewhere as well"
        )
    return kept
