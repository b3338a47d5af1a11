"""The default corpus: real text, the same each time; never asserted exactly, it varies with Python."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from npformer.text import CorpusError, Document, default_corpus
from npformer.text.default_corpus import _docstrings, _modules
from npformer.text.sentences import paragraphs


@pytest.mark.thorough
def test_the_same_each_time(python_docs: list[Document]) -> None:
    assert default_corpus() == python_docs


def test_real_text(python_docs: list[Document]) -> None:
    documents = python_docs
    assert len(documents) > 100
    assert sum(len(document.text) for document in documents) > 500_000
    names = [document.name for document in documents]
    assert len(set(names)) == len(names)
    folders = {part for name in names for part in name.removeprefix("python:").split("/")[:-1]}
    assert not folders & {"test", "tests", "site-packages", "dist-packages", "__pycache__"}
    assert all(document.text.strip() for document in documents)
    assert "python:argparse.py" in names


def test_no_paragraph_twice(python_docs: list[Document]) -> None:
    found = [paragraph for document in python_docs for paragraph in paragraphs(document.text)]
    keys = [" ".join(paragraph.casefold().split()) for paragraph in found]
    assert len(set(keys)) == len(keys)


def test_docstrings_in_the_order_of_the_source() -> None:
    source = b'''
"""Module."""
if True:
    def f():
        """F."""
        def inner():
            """Inner."""
else:
    try:
        pass
    except ValueError:
        class C:
            """C
            on two lines."""
            async def m(self): "M."
def bare(): "\\d"; "not this"
def none(): return "nor this"
'''
    assert _docstrings(source) == ["Module.", "F.", "Inner.", "C\non two lines.", "M.", "\\d"]


def test_modules_sorted_without_tests_and_packages(tmp_path: Path) -> None:
    for name in ("b.py", "a/z.py", "a.py", "test/t.py", "site-packages/p.py", "a/tests/t.py", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f'"""Of {name}."""', encoding="utf-8")
    (tmp_path / "broken.py").write_text("def (:", encoding="utf-8")
    (tmp_path / "bare.py").write_text("x = 1", encoding="utf-8")
    assert list(_modules(tmp_path)) == [
        ("python:a.py", "Of a.py."),
        ("python:a/z.py", "Of a/z.py."),
        ("python:b.py", "Of b.py."),
    ]


def test_a_python_without_topics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pydoc_data.topics", None)
    (tmp_path / "b.py").write_text('"""Of b."""', encoding="utf-8")
    (tmp_path / "a.py").write_text('"""Of a."""', encoding="utf-8")
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    assert [document.name for document in default_corpus()] == ["python:a.py", "python:b.py"]
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path / "nowhere")})
    with pytest.raises(CorpusError, match="no documentation to train on: give text files"):
        default_corpus()
