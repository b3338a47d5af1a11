"""Pairs of a source and a target: from tab-separated lines or two parallel files to rows of tokens.

    row   [CLS] source [SEP] [PAD] ... up to S places, then [CLS] target [SEP] [PAD] ... up to S + 1

Lines are read strictly: one without a source or a target is an error that names file and line, since a pair
that slipped by a line would teach what is wrong from there on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .corpus import read_corpus
from .errors import CorpusError
from .tokenizers import Tokenizer


class Pair(NamedTuple):
    """A text and what it is to be turned into."""

    source: str
    target: str


def read_pairs(
    files: str | Path | Sequence[str | Path], columns: tuple[int, int] | None = None
) -> list[Pair]:
    """Read pairs from one file, a source, a tab and a target a line; or from two, line by line.

    Parameters
    ----------
    files : path or sequence of one or two paths
        "-" is standard input.
    columns : (int, int), optional
        Which columns of the one file are source and target, counted from 1, where it has more than two.

    Returns
    -------
    list of Pair
        White space around them is gone.

    Raises
    ------
    CorpusError
        If a file cannot be read as text; a line is empty, has no tab, another number of columns than two, or
        no source or target; or two files have different numbers of lines. Names file and line.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
    ...     print("one\\tuno\\ntwo", file=file, flush=True)
    ...     read_pairs(file.name)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    npformer.text.errors.CorpusError: ....tsv: line 2: expected a source, a tab and a target, got no tab
    """
    if columns is not None and min(columns) < 1:
        raise ValueError(f"read_pairs: columns: expected numbers from 1, got {columns}")
    paths = [str(files)] if isinstance(files, (str, Path)) else [str(file) for file in files]
    if not 1 <= len(paths) <= 2:
        raise CorpusError(
            f"pairs: expected one file of tab-separated lines or two parallel files, got {len(paths)}"
        )
    if len(paths) == 2:
        if columns is not None:
            raise CorpusError("columns: expected one file of tab-separated lines with it, got two files")
        return _parallel(*paths)
    name, lines = _lines(paths[0])
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise CorpusError(
                f"{name}: line {number}: expected a source, a tab and a target, got an empty line"
            )
        fields = line.split("\t")
        if len(fields) == 1:
            raise CorpusError(f"{name}: line {number}: expected a source, a tab and a target, got no tab")
        if columns is None:
            if len(fields) != 2:
                raise CorpusError(
                    f"{name}: line {number}: expected a source, a tab and a target, got {len(fields)} "
                    "columns (--columns 1,2 says which)"
                )
            source, target = fields
        else:
            if max(columns) > len(fields):
                raise CorpusError(
                    f"{name}: line {number}: expected a column {max(columns)}, got {len(fields)}"
                )
            source, target = (fields[column - 1] for column in columns)
        pairs.append(_pair(source, target, name, name, number))
    return pairs


def _parallel(*paths: str) -> list[Pair]:
    (name, sources), (other, targets) = (_lines(path) for path in paths)
    if len(sources) != len(targets):
        raise CorpusError(
            f"{other}: expected {len(sources):,} lines as {name} has, got {len(targets):,}: no parallel files"
        )
    return [
        _pair(source, target, name, other, number)
        for number, (source, target) in enumerate(zip(sources, targets, strict=True), 1)
    ]


def _lines(path: str) -> tuple[str, list[str]]:
    documents = read_corpus(path)
    if len(documents) != 1:
        raise CorpusError(f"{path}: expected one file of lines, got {len(documents)}")
    name, text = documents[0]
    return name, text.removesuffix("\n").split("\n")


def _pair(source: str, target: str, name: str, other: str, number: int) -> Pair:
    pair = Pair(source.strip(), target.strip())
    if not pair.source and not pair.target:
        raise CorpusError(f"{name}: line {number}: expected a source and a target, got neither")
    if not pair.source:
        raise CorpusError(f"{name}: line {number}: a target without a source")
    if not pair.target:
        raise CorpusError(f"{other}: line {number}: a source without a target")
    return pair


def split_pairs(
    pairs: Sequence[Pair], held_out: float = 0.1, seed: int = 0, *, tail: bool = False
) -> tuple[list[Pair], list[Pair]]:
    """Split `pairs` into a training and a held-out part.

    Parameters
    ----------
    pairs : sequence of Pair
    held_out : float
        The share to hold out.
    seed : int
        The same seed, pairs and share give the same split.
    tail : bool
        Hold out the last pairs, and clean nothing. Otherwise they are drawn, and those whose source or target
        stands in the training part are left out.

    Raises
    ------
    CorpusError
        If a part would be empty.
    ValueError
        If `held_out` is not between 0 and 1.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"split_pairs: held_out: expected a share between 0 and 1, got {held_out}")
    n = len(pairs)
    n_held = max(1, round(held_out * n))
    order = np.arange(n)[::-1] if tail else np.random.default_rng(seed).permutation(n)
    drawn = set(order[:n_held].tolist())
    train = [pair for i, pair in enumerate(pairs) if i not in drawn]
    held = [pair for i, pair in enumerate(pairs) if i in drawn]
    if not tail:
        sources, targets = ({pair[side] for pair in train} for side in (0, 1))
        held = [pair for pair in held if pair.source not in sources and pair.target not in targets]
    if not train or not held:
        raise CorpusError(
            "too few pairs to hold a part of them out: expected at least two that share no side"
        )
    return train, held


def pair_rows(pairs: Sequence[Pair], tokenizer: Tokenizer, seq_len: int) -> Iterator[list[int]]:
    """Yield the rows, 2 S + 1 tokens each; pairs of which a side has more than its places are left out.

    Parameters
    ----------
    pairs : sequence of Pair
    tokenizer : WordPieceTokenizer or CharacterTokenizer
    seq_len : int
        S, the places of a source; a target has one more, since the model reads all but its last token.

    Examples
    --------
    >>> from npformer.text import CharacterTokenizer
    >>> tokenizer = CharacterTokenizer.train(["ab"])  # [CLS] is 2, [SEP] 3, a 5, b 6
    >>> list(pair_rows([Pair("ab", "ba"), Pair("aaa", "a")], tokenizer, 4))
    [[2, 5, 6, 3, 2, 6, 5, 3, 0]]
    """
    pad = tokenizer.pad_id
    for pair in pairs:
        source, target = (tokenizer.encode(side, specials=False).ids for side in pair)
        if len(source) <= seq_len and len(target) <= seq_len + 1:
            yield source + [pad] * (seq_len - len(source)) + target + [pad] * (seq_len + 1 - len(target))
