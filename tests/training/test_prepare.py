"""From documents to sequences: the vocabulary, the split, the warning about little text."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.text import CorpusError, Document
from npformer.training import RunConfig, prepare


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
