"""The split in two passes: the promises of split.py, without the text in memory."""

from __future__ import annotations

import random

import pytest

from npformer.text import CorpusError, TextFiles
from npformer.text import streamed_split as module
from npformer.text.split import stripped_lines
from npformer.text.streamed_split import cleaned, draw_held_out, lines_of, training_documents

SHARE = 0.1


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_BLOCK", 500)
    draw = random.Random(0)
    for name in "ab":
        lines = [f"{name} {i} {draw.random()}\n" if i % 5 else f"common {i % 7}\n\n" for i in range(8000)]
        (tmp_path / name).write_text("".join(lines))
    return TextFiles([(str(tmp_path / name), True) for name in "ab"])


def split(files, sample=10**9):
    held_out, taken, length = draw_held_out(files, SHARE, 0, sample)
    unseen = lines_of(held_out)
    train = list(training_documents(files, SHARE, 0, length, unseen))
    return train, held_out, cleaned(held_out, unseen), taken


def test_no_line_is_on_both_sides_and_none_is_lost(files):
    train, drawn, held_out, _ = split(files)
    assert not lines_of(train) & lines_of(held_out)
    everything = [line for text in files for line in stripped_lines(text.text)]
    assert sorted(line for d in (*train, *drawn) for line in stripped_lines(d.text)) == sorted(everything)
    assert {line for line in lines_of(drawn) if not line.startswith("common")} == lines_of(held_out)


def test_the_share_is_held_out_all_over_the_text(files):
    _, drawn, _, _ = split(files)
    length = sum(len(document.text) for document in files)
    assert abs(sum(len(d.text) for d in drawn) / length - SHARE) < 0.01
    assert 0.4 < sum(d.name.endswith("a") for d in drawn) / len(drawn) < 0.6
    again = draw_held_out(files, SHARE, 0, 10)
    assert again.held_out == drawn
    assert draw_held_out(files, SHARE, 1, 10).held_out != drawn


def test_the_sample_is_of_the_training_part_bounded_and_spread(files):
    train, _, _, everything = split(files)
    assert "".join(everything) == "".join(d.text for d in train)
    _, _, _, taken = split(files, sample=20_000)
    assert 19_000 <= sum(map(len, taken)) <= 20_500
    assert 0.4 < sum(text.startswith("a") or "\na" in text for text in taken) / len(taken) < 0.6
    assert lines_of([module.Document("", text) for text in taken]) <= lines_of(train)


def test_a_file_that_changes_in_between(files):
    held_out, _, length = draw_held_out(files, SHARE, 0, 10)
    with open(files.names[1], "a") as file:
        file.write("one more\n")
    with pytest.raises(CorpusError, match="changed while it was read"):
        list(training_documents(files, SHARE, 0, length, lines_of(held_out)))


def test_a_corpus_that_has_another_length_with_the_same_files(files):
    """Where a file system's clock is too coarse to show a change."""
    held_out, _, length = draw_held_out(files, SHARE, 0, 10)
    with pytest.raises(CorpusError, match="changed while it was read"):
        list(training_documents(files, SHARE, 0, length + 1, lines_of(held_out)))


def test_text_that_repeats_itself_or_is_too_little(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_BLOCK", 500)
    (tmp_path / "same").write_text("the same line\n" * 5000)
    with pytest.raises(CorpusError, match="the text repeats itself: of 1 lines"):
        split(TextFiles([(str(tmp_path / "same"), True)]))
    (tmp_path / "little").write_text("little\n")
    with pytest.raises(CorpusError, match="too little text"):
        split(TextFiles([(str(tmp_path / "little"), True)]))
