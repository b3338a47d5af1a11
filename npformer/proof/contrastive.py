"""The proof of contrastive learning: an encoder under InfoNCE, the vectors of the whole batch coupled."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..models import Encoder, EncoderConfig
from ..objectives import Contrastive
from . import golden
from .encoder import SPECIAL, TINY, WIDE, Sizes
from .models import Array, Point, draw_the_rest, of_the_model, prove_points
from .rows import Row

# For float32. The mean over many tokens is near the same vector for every text. What a bias adds to all of
# them then hardly changes a cosine, and its gradient is a small sum of large numbers.
FEW_TOKENS = WIDE._replace(B=6, T=3)

# texts of an example, the objective, the encoder
MODELS: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    "contrastive, two masks": (
        1,
        {"temperature": 0.3},
        {"norm": "post", "positions": "learned"},
    ),
    "contrastive, hard negatives": (
        3,
        {"temperature": 0.3, "symmetric": True, "pooling": "cls"},
        {"norm": "pre", "positions": "rotary", "rotary_base": 10.0},
    ),
}


def draw_point(label: str, seed: int, sizes: Sizes = TINY) -> Point:
    """Return the point of one of `MODELS` drawn from `seed`."""
    B, T = sizes.B, sizes.T
    texts, of_the_objective, of_the_encoder = MODELS[label]
    form = {**of_the_encoder, "n_layers": 2, "n_segments": 0, "mlm": False, "dropout": 0.2}
    config = EncoderConfig(**of_the_model(sizes), **form)
    model, objective = Encoder(config), Contrastive(**of_the_objective)
    rng = np.random.default_rng([seed, list(MODELS).index(label)])
    ids = rng.integers(SPECIAL, config.vocab_size, (B, texts, T))
    ids[..., 0] = 1
    mask = np.ones((B, texts, T), dtype=bool)
    mask[1, -1, T // 2 + 1 :] = False
    mask[-1, 0] = False  # a text that is nothing but padding
    ids[~mask] = 0
    batch = objective.make_batch(ids, mask)
    return draw_the_rest(rng, model, objective, batch, rotated=config.positions == "rotary")


def prove_contrastive(seed: int = 0, stored: dict[str, Array] | None = None) -> list[Row]:
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
        lambda label: draw_point(label, seed, FEW_TOKENS),
        seed,
        golden.load("golden_contrastive") if stored is None else stored,
    )
