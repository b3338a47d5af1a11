"""The proof of the encoder: the points at which it is done, with masked LM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..models import Encoder, EncoderConfig
from ..objectives import MaskedLM
from . import golden
from .models import Array, Point, draw_the_rest, of_the_model, prove_points
from .rows import Row

SPECIAL = 4  # ids 0 to 3 stand for [PAD], [CLS], [SEP] and [MASK]

MODELS: dict[str, dict[str, Any]] = {
    "encoder, post-norm, learned": {"norm": "post", "positions": "learned"},
    "encoder, pre-norm, rotary": {"norm": "pre", "positions": "rotary", "rotary_base": 10.0},
}


class Sizes(NamedTuple):
    """How large a model and its batch are."""

    vocab_size: int
    d_model: int
    n_heads: int
    d_ff: int
    max_positions: int
    B: int
    T: int


# T < max_positions leaves positions unused.
TINY = Sizes(vocab_size=13, d_model=6, n_heads=3, d_ff=7, max_positions=8, B=4, T=5)
WIDE = Sizes(vocab_size=61, d_model=48, n_heads=8, d_ff=80, max_positions=20, B=12, T=16)


def objective_of(config: EncoderConfig) -> MaskedLM:
    """Return masked LM over the small vocabulary, with more targets than usual."""
    return MaskedLM(config.vocab_size, mask_id=SPECIAL - 1, special_ids=range(SPECIAL), rate=0.4)


def draw_texts(rng: np.random.Generator, vocab_size: int, B: int, T: int) -> tuple[Array, Array, Array]:
    """Return ids, mask and segment ids (B, T) of texts: the second is padded, the last all padding."""
    ids = rng.integers(SPECIAL, vocab_size, (B, T))
    ids[:, 0] = 1
    mask = np.ones((B, T), dtype=bool)
    mask[1, T // 2 + 1 :] = False
    mask[-1] = False
    ids[~mask] = 0
    segment_ids = np.where(np.arange(T) < T // 2 + 1, 0, 1) * np.ones((B, 1), dtype=int)
    return ids, mask, segment_ids


def draw_point(
    label: str, seed: int, sizes: Sizes = TINY, models: Mapping[str, Mapping[str, Any]] = MODELS
) -> Point:
    """Return the point of one of `models` drawn from `seed`."""
    B, T = sizes.B, sizes.T
    config = EncoderConfig(**of_the_model(sizes), **models[label], n_layers=2, dropout=0.2)
    model, objective = Encoder(config), objective_of(config)
    rng = np.random.default_rng([seed, list(models).index(label)])
    ids, mask, segment_ids = draw_texts(rng, config.vocab_size, B, T)
    chosen = rng.random((B, T)) < 0.4
    chosen[0, [1, 4]] = True  # never none
    how, which = rng.random((B, T)), rng.random((B, T))
    batch = objective.corrupt(ids, mask, chosen, how, which, segment_ids)
    return draw_the_rest(rng, model, objective, batch, rotated=config.positions == "rotary")


def prove_encoder(seed: int = 0, stored: dict[str, Array] | None = None) -> list[Row]:
    """Check every parameter of each of `MODELS`, at the point drawn from `seed`.

    Parameters
    ----------
    seed : int
    stored : dict, optional
        In place of the installed values from PyTorch, which belong to the points of seed 0.

    Returns
    -------
    list of Row
        For each model the loss ("out") and each parameter.
    """
    return prove_points(
        MODELS,
        lambda label: draw_point(label, seed),
        lambda label: draw_point(label, seed, WIDE),
        seed,
        golden.load("golden_encoder") if stored is None else stored,
    )
