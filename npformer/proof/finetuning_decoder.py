"""The proof of fine-tuning a decoder: each head and each pooling, on GPT-2's form or Llama's."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..models import Decoder, DecoderConfig
from . import decoder, golden
from .decoder import GPT2, LLAMA
from .encoder import draw_texts
from .finetuning import CLASSIFY, DROPOUT, N_LABELS, TASK_DROPOUT, draw_labels
from .models import Array, Point, draw_the_rest, prove_points
from .rows import Row

LAST = {"task_pooling": "last"}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "decoder, classification, mean": (LLAMA, CLASSIFY),
    "decoder, classification, last": (GPT2, {**CLASSIFY, **LAST}),
    "decoder, regression, last": (LLAMA, {"task": "regress", "n_labels": 1, **LAST}),
    "decoder, tagging": (GPT2, {"task": "tag", "n_labels": N_LABELS}),
}
FEW_TOKENS = 6  # as for the encoder: the means of many tokens' outputs are nearly the same


def draw_point(label: str, seed: int, wide: bool = False) -> Point:
    """Return the point of one of `MODELS` drawn from `seed`."""
    form, head = MODELS[label]
    sizes, B, T = (decoder.WIDE if wide else decoder.TINY)[form]
    values = {**sizes, **decoder.MODELS[form], **head, "lm": False}
    config = DecoderConfig(**values, n_layers=2, dropout=DROPOUT, task_dropout=TASK_DROPOUT)
    model = Decoder(config)
    rng = np.random.default_rng([seed, list(MODELS).index(label)])
    ids, mask, _ = draw_texts(rng, config.vocab_size, B, FEW_TOKENS if wide else T)
    objective, batch = draw_labels(rng, config.task, ids, mask)
    if config.task == "regress":  # far off, or the bias's gradient is a small sum of large errors
        batch = batch._replace(targets=batch.targets + 4)
    return draw_the_rest(rng, model, objective, batch)  # Llama's form has no key bias


def prove_finetuning_decoder(seed: int = 0, stored: dict[str, Array] | None = None) -> list[Row]:
    """Check every parameter of each of `MODELS`; parameters and result are those of `prove_finetuning`."""
    return prove_points(
        MODELS,
        lambda label: draw_point(label, seed),
        lambda label: draw_point(label, seed, wide=True),
        seed,
        golden.load("golden_finetuning_decoder") if stored is None else stored,
    )
