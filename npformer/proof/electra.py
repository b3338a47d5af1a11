"""The proof of ELECTRA: generator and discriminator, each with its own loss, of every parameter of both.

The tokens that the generator has put in are held: they are part of the batch. So the discriminator's loss has
no gradient in what is the generator's alone, nor the generator's in what is the discriminator's, and the
shared embeddings have one in both. The form is the paper's; other forms of an encoder are proven in
encoder.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..models import Electra, ElectraConfig, EncoderConfig
from ..objectives import ReplacedTokens
from . import golden
from .encoder import SPECIAL, draw_texts
from .models import Array, Point, draw_the_rest, of_the_model, prove_points
from .rows import Row

WEIGHTS = {"generator": (1.0, 0.0), "discriminator": (0.0, 50.0)}  # of the two losses
MODELS = {f"electra, the {part}'s loss": part for part in WEIGHTS}


class Sizes(NamedTuple):
    """How large a discriminator and its batch are."""

    vocab_size: int
    d_model: int
    n_heads: int
    d_ff: int
    d_embedding: int
    max_positions: int
    B: int
    T: int


# T < max_positions leaves positions unused; two of three heads are the generator's.
TINY = Sizes(vocab_size=13, d_model=6, n_heads=3, d_ff=7, d_embedding=5, max_positions=8, B=4, T=5)
WIDE = Sizes(vocab_size=61, d_model=48, n_heads=6, d_ff=80, d_embedding=40, max_positions=20, B=12, T=16)


def draw_point(label: str, seed: int, sizes: Sizes = TINY) -> Point:
    """Return the point of one of `MODELS` drawn from `seed`."""
    part = MODELS[label]
    B, T = sizes.B, sizes.T
    config = ElectraConfig.scaled(EncoderConfig(**of_the_model(sizes), n_layers=2, dropout=0.2), 2 / 3)
    model = Electra(config)
    own, other = WEIGHTS[part]
    objective = ReplacedTokens(
        config.vocab_size, SPECIAL - 1, range(SPECIAL), 0.4, weight=other, generator_weight=own
    )
    rng = np.random.default_rng([seed, 2])  # the same point for both losses
    ids, mask, segment_ids = draw_texts(rng, config.vocab_size, B, T)
    chosen = rng.random((B, T)) < 0.4
    chosen[0, [1, 2, 4]] = True  # never fewer
    batch = objective.masked(ids, mask, chosen, rng.random((B, T)), segment_ids)
    tokens = rng.integers(SPECIAL, config.vocab_size, batch.at.size)
    tokens[0] = batch.targets[0]  # a happy guess
    tokens[1] = SPECIAL + (batch.targets[1] - SPECIAL + 1) % (config.vocab_size - SPECIAL)  # and a wrong one
    point = draw_the_rest(rng, model, objective, batch._replace(tokens=tokens))
    apart = frozenset(name for name in point.params if _owner(name) not in ("both", part))
    return replace(point, zero=point.zero | apart, apart=apart)


def _owner(name: str) -> str:
    if name.startswith("embeddings.") and not name.startswith("embeddings.projection."):
        return "both"
    return "generator" if name.startswith("generator.") else "discriminator"


def prove_electra(seed: int = 0, stored: dict[str, Array] | None = None) -> list[Row]:
    """Check every parameter by each of the two losses, at the points drawn from `seed`.

    Parameters
    ----------
    seed : int
    stored : dict, optional
        In place of the installed values from PyTorch, which belong to the points of seed 0.

    Returns
    -------
    list of Row
        For each of `MODELS` the loss ("out") and each parameter.
    """
    return prove_points(
        MODELS,
        lambda label: draw_point(label, seed),
        lambda label: draw_point(label, seed, WIDE),
        seed,
        golden.load("golden_electra") if stored is None else stored,
    )
