"""Which format a file has: told by what is in it; its name decides only where that is not enough."""

from __future__ import annotations

import contextlib
import csv
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePath

from ..errors import CorpusError
from .conll import DOCSTART, splitter, word_lines
from .example import BadRow
from .jsonl import parse_object
from .names import known_names

FORMATS = {"tsv": "TSV", "csv": "CSV", "jsonl": "JSONL", "conll": "CoNLL"}
SUFFIXES = {
    ".tsv": "tsv", ".tab": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".conll": "conll", ".conllu": "conll", ".bio": "conll", ".iob": "conll", ".iob2": "conll",
}  # fmt: skip
SAMPLE = 1000  # lines that are looked at
# columns that hold a word; those of several have names in the plural
_A_WORD = {"word", "token", "form"}


def tell_format(lines: Sequence[str], name: str, task: str) -> str:
    """Return "tsv", "csv", "jsonl" or "conll".

    1. JSONL if most lines are JSON objects.
    2. For tag: CoNLL if most lines are a word and what belongs to it; see `_word_a_line`.
    3. TSV if most lines have the same number of columns, at least two.
    4. JSONL if most lines begin with a brace: it is broken.
    5. CSV as TSV, of the rows.
    6. What the name says.

    Parameters
    ----------
    lines : sequence of str
        Not all of them blank.
    name : str
        Of the file.
    task : str

    Raises
    ------
    CorpusError
        If it is none of them.

    Examples
    --------
    >>> tell_format(["EU B-org", "votes O", "", "Rome B-place"], "a.txt", "tag")
    'conll'
    >>> tell_format(["text,label", '"red, blue",colours'], "a.txt", "classify")
    'csv'
    """
    sample = [line for line in lines[:SAMPLE] if line.strip()]
    opening = sample[0].strip()
    if opening in ("[", "{") or opening.startswith("[{"):
        line = lines.index(sample[0]) + 1
        raise CorpusError(f"{name}:{line}: expected JSONL, an object on each line, got one JSON document")
    hint = SUFFIXES.get(PurePath(name).suffix.lower(), "")
    if is_jsonl(sample):
        return "jsonl"
    tabs = _regularity([len(line.split("\t")) for line in sample])
    commas = max(_csv_regularity(sample, delimiter) for delimiter in ",;")
    if task == "tag" and _word_a_line(lines, sample, hint, tabs, commas):
        return "conll"
    if tabs > 0.5:  # whatever commas there are: texts have commas, but hardly tabs
        return "tsv"
    if _most(sample, lambda line: line.lstrip().startswith("{")):
        return "jsonl"
    if commas > 0.5:
        return "csv"
    if hint and (hint != "conll" or task == "tag"):
        return hint
    raise CorpusError(f"{name}: expected TSV, CSV, JSONL or CoNLL, got lines without columns")


def tell_delimiter(lines: Sequence[str]) -> str:
    """The comma or, where more lines have the same number of columns with it, the semicolon."""
    sample = [line for line in lines[:SAMPLE] if line.strip()]
    return ";" if _csv_regularity(sample, ";") > _csv_regularity(sample, ",") else ","


def _regularity(widths: Sequence[int]) -> float:
    """The share of rows with the number of columns, above one, that most have."""
    several = Counter(width for width in widths if width > 1)
    return several.most_common(1)[0][1] / len(widths) if several else 0.0


def _csv_regularity(sample: Sequence[str], delimiter: str) -> float:
    widths: list[int] = []
    reader = csv.reader((f"{line}\n" for line in sample), delimiter=delimiter)
    with contextlib.suppress(csv.Error):  # a field without end: what came before it tells
        widths += map(len, reader)
    return _regularity(widths)


def _word_a_line(lines: Sequence[str], sample: Sequence[str], hint: str, tabs: float, commas: float) -> bool:
    """Whether a file for tag has a word on each line.

    A table has a sentence in each row, with blanks between its words; or a header whose names are in the
    plural; and no blank lines, as there are between the sentences of CoNLL.
    """
    if hint == "conll" or any(line.startswith(DOCSTART) for line in sample):
        return True
    words = word_lines(sample)
    split = splitter(words)
    blanks = _regularity([len(split(line)) for line in words])
    parted = any(not line.strip() for line in lines[:SAMPLE])
    if tabs > 0.5 and words:
        first = words[0].split("\t")
        if known_names(first) > 1 and not parted:
            return any(field.strip().lower() in _A_WORD for field in first)
        return _most(words, lambda line: " " not in line.split("\t")[0].strip())
    return blanks > 0.5 and (parted or commas <= 0.5)


def is_jsonl(lines: Sequence[str]) -> bool:
    """Whether most of the lines that are not blank are JSON objects."""
    return _most([line for line in lines if line.strip()], _is_object)


def _most(lines: Sequence[str], test: Callable[[str], bool]) -> bool:
    return 2 * sum(map(test, lines)) > len(lines)


def _is_object(line: str) -> bool:
    try:
        return line.lstrip().startswith("{") and bool(parse_object(line))
    except BadRow:
        return False
