"""Scores of a fine-tuned model on labelled examples that it has not seen, beside those of a guess."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._threads import available_cores
from ..text import CorpusError, Tokenizer
from ..text.labelled import Example, read_examples
from ..training.trainer import workers
from .examples import Task, require_examples
from .hold_out import hold_out
from .parts import guess, judge, part_of


def score(
    model: Any,
    tokenizer: Tokenizer,
    task: Task,
    examples: Sequence[Example],
    *,
    train: Sequence[Example] | None = None,
    threads: int | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Return what `finetune` says of a test file, of a model that is finished.

    Parameters
    ----------
    model, tokenizer, task
        From `load_task_model`.
    examples : sequence of Example
        With labels.
    train : sequence of Example, optional
        What the model was trained on, from which a guess that has not learnt to read is made.
    threads : int, optional
        Default: as many as there are cores. The result does not depend on it.
    say : callable, optional
        Told how many texts are longer than the model reads, if any is.

    Returns
    -------
    dict
        "task", "scores", "by_label" (precision, recall, F1 and number of each class),
        "examples" (how many), and with `train` "baseline" and "baseline_is".

    Raises
    ------
    CorpusError
        If there is no example, or a label, of `train` too, is none of the model's, naming file and line.
    """
    require_examples("score: examples", examples)
    part = part_of(task, examples, model, tokenizer)
    if say is not None and (told := part.rows.told(examples)):
        say(told)
    with workers(available_cores() if threads is None else threads, len(examples)) as executor:
        judged = judge(model, tokenizer, task, part, executor)
    result = {"task": task.name, "examples": len(examples), **judged._asdict()}
    if train is not None:
        learnt = part_of(task, train, model, tokenizer)
        result["baseline_is"], result["baseline"] = guess(task, learnt, part, tokenizer)
    return result


def digest(examples: Sequence[Example]) -> str:
    """Return the SHA-256 of texts, words and labels, which tells examples from others.

    Parameters
    ----------
    examples : sequence of Example
        In their order; where they stand does not count.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> one = Example(("a good film",), "yes", None, "a.tsv:1")
    >>> digest([one]) == digest([one._replace(where="b.tsv:7")]), digest([one]) == digest([one, one])
    (True, False)
    """
    found = hashlib.sha256()
    for item in examples:
        found.update(repr((item.texts, item.words, item.label)).encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def training_examples(folder: str | Path, task: Task) -> list[Example]:
    """Return the examples that the model of a folder was trained on, as its config.json says.

    Raises
    ------
    OSError, CorpusError
        If they are no longer there, or others, or one has a label that is none of the model's.
    """
    path, values = _config_of(folder)
    if path is None:
        raise CorpusError(f"{folder}: expected the config.json of its fine-tuning, found none")
    file, how = values.get("train"), values.get("read", {})
    if not isinstance(file, str) or file == "-":
        raise CorpusError(f"{path}: expected the file of its training examples, got {file!r}")
    read = read_examples(file, task.name, **how)
    task.kind.targets(read.examples, task.labels)  # or it says which label is unknown
    examples = read.examples
    if values.get("train_sha256") not in (None, digest(examples)):
        raise CorpusError(f"{file}: expected the examples of training, got others")
    if values.get("dev_share") is not None:
        examples, _ = hold_out(examples, values["dev_share"], values["dev_seed"])
    result = path.with_name("result.json")
    n = json.loads(result.read_text(encoding="utf-8"))["examples"]["train"] if result.is_file() else None
    if n is not None and n != len(examples):
        raise CorpusError(f"{file}: expected the {n:,} examples of training, got {len(examples):,}")
    return examples


def reading(folder: str | Path, file: str) -> dict[str, Any]:
    """Return how the fine-tuning of a folder would have read a file: options of `read_examples`.

    Of a file with another suffix than that of training, these are the columns that were said, if any were.
    """
    _, values = _config_of(folder)
    train, how, said = values.get("train"), values.get("read"), values.get("columns")
    if not isinstance(train, str) or how is None or Path(train).suffix != Path(file).suffix:
        return {"columns": said}
    # columns that nobody said were told by the file, and another may tell others
    return {"columns": said, "like": how["columns"], "format": how["format"]}


def _config_of(folder: str | Path) -> tuple[Path | None, dict[str, Any]]:
    """Return where the config.json of a fine-tuning is, and what it says; None if there is none.

    The folder is that of the run, or of the model in it.
    """
    folder = Path(folder)
    for path in (folder / "config.json", folder.absolute().parent / "config.json"):
        try:
            values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError:  # somebody else's file
            continue
        if isinstance(values, dict) and values.get("run") == "finetune":
            return path, values
    return None, {}
