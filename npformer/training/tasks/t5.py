"""Span corruption: spans of a text are taken out, and an encoder-decoder says what they were.

    rows        of the stream of tokens (text/stream.py), which leave room for [CLS] and [SEP]
    pairs       made of a row anew in every epoch: the text without the spans, and the spans
    held out    each row once, by the same rule with draws of their own, the same for every model; the loss
                without label smoothing
    baseline    an n-gram of the targets, which has not read the source, as for pairs

prefix.py has the same, with another rule for the pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...objectives import Seq2SeqBatch, SpanCorruption, TextPairs
from ...text import Document, Packed, Tokenizer, token_rows
from .. import draws
from ..evaluate import Evaluation, small_part
from ..ranks import Ranks
from . import pairs
from .masked import finished as finished
from .masked import left_out as left_out
from .masked import order as order
from .masked import read as read
from .masked import split as split
from .masked import texts as texts
from .pairs import build_model as build_model
from .pairs import model_config as model_config
from .pairs import table as table
from .task import Array, Generators, Make

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..run import Run

SEED = 0
FIXED = 2  # among the draws of evaluation; masked.py has 0 and 1

PRESETS: dict[str, dict[str, Any]] = {
    name: {**preset, "label_smoothing": 0.0, "embedding_init": "cooccurrence"}
    for name, preset in pairs.PRESETS.items()
}
CHOICES = pairs.CHOICES
PARTS = pairs.PARTS
USES = (*pairs.USES, "corruption_rate", "span_length")
LABELS = ("target token", "held out, not smoothed")


def build_objective(config: RunConfig, tokenizer: Tokenizer) -> TextPairs:
    """Return the objective of training."""
    rule = SpanCorruption(
        tokenizer.sentinel_ids, rate=config.corruption_rate, mean_length=config.span_length
    )
    return text_pairs(rule, config, tokenizer)


def text_pairs(rule: Callable[..., Any], config: RunConfig, tokenizer: Tokenizer) -> TextPairs:
    """Return the objective of pairs made by a rule."""
    return TextPairs(
        rule,
        begin=tokenizer.cls_id,
        end=tokenizer.sep_id,
        pad_id=tokenizer.pad_id,
        label_smoothing=config.label_smoothing,
    )


def initial_embeddings(config: RunConfig, train: Packed, vocab_size: int, rng: np.random.Generator) -> Array:
    """Return embeddings out of the company that tokens keep: of a length of 1, as the random ones."""
    from ..cooccurrence import cooccurrence_embeddings  # here: it loads SciPy, which takes long

    return cooccurrence_embeddings(train, vocab_size, config.d_model, rng) * config.d_model**-0.5


def rows(part: Iterable[Document], tokenizer: Tokenizer, config: RunConfig) -> Iterable[list[int]]:
    """Yield the stream in rows, the last token of each the first of the next."""
    return token_rows(part, tokenizer, width(config.seq_len) - 1)


def width(seq_len: int) -> int:
    """Return the most tokens of a row: [CLS] and [SEP] are not among them."""
    return seq_len - 2


def batch(
    config: RunConfig, objective: Any, train: Packed, chosen: Array, generators: Generators
) -> tuple[Make, tuple[int, int]]:
    """Return the function that makes pairs of some of the chosen rows, and the shape of all at most."""

    def make(places: Array) -> Seq2SeqBatch:
        made: Seq2SeqBatch = objective.make_batch(*train.rows(chosen[places]), generators(places))
        return made

    return make, (len(chosen), config.seq_len)


def fixed_draws(n: int) -> list[np.random.Generator]:
    """Return the source of the draws for n held-out rows, the same whenever it is asked for: one for all."""
    return n * [draws.generator(SEED, draws.EVALUATION, FIXED)]


def evaluation(config: RunConfig, tokenizer: Tokenizer, held_out: Packed) -> Evaluation:
    """Return the held-out rows as fixed pairs."""
    objective = config.task.build_objective(replace(config, label_smoothing=0.0), tokenizer)
    batches = [objective.make_batch(*held_out, fixed_draws(len(held_out.ids)))]
    return Evaluation(objective, batches, small_part(batches), True)


def compare(
    run: Run, model: Any, held_out: Evaluation, executor: Executor | None, ranks: Ranks
) -> dict[str, Any]:
    """Return the scores of an n-gram of the targets and the encoder-decoder, as of pairs."""

    def targets(packed: Packed) -> Array:
        made = held_out.objective.pairs(*packed.rows(slice(None)), fixed_draws(len(packed.ids)))
        return np.concatenate([target for _, target in made])

    return pairs.compare_with_ngram(run, model, held_out, targets, executor, ranks)


def try_it(run: Run) -> list[str]:
    """Return the arguments of `npformer generate` with a held-out source."""
    objective = run.config.task.build_objective(run.config, run.tokenizer)
    ((source, _),) = objective.pairs(*run.held_out.rows(slice(0, 1)), fixed_draws(1))
    return ["generate", str(run.folder), "--source", run.tokenizer.decode(source)]
