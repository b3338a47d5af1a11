"""Text that every machine with Python has: the documentation inside the running Python.

The language reference that `help("with")` shows (`pydoc_data.topics`, where it is installed), a document a
topic, and the standard library's docstrings, read from its source files, a document a module. Never what
else is installed, and never tests.
"""

from __future__ import annotations

import ast
import importlib
import os
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from .corpus import Document
from .errors import CorpusError
from .sentences import paragraphs

# Folders of the library that are not its own documentation: other people's packages, tests, the topics.
_SKIPPED = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idle_test", "pydoc_data", "_bundled", "__pycache__"}
)


def default_corpus() -> list[Document]:
    """The documentation inside the running Python, topics first, then modules, each sorted by name.

    A paragraph that has occurred before, white space and case aside, is dropped, so that documentation
    which modules share stands there once. The text varies with the version of Python.

    Returns
    -------
    list of Document

    Raises
    ------
    CorpusError
        If this Python carries neither topics nor sources.
    """
    documents: list[Document] = []
    seen: set[str] = set()
    for name, text in (*_topics(), *_modules(Path(sysconfig.get_paths()["stdlib"]))):
        fresh: list[str] = []
        for paragraph in paragraphs(text):
            key = " ".join(paragraph.casefold().split())
            if key and key not in seen:
                seen.add(key)
                fresh.append(paragraph)
        if fresh:
            documents.append(Document(name, "".join(fresh).strip("\n") + "\n"))
    if not documents:
        raise CorpusError("this Python carries no documentation to train on: give text files or folders")
    return documents


def _topics() -> Iterator[tuple[str, str]]:
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ImportError:  # a stripped-down Python
        return
    for name in sorted(topics):
        yield f"python:topics/{name}", topics[name]


def _modules(root: Path) -> Iterator[tuple[str, str]]:
    paths = sorted(_sources(root), key=lambda path: path.relative_to(root).as_posix())
    for path in paths:
        try:
            found = _docstrings(path.read_bytes())
        except (OSError, SyntaxError, ValueError):  # unreadable, or a template that is no Python
            continue
        if found:
            yield f"python:{path.relative_to(root).as_posix()}", "\n\n".join(found)


def _sources(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        for name in names:
            if name.endswith(".py"):
                yield Path(folder, name)


def _docstrings(source: bytes) -> list[str]:
    """The docstrings of a module, its classes and its functions, in the order of the source."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old escape sequence in somebody's string is no business of ours
        tree = ast.parse(source)
    found: list[str] = []
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            docstring = ast.get_docstring(node)
            if docstring and docstring.strip():
                found.append(docstring)
        # Statements stand in statements alone, so expressions need not be searched.
        inner: list[ast.AST] = []
        for field in ("body", "handlers", "orelse", "finalbody", "cases"):
            inner += getattr(node, field, None) or []
        nodes += reversed(inner)
    return found
