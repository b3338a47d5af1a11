"""The proof of the encoder-decoder: the points at which it is done, with sequence-to-sequence losses.

The feed-forward blocks have smooth activations here: finite differences of a whole model would reach across
the kinks of the original's relu.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..models import EncoderDecoder, EncoderDecoderConfig
from ..objectives import Seq2Seq
from . import golden
from .models import Array, Point, draw_the_rest, of_the_model, prove_points
from .rows import Row

MODELS: dict[str, dict[str, Any]] = {
    "encoder-decoder, post-norm, sinusoidal, tied": {"activation": "gelu"},
    "encoder-decoder, pre-norm, learned, untied": {
        "norm": "pre",
        "positions": "learned",
        "tied": False,
        "activation": "silu",
    },
}
POST, PRE = MODELS
LABEL_SMOOTHING = {POST: 0.1, PRE: 0.0}


class Sizes(NamedTuple):
    """How large a model and its batch are."""

    vocab_size: int
    d_model: int
    n_heads: int
    d_ff: int
    max_positions: int
    B: int
    S: int
    T: int


# S and T < max_positions leave positions unused.
TINY = Sizes(vocab_size=11, d_model=6, n_heads=3, d_ff=8, max_positions=9, B=5, S=7, T=4)
WIDE = Sizes(vocab_size=61, d_model=48, n_heads=8, d_ff=80, max_positions=20, B=12, S=18, T=16)


def draw_point(label: str, seed: int, sizes: Sizes = TINY) -> Point:
    """Return the point of one of `MODELS` drawn from `seed`.

    Among the pairs are one with a padded source, one with a padded target, one whose source and one whose
    target is nothing but padding.
    """
    B, S, T = sizes.B, sizes.S, sizes.T
    form = {**MODELS[label], "n_encoder_layers": 2, "n_decoder_layers": 2, "dropout": 0.2}
    config = EncoderDecoderConfig(**of_the_model(sizes), **form)
    model, objective = EncoderDecoder(config), Seq2Seq(LABEL_SMOOTHING[label])
    rng = np.random.default_rng([seed, list(MODELS).index(label)])
    source = rng.integers(1, config.vocab_size, (B, S))
    target = rng.integers(1, config.vocab_size, (B, T + 1))  # the input and, one place on, the targets
    source[0, 2], target[0, 2] = source[0, 0], source[0, 0]
    source_mask, target_mask = np.ones(source.shape, dtype=bool), np.ones(target.shape, dtype=bool)
    source_mask[1, S // 2 :] = False
    target_mask[2, T // 2 + 1 :] = False
    source_mask[-2] = False
    target_mask[-1] = False
    source[~source_mask], target[~target_mask] = 0, 0
    batch = objective.make_batch(source, source_mask, target, target_mask)
    return draw_the_rest(rng, model, objective, batch)


def prove_encoder_decoder(seed: int = 0, stored: dict[str, Array] | None = None) -> list[Row]:
    """Check every parameter of each of `MODELS`; parameters and result are those of `prove_encoder`."""
    return prove_points(
        MODELS,
        lambda label: draw_point(label, seed),
        lambda label: draw_point(label, seed, WIDE),
        seed,
        golden.load("golden_encoder_decoder") if stored is None else stored,
    )
