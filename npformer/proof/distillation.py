"""The proof of span corruption and of distillation: the points at which they are done, with whole models.

    span corruption    an encoder-decoder, batches of corrupted texts of different lengths
    distillation       a masked LM and a causal one, each with a wider teacher of one layer, whose logits are
                       computed once for each point: they are constants
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..models import Decoder, DecoderConfig, Encoder, EncoderConfig, EncoderDecoder, EncoderDecoderConfig
from ..objectives import CausalLM, Distillation, SpanCorruption, TextPairs
from ..objectives.span_corruption import sentinels_needed
from . import golden
from .encoder import SPECIAL, TINY, WIDE, Sizes, objective_of
from .models import (
    Array,
    Point,
    draw_the_rest,
    generic_parameters,
    of_the_model,
    prove_points,
)
from .rows import Row

SPANS, MASKED, CAUSAL = (
    "encoder-decoder, span corruption",
    "encoder, distillation",
    "decoder, distillation",
)
MODELS = (SPANS, MASKED, CAUSAL)
ALPHA, TEMPERATURE = 0.7, 1.7
LABEL_SMOOTHING = 0.1
SPAN_RATE, SPAN_LENGTH = 0.4, 1.0


def draw_point(label: str, seed: int, sizes: Sizes = TINY) -> Point:
    """Return the point of one of `MODELS` drawn from `seed`."""
    rng = np.random.default_rng([seed, MODELS.index(label)])
    draw = _span_corruption if label == SPANS else _distillation
    model, objective, batch = draw(label, rng, sizes)
    return draw_the_rest(rng, model, objective, batch, rotated=label == CAUSAL)


def _span_corruption(label: str, rng: np.random.Generator, sizes: Sizes) -> tuple[Any, Any, Any]:
    B, T = sizes.B, sizes.T
    layers: dict[str, Any] = {"n_encoder_layers": 2, "n_decoder_layers": 2}
    config = EncoderDecoderConfig(**of_the_model(sizes), **layers, activation="gelu", dropout=0.2)
    first = SPECIAL + sentinels_needed(T, SPAN_RATE, SPAN_LENGTH)
    rule = SpanCorruption(range(SPECIAL, first), rate=SPAN_RATE, mean_length=SPAN_LENGTH)
    objective = TextPairs(rule, begin=1, end=2, pad_id=0, label_smoothing=LABEL_SMOOTHING)
    ids = rng.integers(first, config.vocab_size, (B, T))
    lengths = rng.integers(T // 2, T + 1, B)
    lengths[0] = T
    batch = objective.make_batch(ids, np.arange(T) < lengths[:, None], rng.spawn(B))
    batch.source_ids[-1], batch.source_mask[-1] = 0, False  # a source that is nothing but padding
    return EncoderDecoder(config), objective, batch


def _distillation(label: str, rng: np.random.Generator, sizes: Sizes) -> tuple[Any, Any, Any]:
    B, T, values = sizes.B, sizes.T, of_the_model(sizes)
    student, predicting = model_and_objective(label, 2, dropout=0.2, **values)
    wider = {**values, "d_model": 2 * sizes.d_model, "d_ff": 2 * sizes.d_ff}
    teacher, _ = model_and_objective(label, 1, dropout=0.0, **wider)
    teacher.params.flat[...] = generic_parameters(teacher, rng).flat
    ids = rng.integers(SPECIAL, sizes.vocab_size, (B, T))
    mask = np.ones((B, T), dtype=bool)
    mask[1, T // 2 + 1 :] = False
    mask[-1] = False
    ids[~mask] = 0
    if label == MASKED:
        segment_ids = np.where(np.arange(T) < T // 2 + 1, 0, 1) * np.ones((B, 1), dtype=int)
        chosen = rng.random((B, T)) < 0.4
        chosen[0, [1, 4]] = True  # never none
        made = predicting.corrupt(ids, mask, chosen, *rng.random((2, B, T)), segment_ids)
    else:
        made = predicting.make_batch(ids, mask)
    log_q = Distillation(predicting, teacher, ALPHA, TEMPERATURE).log_soft_targets(made)
    absent = dict.fromkeys(SoftBatch._fields)
    batch = SoftBatch(**{**absent, **made._asdict(), "log_q": log_q})
    return student, Remembered(predicting, teacher, ALPHA, TEMPERATURE), batch


def model_and_objective(label: str, n_layers: int, **values: Any) -> tuple[Any, Any]:
    """Return a student or a teacher, and what it predicts."""
    if label == MASKED:
        config = EncoderConfig(norm="post", positions="learned", n_layers=n_layers, **values)
        return Encoder(config, dtype=np.float64), objective_of(config)
    form: dict[str, Any] = {"positions": "rotary", "rotary_base": 10.0}
    return Decoder(DecoderConfig(n_layers=n_layers, **form, **values), dtype=np.float64), CausalLM()


class SoftBatch(NamedTuple):
    """A batch of masked or causal LM with what the teacher thinks of its targets."""

    ids: Array  # (B, T)
    mask: Array  # (B, T)
    segment_ids: Array | None  # (B, T)
    prefix: Array | None
    at: Array  # (n,)
    targets: Array  # (n,)
    log_q: Array  # (n, V)

    @property
    def n_targets(self) -> int:
        """Number of targets."""
        return int(self.at.size)


class Remembered(Distillation):
    """Distillation with soft targets out of the batch: the teacher is asked once for each point."""

    def log_soft_targets(self, batch: SoftBatch) -> Array:
        """Return log q."""
        return batch.log_q


def prove_distillation(seed: int = 0, stored: dict[str, Array] | None = None) -> list[Row]:
    """Check every parameter of each of `MODELS`; parameters and result are those of `prove_encoder`."""
    return prove_points(
        MODELS,
        lambda label: draw_point(label, seed),
        lambda label: draw_point(label, seed, WIDE),
        seed,
        golden.load("golden_distillation") if stored is None else stored,
    )
