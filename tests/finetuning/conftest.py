"""Small models, and examples that they can learn in a second."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.models import (
    Decoder,
    DecoderConfig,
    Encoder,
    EncoderConfig,
    EncoderDecoder,
    EncoderDecoderConfig,
)
from npformer.text import WordPieceTokenizer
from npformer.text.labelled import Example

WORDS = ["red", "blue", "green", "cat", "dog", "fish", "runs", "sleeps"]
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s"]
COLOURS = WORDS[:3]


@pytest.fixture(scope="session")
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer(VOCAB)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    sizes = {"d_model": 16, "n_heads": 2, "d_ff": 32, "n_layers": 2, "max_positions": 12, "n_segments": 2}
    config = EncoderConfig(len(VOCAB), **sizes, norm="pre", init_std=0.1)
    return Encoder(config, np.random.default_rng(5))


WRITERS = {"d_model": 32, "n_heads": 2, "d_ff": 64, "max_positions": 12}


@pytest.fixture(scope="session")
def encoder_decoder() -> EncoderDecoder:
    config = EncoderDecoderConfig(
        len(VOCAB), **WRITERS, n_encoder_layers=1, n_decoder_layers=1, norm="pre", dropout=0.1
    )
    return EncoderDecoder(config, np.random.default_rng(5))


@pytest.fixture(scope="session")
def gpt() -> Decoder:
    config = DecoderConfig(len(VOCAB), **WRITERS, n_layers=1, init_std=0.1)
    return Decoder(config, np.random.default_rng(5))


@pytest.fixture(params=["seq2seq", "clm"])
def writer(request: pytest.FixtureRequest) -> tuple[str, EncoderDecoder | Decoder]:
    """A task whose texts are written, and a model for it."""
    name = "encoder_decoder" if request.param == "seq2seq" else "gpt"
    return request.param, request.getfixturevalue(name)


@pytest.fixture
def turned() -> list[Example]:
    """Up to four words, and the same from the last to the first."""
    return [
        Example((" ".join(words[:4]), " ".join(words[3::-1])), None, None, f"train.tsv:{i}")
        for i, words in enumerate(sentences(24, 4), 1)
    ]


def sentences(n: int, seed: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [[WORDS[i] for i in rng.integers(len(WORDS), size=rng.integers(3, 7))] for _ in range(n)]


@pytest.fixture(scope="session")
def decoder() -> Decoder:
    sizes = {"d_model": 16, "n_heads": 2, "d_ff": 32, "n_layers": 2, "max_positions": 12}
    config = DecoderConfig.llama(vocab_size=len(VOCAB), **sizes, init_std=0.1)
    return Decoder(config, np.random.default_rng(5))


@pytest.fixture
def classes() -> list[Example]:
    """Whether a text has one of two colours."""
    return [
        Example(
            (" ".join(words),), "colour" if set(words) & set(COLOURS[:2]) else "none", None, f"train.tsv:{i}"
        )
        for i, words in enumerate(sentences(60, 0), 1)
    ]


@pytest.fixture
def tagged() -> list[Example]:
    """Two kinds of entities, each of one word."""
    tags = dict.fromkeys(COLOURS, "B-x") | {"runs": "B-y"}
    return [
        Example((), tuple(tags.get(word, "O") for word in words), tuple(words), f"train.conll:{i}")
        for i, words in enumerate(sentences(60, 1), 1)
    ]


@pytest.fixture
def numbered() -> list[Example]:
    """How often there is a cat in two texts."""
    examples = []
    for i, (a, b) in enumerate(zip(sentences(60, 2), sentences(60, 3), strict=True), 1):
        examples.append(
            Example((" ".join(a), " ".join(b)), float((a + b).count("cat")), None, f"train.csv:{i}")
        )
    return examples
