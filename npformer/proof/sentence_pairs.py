"""The proof of masked LM together with next-sentence prediction: BERT's encoder with its pooler, both heads.

The model, the sequences and the masked words are those of the encoder's proof, seed by seed; parameters are
drawn anew. The parts have different weights.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..models import Encoder
from ..objectives import NextSentence, Summed
from ..objectives._pairs import SentencePairs
from . import encoder, golden
from .models import Array, Point, generic_parameters, prove_points
from .rows import Row

LABEL = "encoder, masked words and pairs"
WEIGHTS = (1.0, 0.5)


def draw_point(label: str, seed: int, sizes: encoder.Sizes = encoder.TINY) -> Point:
    """Return the point drawn from `seed`; there is one `label`."""
    words = encoder.draw_point(next(iter(encoder.MODELS)), seed, sizes)
    model = Encoder(replace(words.model.config, pooler=True, pair_head=True))
    objective = Summed({"mlm": words.objective, "nsp": NextSentence(1, 2, 0)}, WEIGHTS)
    rng = np.random.default_rng([seed, 2])
    B, T = words.batch.shape
    real = np.flatnonzero(words.batch.mask[:, 0])  # a sequence of padding is no pair
    classes = np.arange(B) == 1  # were as many of each, the head's bias would have hardly any gradient
    ids, mask, segment_ids = words.batch[:3]
    pairs = SentencePairs(ids, mask, segment_ids, T * real, classes[real].astype(int))
    batch = objective.join(words.batch, pairs)
    params = generic_parameters(model, rng)
    return Point(model, objective, params, batch, words.random, words.zero)


def prove_sentence_pairs(seed: int = 0, stored: dict[str, Array] | None = None) -> list[Row]:
    """Check every parameter at the point drawn from `seed`.

    Parameters
    ----------
    seed : int
    stored : dict, optional
        In place of the installed values from PyTorch, which belong to the point of seed 0.

    Returns
    -------
    list of Row
        The loss ("out") and each parameter.
    """
    return prove_points(
        [LABEL],
        lambda label: draw_point(label, seed),
        lambda label: draw_point(label, seed, encoder.WIDE),
        seed,
        golden.load("golden_sentence_pairs") if stored is None else stored,
    )
