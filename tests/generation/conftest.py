"""Small models at a generic point, in float64, and tokenizers of a few lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from npformer.models import Decoder, DecoderConfig, EncoderDecoder, EncoderDecoderConfig

SIZES: dict[str, Any] = {"vocab_size": 23, "d_model": 16, "n_heads": 4, "n_layers": 2, "max_positions": 14}
VARIANTS: dict[str, DecoderConfig] = {
    "gpt2": DecoderConfig.gpt2(**SIZES),
    "llama, grouped queries": DecoderConfig.llama(**SIZES, d_ff=24, n_kv_heads=2),
    "rotary interleaved": DecoderConfig.llama(**SIZES, d_ff=24, rotary_interleaved=True),
    "alibi": DecoderConfig.gpt2(**SIZES, positions="alibi"),
    "alibi, window": DecoderConfig.gpt2(**SIZES, positions="alibi", window=3),
    "rotary, window, one kv head": DecoderConfig.llama(**SIZES, d_ff=24, window=4, n_kv_heads=1),
    "query-key norm, soft caps": DecoderConfig.llama(
        **SIZES, d_ff=24, qk_norm=True, softcap=2.0, logit_softcap=3.0
    ),
    "post-norm, sinusoidal": DecoderConfig.gpt2(**SIZES, positions="sinusoidal", norm="post"),
    "wide heads": DecoderConfig.llama(**SIZES, d_ff=24, d_head=6),
}


def make_generic(model: Any, seed: int = 0) -> Any:
    """O(1/sqrt(fan_in)) weights, gamma in U(0.5, 1.5), biases that are not zero."""
    rng = np.random.default_rng(seed)
    for name, view in model.params.items():
        if name.endswith(".gamma"):
            view[...] = rng.uniform(0.5, 1.5, view.shape)
        elif view.ndim == 1:
            view[...] = 0.3 * rng.standard_normal(view.shape)
        elif name.startswith("embeddings."):
            view[...] = 0.7 * rng.standard_normal(view.shape)
        else:
            view[...] = rng.standard_normal(view.shape) / np.sqrt(view.shape[0])
    return model


@pytest.fixture(params=VARIANTS.values(), ids=list(VARIANTS))
def decoder(request: pytest.FixtureRequest) -> Decoder:
    """A decoder of every form."""
    return make_generic(Decoder(request.param, dtype=np.float64))


@pytest.fixture
def gpt2() -> Decoder:
    return make_generic(Decoder(VARIANTS["gpt2"], dtype=np.float64))


@pytest.fixture(params=[{}, {"norm": "pre", "positions": "learned", "tied": False}], ids=["post", "pre"])
def translator(request: pytest.FixtureRequest) -> EncoderDecoder:
    """An encoder-decoder."""
    config = EncoderDecoderConfig(
        vocab_size=23, d_model=16, n_heads=4, d_ff=24, n_encoder_layers=2, n_decoder_layers=2,
        max_positions=14, **request.param,
    )  # fmt: skip
    return make_generic(EncoderDecoder(config, dtype=np.float64))


class Letters:
    """A token is a letter; the ids of `conftest`'s vocabulary are a to w."""

    def decode(self, ids: Iterable[int], /) -> str:
        return "".join(chr(ord("a") + i) for i in ids)


class Bytes:
    """A token is a byte."""

    def decode(self, ids: Iterable[int], /) -> str:
        return bytes(ids).decode("utf-8", "replace")


@pytest.fixture
def letters() -> Letters:
    return Letters()


@pytest.fixture
def byte_tokenizer() -> Bytes:
    return Bytes()
