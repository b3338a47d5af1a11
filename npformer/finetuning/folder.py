"""A fine-tuned model in a folder: the model's own files, and task.json, which says what its outputs mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .._files import write_json
from ..text import Tokenizer
from ..training import load_model
from .examples import Task
from .kinds import KINDS
from .model import check_model


def save_task_model(model: Any, tokenizer: Tokenizer, task: Task, folder: str | Path) -> None:
    """Write a model and what it was fine-tuned for.

    Raises
    ------
    OSError
        If it cannot be written; each file that was there stays whole.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    values = {"task": task.name, "labels": list(task.labels), "longest": task.longest, "texts": task.texts}
    model.save_pretrained(folder, tokenizer)
    write_json(folder / "task.json", values)  # last: it speaks of weights that are there


def task_of(folder: str | Path) -> str | None:
    """Return the name of the task that a model was fine-tuned for, None for one that was not.

    Raises
    ------
    ValueError
        If there is a task.json that is damaged.
    """
    path = _task_file(Path(folder))
    return _read_task(path).name if path.is_file() else None


def load_task_model(folder: str | Path) -> tuple[Any, Tokenizer, Task]:
    """Read a fine-tuned model: of a folder that `finetune` has made, or the model folder in it.

    Raises
    ------
    OSError, ValueError
        If there is none, or it was not fine-tuned.
    """
    folder = Path(folder)
    model, tokenizer = load_model(folder)
    path = _task_file(folder)
    if not path.is_file():
        raise ValueError(
            f"{folder}: expected a fine-tuned model, found no task.json (npformer finetune {folder})"
        )
    task = _read_task(path)
    if getattr(model.config, "task", None) != task.kind.HEAD:
        raise ValueError(
            f"{path}: expected a model with a head for {task.name}, got one with another, or none"
        )
    try:
        check_model(model, task.name)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return model, tokenizer, task


def _task_file(folder: Path) -> Path:
    """Return where the task of a model folder is described, or of the run around it."""
    path = folder / "task.json"
    return path if path.is_file() else folder / "model" / "task.json"


def _read_task(path: Path) -> Task:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        longest, texts = (values.get(name) for name in ("longest", "texts"))  # not there in older folders
        labels = tuple(map(str, values["labels"]))
        longest, texts = (None if number is None else int(number) for number in (longest, texts))
        task = Task(values["task"], labels, longest, texts)
        KINDS[task.name]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not the description of a task ({error})") from None
    return task
