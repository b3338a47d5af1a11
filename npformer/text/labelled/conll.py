"""Sentences with a word on each line and a blank line after each, as the CoNLL tasks write them.

    EU       NNP  B-NP  B-ORG        the word comes first, the tag last;
    rejects  VBZ  B-VP  O            columns have tabs between, or blanks
    # text = Peter Blackburn         a comment, before a sentence's first word

Lines that begin with -DOCSTART- are passed over. A line that begins with "#" is a comment if it has another
number of columns than the words, is "# name = value", or begins "# newdoc" or "# newpar"; "#" can be a word.
CoNLL-U (ten columns, a number in the first) has its words in column 2 and the universal parts of speech in 4;
its rows for contractions (3-4) and for words that are not there (8.1) are passed over.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from ..errors import CorpusError
from .columns import written
from .example import Row, Table, counted, shown
from .lines import bad_byte
from .names import known_names
from .table import place_of

DOCSTART = "-DOCSTART-"
_COMMENT = re.compile(r"# +(newdoc|newpar)\b|# *[\w.:-]+ = ")
_CONLLU_ID = re.compile(r"\d+([-.]\d+)?", re.ASCII)


def word_lines(lines: Sequence[str]) -> list[str]:
    """The lines that are words beyond doubt; where all begin with "#", those with a tab."""
    filled = [line for line in lines if line.strip() and not line.startswith(DOCSTART)]
    return [line for line in filled if not line.startswith("#")] or [
        line for line in filled if "\t" in line and not _COMMENT.match(line)
    ]


def splitter(words: Sequence[str]) -> Callable[[str], list[str]]:
    """How lines are cut into columns: at tabs if most of those that are words have one, else at blanks."""
    if 2 * sum("\t" in line for line in words) > len(words):
        return lambda line: line.split("\t")
    return lambda line: [field for field in line.split(" ") if field]


def is_comment(line: str, columns: int, width: int) -> bool:
    """Whether a line before a sentence's first word is a comment; words have `width` columns."""
    return line.startswith("#") and (columns != width or bool(_COMMENT.match(line)))


def read_conll(
    lines: Sequence[str],
    name: str,
    roles: Sequence[str],
    wanted: dict[str, int | str] | None,
    like: dict[str, int | str] | None = None,
) -> Table:
    """Return a row for each sentence: its words, its tags, or the first of its lines that is bad.

    Of "words" and "tags", those that are no role may be empty. `like` holds in a file that has its columns
    and does not tell its own, as CoNLL-U does.

    Raises
    ------
    CorpusError
        If there is one column alone, or not the column that is wanted.
    """
    words_alone = word_lines(lines)
    split = splitter(words_alone)
    counts = Counter(len(split(line)) for line in words_alone)
    width = counts.most_common(1)[0][0] if counts else 0
    if width < 2:
        raise CorpusError(f"{name}: expected a word and its tag on each line, got one column")
    first = next(
        place
        for place, line in enumerate(lines)
        if len(split(line)) == width and not line.startswith(DOCSTART) and not is_comment(line, width, width)
    )
    fields = split(lines[first])
    conllu = width == 10 and bool(_CONLLU_ID.fullmatch(fields[0]))
    if wanted is None and like is not None and not conllu and _fits(like, fields):
        wanted = like
    named = wanted is not None and any(isinstance(column, str) for column in wanted.values())
    if wanted is not None:
        line = f"{name}:{first + 1}"
        word, tag = (
            place_of(wanted.get(role, width), fields, width, line) for role in ("words", "tags")
        )
    else:
        word, tag = (1, 3) if conllu else (0, width - 1)
    places = {"words": word, "tags": tag}
    of_tags = {row[tag] for row in map(split, lines[first + 1 :]) if len(row) == width}
    header = named or known_names(fields) > 1 and fields[tag] not in of_tags  # a tag would stand there again

    rows: list[Row] = []
    words: list[str] = []
    tags: list[str] = []
    bad: Row | None = None
    start = comments = 0

    def close() -> None:
        nonlocal words, tags, bad
        if bad is not None:
            rows.append(bad)
        elif words:
            rows.append(Row(start, {"words": words, "tags": tags}))
        words, tags, bad = [], [], None

    for number, line in enumerate(lines, 1):
        fields = split(line)
        if not line.strip() or line.startswith(DOCSTART) or header and number == first + 1:
            close()
            continue
        problem = bad_byte(line)
        if not problem and not words and bad is None and is_comment(line, len(fields), width):
            comments += 1
            continue
        if not problem:
            problem = _problem(fields, width, {role: places[role] for role in roles}, conllu)
        if problem:
            bad = bad or Row(number, None, problem)
        elif not conllu or fields[0].isdigit():
            start = start if words else number
            words.append(fields[word])
            tags.append(fields[tag])
    close()
    about = "a header, " if header else ""
    about += "ten columns as in CoNLL-U, " if conllu else ""
    about += f"words in column {word + 1}, tags in column {tag + 1}"
    about += f", {counted(comments, 'comment')}" if comments else ""
    columns: dict[str, int | str] = {"words": word + 1, "tags": tag + 1}
    return Table(rows, {role: role for role in roles}, about, written(columns))


def _fits(like: dict[str, int | str], first: Sequence[str]) -> bool:
    """Whether columns of another file are there: those that have numbers, and the names in the first line."""
    named = [column for column in like.values() if isinstance(column, str)]
    return set(named) <= set(first) and all(
        column <= len(first) for column in like.values() if isinstance(column, int)
    )


def _problem(fields: list[str], width: int, places: dict[str, int], conllu: bool) -> str:
    if len(fields) != width:
        return f"expected {counted(width, 'column')}, got {len(fields)}"
    if conllu and not _CONLLU_ID.fullmatch(fields[0]):
        return f"expected a word's number in column 1, got {shown(fields[0])}"
    for role, place in places.items():
        if not fields[place].strip():
            return f"expected a {role.removesuffix('s')} in column {place + 1}, got {shown(fields[place])}"
    return ""
