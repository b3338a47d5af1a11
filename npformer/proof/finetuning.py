"""The proof of fine-tuning: an encoder with each head, through each objective."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..models import Encoder, EncoderConfig
from ..objectives import Regression, SequenceClassification, Similarity, TokenClassification
from . import golden
from .encoder import TINY, WIDE, Sizes, draw_texts
from .models import Array, Point, draw_the_rest, of_the_model, prove_points
from .rows import Row

# One for each label: the smallest is not 1, so that scaling them shows.
CLASS_WEIGHTS = (0.5, 2.0, 1.25, 0.75, 3.0, 0.25, 1.5, 1.0, 2.5)
N_LABELS = len(CLASS_WEIGHTS)

POST = {"norm": "post", "positions": "learned"}
PRE = {"norm": "pre", "positions": "rotary", "rotary_base": 10.0}
CLASSIFY = {"task": "classify", "n_labels": N_LABELS}
POOLER = {"task_pooling": "pooler", "pooler": True}
MODELS: dict[str, dict[str, Any]] = {
    "classification, mean": {**PRE, **CLASSIFY},
    "classification, cls": {**POST, **CLASSIFY, "task_pooling": "cls"},
    "regression, pooler": {**POST, "task": "regress", "n_labels": 1, **POOLER},
    "tagging": {**PRE, "task": "tag", "n_labels": N_LABELS},
    "similarity": POST,
}
DROPOUT, TASK_DROPOUT = 0.2, 0.3

# The means of many tokens' outputs are nearly the same at random weights, and float32 has few digits of what
# is then left of the difference of two texts.
FEW_TOKENS = WIDE._replace(T=6)


def draw_point(label: str, seed: int, sizes: Sizes = TINY) -> Point:
    """Return the point of one of `MODELS` drawn from `seed`."""
    B, T = sizes.B, sizes.T
    form = {**MODELS[label], "n_layers": 2, "mlm": False, "dropout": DROPOUT, "task_dropout": TASK_DROPOUT}
    config = EncoderConfig(**of_the_model(sizes), **form)
    model = Encoder(config)
    rng = np.random.default_rng([seed, list(MODELS).index(label)])
    ids, mask, segment_ids = draw_texts(rng, config.vocab_size, 2 * B if label == "similarity" else B, T)
    objective: Any
    batch: Any
    if label == "similarity":
        objective = Similarity()
        of_pairs = [x.reshape(B, 2, T) for x in (ids, mask, segment_ids)]  # the last one's second is empty
        batch = objective.make_batch(*of_pairs[:2], rng.uniform(-1, 1, B), of_pairs[2])
    else:
        objective, batch = draw_labels(rng, config.task, ids, mask, segment_ids)
    return draw_the_rest(rng, model, objective, batch, rotated=config.positions == "rotary")


def draw_labels(
    rng: np.random.Generator, task: str | None, ids: Array, mask: Array, segment_ids: Array | None = None
) -> tuple[Any, Any]:
    """Return the objective of a head's task, and a batch of texts with labels drawn for them."""
    B, T = ids.shape
    objective: Any
    if task == "tag":
        objective = TokenClassification(N_LABELS, CLASS_WEIGHTS)
        first_pieces = mask & (rng.random((B, T)) < 0.6)
        first_pieces[0, [1, 4]] = True  # never none
        at = np.flatnonzero(first_pieces)
        return objective, objective.make_batch(ids, mask, at, rng.integers(0, N_LABELS, at.size), segment_ids)
    if task == "regress":
        objective = Regression()
        return objective, objective.make_batch(ids, mask, rng.standard_normal(B), segment_ids)
    objective = SequenceClassification(N_LABELS, CLASS_WEIGHTS)
    return objective, objective.make_batch(ids, mask, rng.integers(0, N_LABELS, B), segment_ids)


def prove_finetuning(seed: int = 0, stored: dict[str, Array] | None = None) -> list[Row]:
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
        golden.load("golden_finetuning") if stored is None else stored,
    )
