"""State dicts as torch.nn's modules have them, drawn by NumPy."""

from __future__ import annotations

import numpy as np
import pytest


def attention(prefix, d, rng, bias=True):
    state = {
        f"{prefix}in_proj_weight": rng.standard_normal((3 * d, d)) / np.sqrt(d),
        f"{prefix}in_proj_bias": rng.standard_normal(3 * d),
        f"{prefix}out_proj.weight": rng.standard_normal((d, d)) / np.sqrt(d),
        f"{prefix}out_proj.bias": rng.standard_normal(d),
    }
    return {key: x for key, x in state.items() if bias or not key.endswith("bias")}


def layer(prefix, d, d_ff, rng, cross=False, bias=True):
    state = attention(f"{prefix}self_attn.", d, rng)
    if cross:
        state |= attention(f"{prefix}multihead_attn.", d, rng)
    state |= {
        f"{prefix}linear1.weight": rng.standard_normal((d_ff, d)) / np.sqrt(d),
        f"{prefix}linear1.bias": rng.standard_normal(d_ff),
        f"{prefix}linear2.weight": rng.standard_normal((d, d_ff)) / np.sqrt(d_ff),
        f"{prefix}linear2.bias": rng.standard_normal(d),
    }
    for i in range(2 + cross):
        state |= norm(f"{prefix}norm{i + 1}.", d, rng)
    return {key: x for key, x in state.items() if bias or not key.endswith("bias")}


def norm(prefix, d, rng):
    return {f"{prefix}weight": rng.uniform(0.5, 1.5, d), f"{prefix}bias": rng.standard_normal(d)}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def states(rng):
    """The six modules, d_model 6, d_ff 7."""
    d, d_ff = 6, 7
    encoder = layer("layers.0.", d, d_ff, rng) | layer("layers.1.", d, d_ff, rng) | norm("norm.", d, rng)
    decoder = layer("layers.0.", d, d_ff, rng, cross=True) | norm("norm.", d, rng)
    return {
        "MultiheadAttention": attention("", d, rng),
        "TransformerEncoderLayer": layer("", d, d_ff, rng),
        "TransformerEncoder": encoder,
        "TransformerDecoderLayer": layer("", d, d_ff, rng, cross=True),
        "TransformerDecoder": decoder,
        "Transformer": {f"encoder.{key}": x for key, x in encoder.items()}
        | {f"decoder.{key}": x for key, x in decoder.items()},
    }
