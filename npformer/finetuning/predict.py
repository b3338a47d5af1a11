"""What a fine-tuned model says of texts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import PurePath
from typing import Any

from .._threads import available_cores
from ..text import CorpusError, Tokenizer
from ..text.labelled import Example
from ..text.labelled.columns import roles_of
from ..text.labelled.formats import SUFFIXES
from ..text.labelled.lines import bad_byte, read_lines
from ..text.labelled.texts import texts_of
from ..training.trainer import workers
from .examples import Task, predict_examples
from .kinds import KINDS
from .kinds.kind import Prediction


def predict(
    model: Any,
    tokenizer: Tokenizer,
    task: Task,
    texts: Sequence[str | Sequence[str]],
    *,
    threads: int | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Prediction]:
    """Return what the model says of each text.

    Parameters
    ----------
    model, tokenizer, task
        From `load_task_model`.
    texts : sequence of str or of sequences of str
        A text each (a source for "seq2seq" and "clm"); a pair of texts for "pair" and "similarity" (and
        "regress", if it learnt from pairs); for "tag" a sequence of words, or a text of words with blanks
        between them.
    threads : int, optional
        Default: as many as there are cores. The result does not depend on it.
    say : callable, optional
        Told how many texts are longer than the model reads, if any is.

    Returns
    -------
    list of Prediction
        A label and its probability; a number; the text that is written; or for words a tuple of labels and
        one of probabilities.

    Raises
    ------
    ValueError
        If a text is blank, or there are not as many as the task takes (naming it by its place, from 1).
    TypeError
        If `texts` is one text.
    """
    if isinstance(texts, str):
        raise TypeError("predict: texts: expected a sequence of texts, got one text")
    examples = [example_of(task.name, text, number) for number, text in enumerate(texts, 1)]
    return answer(model, tokenizer, task, examples, threads=threads, say=say)


def answer(
    model: Any,
    tokenizer: Tokenizer,
    task: Task,
    examples: Sequence[Example],
    *,
    threads: int | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Prediction]:
    """Return what the model says of each example, whatever its label; the rest is as for `predict`."""
    rows = task.rows(examples, model, tokenizer)
    told = rows.told(examples)
    if told is not None and say is not None:
        say(told)
    with workers(available_cores() if threads is None else threads, len(examples)) as executor:
        return predict_examples(model, tokenizer, task, examples, rows, executor)


def read_texts(
    file: str,
    task: str,
    *,
    columns: str | None = None,
    format: str | None = None,
    skip_bad: bool = False,
    tags: Collection[str] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Example]:
    """Return the texts of a file: of a labelled one without its labels, else of each line.

    Parameters
    ----------
    file : str
        "-" is standard input.
    task : str
    columns, format, skip_bad
        As for `text.labelled.read_examples`; the format "lines" is a text in each line.
    tags : collection of str
        Those that words may have, by which CoNLL with blanks between its columns is told from texts.
    say : callable, optional
        Told what a labelled file was understood as, and which rows were left out.

    Raises
    ------
    CorpusError, ValueError
        If a line has no text, or not as many as the task takes, naming file and line.
    """
    name, lines = read_lines(file)
    found = texts_of(lines, name, task, columns=columns, format=format, skip_bad=skip_bad, tags=tags)
    if found is not None:
        for line in (found.about, *(f"skipped {row}" for row in found.skipped)):
            if say is not None:
                say(line)
        return found.examples
    examples = []
    for number, line in enumerate(lines, 1):
        try:
            examples.append(_of_line(task, line, f"{name}:{number}", number))
        except ValueError as error:
            if not skip_bad:
                raise
            if say is not None:
                say(f"skipped {error}")
    if not examples:
        raise CorpusError(f"{name}: expected a text in each line, got none")
    if say is not None and format is None and SUFFIXES.get(PurePath(name).suffix.lower()) in ("csv", "jsonl"):
        forms = sorted(roles_of(f"texts of {task}"), key=len)
        columns = " or ".join(",".join(f"{role}=N" for role in roles) for roles in forms)
        say(f"{name}: no header is known, each whole line is read as a text; of a table: --columns {columns}")
    return examples


def _of_line(task: str, line: str, where: str, number: int) -> Example:
    if problem := bad_byte(line):
        raise CorpusError(f"{where}: {problem}")
    if not line.strip():
        raise CorpusError(f"{where}: expected a text in each line, got a blank one")
    return example_of(task, parts_of_line(task, line, where), number)


def example_of(task: str, text: str | Sequence[str], number: int) -> Example:
    """Return a text without a label as an example, read as `read_examples` reads one.

    White space around texts and words is gone; blanks (U+0020) alone are between words.

    Examples
    --------
    >>> example_of("tag", "Play chess", 1).words, example_of("pair", ("a", "b"), 2).texts
    (('Play', 'chess'), ('a', 'b'))
    """
    where, roles = f"text {number}", roles_of(f"texts of {task}")
    if roles == (("words",),):
        words = tuple(word for word in text.split(" ") if word) if isinstance(text, str) else tuple(text)
        words = tuple(word.strip() for word in words)
        if not words or not all(words):
            raise ValueError(f"{where}: expected words, got {'none' if not words else 'a blank one'}")
        return Example((), None, words, where)
    texts = tuple(one.strip() for one in ((text,) if isinstance(text, str) else text))
    if len(texts) not in map(len, roles):
        wanted = " or ".join(("one text", "two texts")[n - 1] for n in sorted(map(len, roles)))
        raise ValueError(f"{where}: expected {wanted} for {task}, got {len(texts)}")
    if not all(texts):
        raise ValueError(f"{where}: expected a text, got a blank one")
    return Example(texts, None, None, where)


def parts_of_line(task: str, line: str, where: str) -> str | tuple[str, ...]:
    """Return the text of a line, or the texts between its tabs where the task takes several.

    Raises
    ------
    ValueError
        If they are not as many as the task takes (naming the line as `where`).

    Examples
    --------
    >>> parts_of_line("pair", "one\\ttwo", "a.tsv:1"), parts_of_line("classify", "a text", "a.txt:1")
    (('one', 'two'), 'a text')
    """
    allowed = {len(roles) for roles in roles_of(f"texts of {task}")}
    if allowed == {1}:
        if "\t" in line:
            source = KINDS[task].LABELS == "texts"
            what = "a source without its target" if source else "a text without its label"
            raise ValueError(
                f"{where}: expected {what}, got a tab in {line[:60]!r}; of a labelled file: --score, or "
                f"--columns {'source' if source else 'text'}=N for what is said of its texts"
            )
        return line
    texts = tuple(line.split("\t"))
    if len(texts) not in allowed or not all(text.strip() for text in texts):
        wanted = "a text, or two with a tab between" if 1 in allowed else "two texts with a tab between"
        raise ValueError(
            f"{where}: expected {wanted}, got {line[:60]!r}; of a table: --columns text1=N,text2=N"
        )
    return texts[0] if len(texts) == 1 else texts
