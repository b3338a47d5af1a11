"""Every Python block of the documents runs, and prints what is printed below it.

A block marked "python setup" is run before each of the later blocks of its page.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from npformer.training import DEFAULT, PRESETS, preset

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)( setup)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NEEDS = {"torch": "'.[parity]'", "jax": "'.[jax]'"}


def blocks() -> list[pytest.param]:
    """Each Python block, with the text block right behind it, if there is one."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        fences = list(FENCE.finditer(text))
        setup = ""
        for fence, following in zip(fences, [*fences, None][1:], strict=True):
            if fence[1] != "python":
                continue
            prints = following is not None and following[1] == "text"
            prints = prints and not text[fence.end() : following.start()].strip()
            number = text[: fence.start()].count("\n") + 2
            needs = [name for name in NEEDS if f"import {name}" in fence[3]]
            found.append(
                pytest.param(
                    setup + fence[3],
                    following[3] if prints else None,
                    needs,
                    id=f"{path.name}:{number}",
                    marks=[pytest.mark.extra] if needs else [],
                )
            )
            if fence[2]:
                setup += fence[3]
    return found


def comparable(text: str) -> str:
    """The text without what differs between machines: rounding errors, which is the largest, and spacing."""
    text = re.sub(r"( OK +)\(.*?\)( +\S+){2}", r"\1", text)
    return re.sub(r"\s+", " ", re.sub(r"\d(\.\d+)?e-\d\d", "~", text)).strip()


@pytest.mark.parametrize(("code", "printed", "needs"), blocks())
def test_a_block_runs_and_prints_what_is_below_it(code, printed, needs, tmp_path, monkeypatch):
    for name in needs:
        pytest.importorskip(name, reason=f"needs {name}: pip install {NEEDS[name]}")
    monkeypatch.chdir(tmp_path)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "block", "exec"), {"__name__": "block"})
    if printed is not None:
        assert comparable(output.getvalue()) == comparable(printed)


def test_the_table_of_presets_is_theirs():
    text = (ROOT / "docs" / "pretraining.md").read_text(encoding="utf-8")
    assert list(PRESETS) == ["tiny", "small", "base"]
    for name in PRESETS:
        c = preset(name)
        cells = (c.layers, c.d_model, f"{c.vocab_size:,}", c.seq_len, f"{c.lr:g}", f"{c.minutes:g}")
        shown = name + ", the default" * (name == DEFAULT)
        assert f"\n| {shown} | {' | '.join(map(str, cells))} |\n" in text
    assert [preset(name).d_model // preset(name).heads for name in PRESETS] == [32, 32, 64]


@pytest.mark.parametrize(
    ("objective", "page"),
    [("clm", "language_models"), ("seq2seq", "language_models"), ("simcse", "contrastive")],
)
def test_the_tables_of_the_other_objectives_presets_are_theirs(objective, page):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    for name in PRESETS:
        c = preset(name, objective=objective)
        cells = (c.layers, c.d_model, c.heads, f"{c.vocab_size:,}", c.seq_len, c.batch_size)
        cells += (f"{c.lr:g}", f"{c.dropout:g}", f"{c.minutes:g}")
        shown = name + ", the default" * (name == DEFAULT)
        assert f"\n| {shown} | {' | '.join(map(str, cells))} |\n" in text


def test_there_are_blocks_and_some_print():
    assert len(blocks()) >= 10
    assert sum(param.values[1] is not None for param in blocks()) >= 4
