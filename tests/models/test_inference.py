"""Batched inference: the plain padded forward's numbers, in the caller's order, whatever the threads."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from npformer.models import Encoder, EncoderConfig, encode
from npformer.models.inference import cut_by_length

LENGTHS = [3, 7, 1, 5, 7, 2, 2, 6, 4, 1, 7]


@pytest.fixture
def ragged():
    rng = np.random.default_rng(1)
    return [rng.integers(0, 13, n) for n in LENGTHS], [rng.integers(0, 2, n) for n in LENGTHS]


@pytest.fixture(params=["post", "pre", "rotary"])
def model(request, make_encoder):
    norm, positions = ("pre", "rotary") if request.param == "rotary" else (request.param, "learned")
    return make_encoder(norm=norm, positions=positions, pooler=True)


def padded(rows):
    """Arrays (n, longest) of the rows and of what is real in them."""
    mask = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    out = np.zeros(mask.shape, int)
    out[mask] = np.concatenate(rows)
    return out, mask


@pytest.mark.parametrize("micro_tokens", [1, 9, 1024])
def test_the_plain_forward_gives_the_same(model, ragged, micro_tokens):
    sequences, segment_ids = ragged
    ids, mask = padded(sequences)
    plain, _ = model.forward(ids, mask=mask, segment_ids=padded(segment_ids)[0])
    options = {"segment_ids": segment_ids, "micro_tokens": micro_tokens}

    hidden = encode(model, sequences, pooling=None, **options)
    assert [h.shape for h in hidden] == [(n, 8) for n in LENGTHS]
    for h, expected in zip(hidden, plain, strict=True):
        np.testing.assert_allclose(h, expected[: len(h)], rtol=0, atol=1e-12)

    mean = encode(model, sequences, **options)
    expected = np.array([row[:n].mean(axis=0) for row, n in zip(plain, LENGTHS, strict=True)])
    np.testing.assert_allclose(mean, expected, rtol=0, atol=1e-12)
    cls = encode(model, sequences, pooling="cls", **options)
    np.testing.assert_allclose(cls, plain[:, 0], rtol=0, atol=1e-12)
    last = encode(model, sequences, pooling="last", **options)
    expected = np.array([row[n - 1] for row, n in zip(plain, LENGTHS, strict=True)])
    np.testing.assert_allclose(last, expected, rtol=0, atol=1e-12)
    pooled = encode(model, sequences, pooling="pooler", **options)
    expected, _ = model.pooler.forward(model.params, plain[:, 0])
    np.testing.assert_allclose(pooled, expected, rtol=0, atol=1e-12)
    unit = encode(model, sequences, normalize=True, **options)
    np.testing.assert_allclose(unit, mean / np.linalg.norm(mean, axis=1)[:, None], rtol=0, atol=1e-12)


@pytest.mark.parametrize("pooling", [None, "mean", "cls"])
def test_the_bits_do_not_depend_on_the_threads(model, ragged, pooling):
    one, three = (encode(model, ragged[0], pooling=pooling, threads=n, micro_tokens=9) for n in (1, 3))
    for a, b in zip(one, three, strict=True):
        assert a.tobytes() == b.tobytes()


def test_no_sequences(model):
    assert encode(model, []).shape == (0, 8)
    assert encode(model, [], pooling=None) == []


@pytest.mark.parametrize(
    ("sequences", "options", "message"),
    [
        ([[1], []], {}, r"sequences\[1\]: expected at least one token, got none"),
        ([[1], [1] * 8], {}, r"sequences\[1\]: expected at most max_positions = 7 tokens, got 8"),
        ([[1, 13]], {}, r"sequences\[0\]: expected integers in \[0, 13\), got 13"),
        ([[[1, 2]]], {}, r"sequences\[0\]: expected one axis of integers, got shape \(1, 2\)"),
        ([[1, 2]], {"segment_ids": [[0]]}, "segment_ids: expected the lengths of the sequences"),
        ([[1, 2]], {"segment_ids": [[0, 2]]}, r"segment_ids\[0\]: expected integers in \[0, 2\), got 2"),
        ([[1]], {"pooling": "max"}, "expected one of 'mean', 'cls', 'pooler', 'last', None, got 'max'"),
        ([[1]], {"pooling": "pooler"}, "expected a model with a pooler"),
        ([[1]], {"threads": 0}, "threads: expected at least 1, got 0"),
        ([[1]], {"micro_tokens": 0}, "micro_tokens: expected at least 1, got 0"),
    ],
)
def test_bad_input_is_named(make_encoder, sequences, options, message):
    with pytest.raises(ValueError, match=message):
        encode(make_encoder(), sequences, **options)


@pytest.mark.parametrize("pooling", ["mean", "pooler"])
def test_another_model_is_named(make_encoder_decoder, pooling):
    with pytest.raises(TypeError, match="^encode: model: expected an Encoder or Decoder, got EncoderD"):
        encode(make_encoder_decoder(), [[1]], pooling=pooling)


def test_floats_are_no_ids(make_encoder):
    with pytest.raises(TypeError, match=r"sequences\[0\]: expected integers, got dtype float64"):
        encode(make_encoder(), [[1.0]])


@pytest.mark.parametrize("text", ["a text", ["a text"]])
def test_text_is_no_ids(make_encoder, text):
    with pytest.raises(TypeError, match=r"sequences\[0\]: expected token ids, got text; tokenizer\.encode"):
        encode(make_encoder(), text)


@pytest.mark.parametrize("n", [0, 1, 2, 33, 400])
@pytest.mark.parametrize("micro_tokens", [1, 100, 1024])
def test_every_sequence_is_in_one_micro_batch_and_little_is_padded(n, micro_tokens):
    lengths = np.random.default_rng(n).integers(8, 129, n)
    pieces = cut_by_length(lengths, micro_tokens)
    assert sorted(i for piece in pieces for i in piece) == list(range(n))
    sizes = [len(piece) * lengths[piece].max() for piece in pieces]
    assert sizes == sorted(sizes, reverse=True)
    assert all(size <= micro_tokens or len(p) == 1 for size, p in zip(sizes, pieces, strict=True))
    assert sum(sizes) <= 1.1 * lengths.sum()


def test_the_cut_is_the_cheapest():
    def cheapest(descending):
        if not descending:
            return 0
        costs = []
        for rows in range(1, len(descending) + 1):
            tokens = rows * descending[0]
            if tokens <= 128 or rows == 1:
                costs.append(tokens + 16 + cheapest(descending[rows:]))
        return min(costs)

    for seed in range(20):
        lengths = np.random.default_rng(seed).integers(1, 40, 9)
        pieces = cut_by_length(lengths)  # few tokens in all: at most 128 in each
        cost = sum(len(piece) * lengths[piece].max() + 16 for piece in pieces)
        assert cost == cheapest(sorted(lengths.tolist(), reverse=True))


def test_few_sequences_are_shared():
    assert [len(piece) for piece in cut_by_length(np.full(32, 128))] == [8, 8, 8, 8]
    assert [len(piece) for piece in cut_by_length(np.full(4, 128))] == [1, 1, 1, 1]
    assert [len(piece) for piece in cut_by_length(np.full(4, 16))] == [4]  # too little to share


def test_nothing_is_kept():
    """The peak is that of one layer, however many there are, and the embeddings' output beside its input."""

    def peak(n_layers, **keep):
        sizes = {"vocab_size": 20, "d_model": 16, "n_heads": 2, "d_ff": 32, "max_positions": 128}
        model = Encoder(EncoderConfig(**sizes, n_layers=n_layers))
        ids = np.arange(4 * 128).reshape(4, 128) % 20
        model.forward(ids, **keep)
        tracemalloc.start()
        hidden, _ = model.forward(ids, **keep)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(8, keep=False) <= 1.02 * peak(1, keep=False) + 4 * 4 * 128 * 16
    assert peak(8) > 3 * peak(1)  # which keeping does not have


def test_a_decoder_has_vectors_by_the_mean_and_no_segments(make_decoder):
    decoder, ids = make_decoder(), [[2, 7, 5], [4, 9, 3, 1, 12]]
    of_tokens = encode(decoder, ids, pooling=None)
    for vector, each in zip(encode(decoder, ids), of_tokens, strict=True):
        np.testing.assert_allclose(vector, each.mean(axis=0), rtol=0, atol=1e-13)
    for pooling in ("cls", "pooler"):
        with pytest.raises(ValueError, match=f"'mean', 'last' or None for a decoder, got '{pooling}'"):
            encode(decoder, ids, pooling=pooling)
    with pytest.raises(ValueError, match="segment_ids: expected None for a decoder"):
        encode(decoder, ids, segment_ids=[[0, 0, 0], [0, 0, 0, 0, 0]])
