"""Predictions for masks, and the sentence to try them on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from npformer.text import Document, WordPieceTokenizer, pack
from npformer.training import example_sentence, fill, fit, load_model


@pytest.fixture(scope="module")
def tokenizer():
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "the", "cat", "sat", "##s", "on"]
    return WordPieceTokenizer(vocab)


@pytest.fixture
def model(make_encoder, tokenizer):
    return make_encoder(0, vocab_size=tokenizer.vocab_size, max_positions=9)


def test_the_probabilities_are_the_softmax_at_each_mask(model, tokenizer):
    answers = fill(model, tokenizer, "the [MASK] sat on [MASK].", k=100)
    ids = [2, 6, 4, 8, 10, 4, 5, 3]
    hidden, _ = model.forward([ids])
    logits, _ = model.mlm_head.forward(model.params, hidden)
    for answer, place in zip(answers, (2, 5), strict=True):
        p = np.exp(logits[0, place])
        p /= p.sum()
        assert [prediction.piece for prediction in answer] == [tokenizer.vocab[i] for i in np.argsort(-p)]
        assert np.allclose([prediction.probability for prediction in answer], np.sort(p)[::-1], rtol=1e-12)
    assert fill(model, tokenizer, "the [MASK] sat on [MASK].", k=2) == [answer[:2] for answer in answers]


def test_what_cannot_be_filled(model, tokenizer):
    with pytest.raises(ValueError, match=r"no \[MASK\] in the text: 'the cat'"):
        fill(model, tokenizer, "the cat")
    with pytest.raises(ValueError, match="the text has 13 tokens, the model reads at most 9"):
        fill(model, tokenizer, "the cats sat on the cats sat [MASK].")
    with pytest.raises(ValueError, match="k: expected at least 1"):
        fill(model, tokenizer, "the [MASK]", k=0)


def test_models_are_found_in_runs_and_model_folders(make_run, tmp_path):
    run = make_run(cased=True)
    with pytest.raises(ValueError, match="the run has not finished; npformer pretrain --resume"):
        load_model(run.folder)
    fit(run, threads=1, quiet=True)
    for folder in (run.folder, run.folder / "model"):
        model, tokenizer = load_model(folder)
        assert tokenizer.vocab == run.tokenizer.vocab
        assert not tokenizer.lowercase
        assert model.config.vocab_size == tokenizer.vocab_size
    with pytest.raises(FileNotFoundError, match="no such folder"):
        load_model(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="config.json"):
        load_model(tmp_path)
    about = run.folder / "model" / "config.json"
    values = json.loads(about.read_text())
    with open(run.folder / "model" / "vocab.txt", "a") as file:
        file.write("more\n")
    assert values["vocab_size"] == run.tokenizer.vocab_size
    with pytest.raises(ValueError, match="vocab.txt has"):
        load_model(run.folder)


def test_the_example_is_a_held_out_sentence_with_one_mask(tokenizer):
    text = "sat on. the cat sat on the cats sat on the cat. on the cat."
    sentence = example_sentence(pack([Document("a", text)], tokenizer, 40), tokenizer)
    assert sentence == "the cat sat on the cats [MASK] on the cat."  # no mask on a word of two pieces
    ids = tokenizer.encode_plain(sentence)
    assert ids.count(tokenizer.mask_id) == 1


def test_the_example_of_text_without_sentences(tokenizer):
    packed = pack([Document("a", "the cat sat on the cat sat on the cat sat on")], tokenizer, 40)
    assert example_sentence(packed, tokenizer) == "the cat sat on the [MASK] sat on the cat"
    packed = pack([Document("a", "cats")], tokenizer, 8)
    assert example_sentence(packed, tokenizer) == "[MASK]"
