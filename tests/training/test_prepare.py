"""From documents to sequences: the vocabulary, the split, the warning about little text."""

from __future__ import annotations

import errno
import importlib
import tempfile
import tracemalloc

import numpy as np
import pytest

from npformer.text import CorpusError, Document, open_corpus, streamed_split
from npformer.text.packed_file import map_rows, write_rows
from npformer.training import RunConfig, create_run, fit, open_run, prepare, table

module = importlib.import_module("npformer.training.prepare")  # the name is the function's


def test_parts_and_vocabulary(text):
    prepared = prepare([Document("a", text)], RunConfig(steps=1, vocab_size=60, seq_len=12))
    assert prepared.tokenizer.vocab_size == 60
    assert prepared.train.ids.shape[1] == prepared.held_out.ids.shape[1] == 12
    share = prepared.held_out.mask.sum() / prepared.train.mask.sum()
    assert 0.05 < share < 0.2
    assert prepared.sources == ["a"]


def test_the_vocabulary_shrinks_unless_it_was_asked_for(text):
    config = RunConfig(steps=1, vocab_size=5000)
    assert prepare([Document("a", text)], config).tokenizer.vocab_size < 300
    with pytest.raises(CorpusError):
        prepare([Document("a", text)], config, exact_vocab=True)


def test_little_text_is_said_to_be_little(text):
    (line,) = prepare([Document("a", text)], RunConfig(steps=1)).warnings
    assert line.startswith("little text: ")
    many = [Document("a", "".join(f"{text}{i}\n" for i in range(60)))]
    assert not prepare(many, RunConfig(steps=1, vocab_size=60)).warnings


def test_the_split_does_not_depend_on_the_seed_of_the_run(text):
    first, second = (prepare([Document("a", text)], RunConfig(steps=1, seed=seed)) for seed in (0, 1))
    assert np.array_equal(first.held_out.ids, second.held_out.ids)


def test_text_that_cannot_be_split():
    with pytest.raises(CorpusError, match="too little text"):
        prepare([Document("a", "word")], RunConfig(steps=1))


@pytest.fixture
def large(tmp_path, monkeypatch, lines_of_words):
    """A corpus that is read as a stream, of 60 times as much text as is held out of it at most."""
    monkeypatch.setattr(module, "HELD_OUT_MOST", 20_000)
    monkeypatch.setattr(module, "SAMPLE", 100_000)
    monkeypatch.setattr(streamed_split, "LARGEST_BLOCK", 2000)
    for i in range(3):
        (tmp_path / f"{i}.txt").write_text(lines_of_words(8000, seed=i))
    return open_corpus(tmp_path, in_memory=0)


def test_files_read_as_a_stream(large, tmp_path):
    config = RunConfig(steps=1, vocab_size=60, seq_len=12)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    prepared = prepare(large, config, scratch=scratch)
    assert not list(scratch.iterdir())  # the file has no name
    assert prepared.sources == large.names
    assert not prepared.warnings
    assert prepared.train.ids.dtype == np.uint16
    assert not prepared.train.ids.flags.writeable
    held = sum(len(prepared.tokenizer.decode(row)) for row in prepared.held_out.ids)
    assert 12_000 < held < 24_000
    again = prepare(large, config, scratch=scratch)
    assert np.array_equal(again.train.ids, prepared.train.ids)
    assert np.array_equal(again.held_out.ids, prepared.held_out.ids)
    # Tokens, held out or not, are those of the text.
    text = "".join(document.text for document in large)
    tokens = len(prepared.tokenizer.encode_plain(text, specials=False))
    packed = [((ids == 1) | (ids > 4)).sum() for ids in (prepared.train.ids, prepared.held_out.ids)]
    assert sum(packed) == tokens


def test_no_room_for_the_packed_text_is_one_line(large, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_rows", full)
    with pytest.raises(OSError, match="No space left on device, for the packed text") as error:
        prepare(large, RunConfig(steps=1, vocab_size=60, seq_len=12), scratch=tmp_path)
    assert error.value.filename == str(tmp_path)


def test_training_copies_the_rows_of_its_batches_alone(tmp_path, text, monkeypatch):
    """Of a packed file of 80 MB, a run from its first step to its result never holds a tenth."""
    small = prepare([Document("a", text)], RunConfig(steps=2, vocab_size=60, seq_len=64, layers=1, d_model=8))
    rows = small.train.ids[np.arange(2000) % len(small.train.ids)]
    with tempfile.TemporaryFile() as file:
        write_rows(file, (rows for _ in range(312)), 64, small.tokenizer.vocab_size)
        train = map_rows(file, small.tokenizer.pad_id)
    assert train.ids.nbytes > 79e6
    for where in ("cooccurrence", "result"):
        monkeypatch.setattr(f"npformer.training.{where}.COUNTED", 1 << 15)
    monkeypatch.setattr("npformer.training.run.LOOKED_AT", 1 << 15)
    tracemalloc.start()
    try:
        run = create_run(tmp_path / "run", small._replace(train=train))
        result = fit(open_run(run.folder), threads=1, quiet=True, say=lambda line: None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    order = 12 * len(train.ids)  # of the epoch, while it is made: all that grows with the data
    assert peak < order + 6e6 < 0.2 * train.ids.nbytes, peak
    assert result["counted"] == pytest.approx((1 << 15) / train.ids.size, rel=1e-3)
    assert "counted on 0.082 % of the training part" in table(result)
