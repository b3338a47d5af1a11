"""Vectors of texts and the nearest of them."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.models import Decoder, DecoderConfig, Encoder, EncoderConfig
from npformer.text import CharacterTokenizer
from npformer.training import embed, nearest

TOKENIZER = CharacterTokenizer.train(["abcd "])


@pytest.fixture
def model() -> Encoder:
    sizes = {"d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 2, "max_positions": 9}
    return Encoder(EncoderConfig(TOKENIZER.vocab_size, **sizes), np.random.default_rng(3), np.float64)


def test_a_vector_is_the_mean_of_the_outputs(model):
    texts = ["abc", "d", "abc abc abc abc"]
    vectors = embed(model, TOKENIZER, texts)
    for text, vector in zip(texts, vectors, strict=True):
        ids = TOKENIZER.encode(text).ids
        ids = ids if len(ids) <= 9 else [*ids[:8], ids[-1]]  # cut, and still ended by [SEP]
        hidden, _ = model.forward([ids])
        np.testing.assert_allclose(vector, hidden[0].mean(axis=0), rtol=0, atol=1e-14)
    unit = embed(model, TOKENIZER, texts, normalize=True)
    np.testing.assert_allclose(unit * np.linalg.norm(vectors, axis=1, keepdims=True), vectors, atol=1e-14)


def test_nearest_are_sorted_by_their_cosine():
    rng = np.random.default_rng(0)
    query, vectors = rng.standard_normal(5), rng.standard_normal((20, 5))
    cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    found = nearest(query, vectors, k=7)
    assert [n.place for n in found] == np.argsort(-cosines)[:7].tolist()
    np.testing.assert_allclose([n.cosine for n in found], np.sort(cosines)[::-1][:7])
    assert len(nearest(query, vectors, k=100)) == 20
    assert nearest(np.zeros(5), vectors)[0].cosine == 0.0


def test_a_decoders_texts_have_vectors_too(make_decoder):
    decoder = make_decoder(vocab_size=TOKENIZER.vocab_size)
    texts = ["abc", "a"]
    vectors = embed(decoder, TOKENIZER, texts)
    for text, vector in zip(texts, vectors, strict=True):
        hidden, _ = decoder.forward([TOKENIZER.encode(text).ids])
        np.testing.assert_allclose(vector, hidden[0].mean(axis=0), atol=1e-12)
        (last,) = embed(decoder, TOKENIZER, [text], pooling="last")
        np.testing.assert_allclose(last, hidden[0, -1], atol=1e-12)


def test_what_is_refused(model, make_encoder_decoder):
    with pytest.raises(ValueError, match="text 2: expected a text, got a blank one"):
        embed(model, TOKENIZER, ["a", " "])
    sizes = {"d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 1, "max_positions": 9}
    decoder = Decoder(DecoderConfig(TOKENIZER.vocab_size, **sizes))
    with pytest.raises(ValueError, match="embed: pooling: expected mean or last for a decoder, got cls"):
        embed(decoder, TOKENIZER, ["a"], pooling="cls")
    with pytest.raises(ValueError, match="expected an Encoder or Decoder, got EncoderDecoder"):
        embed(make_encoder_decoder(), TOKENIZER, ["a"])
    with pytest.raises(ValueError, match="k: expected at least 1"):
        nearest([1.0], [[1.0]], k=0)
    with pytest.raises(ValueError, match=r"expected shapes \(d,\) and \(n, d\)"):
        nearest([1.0], [[1.0, 2.0]])
