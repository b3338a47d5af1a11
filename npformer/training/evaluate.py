"""Held-out evaluation on a fixed corruption: 15 % of the tokens, the same ones for every model.

    u          a uniform number for each position, from a fixed seed
    pass k     has as targets the ordinary tokens with 0.15 k <= u < 0.15 (k + 1)

so that each pass hides 15 %, as always, and no position is a target twice. A small held-out part takes
several passes (six at most) to come to 10,000 positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

from ..objectives import MaskedLM, MaskedLMBatch, Metrics
from ..text import Packed, WordPieceTokenizer
from . import draws
from .ranks import ALONE, Ranks
from .step import micro_batches, tokens_at_once

RATE = 0.15
POSITIONS = 10_000
PASSES = 6
SEED = 0


def fixed_corruptions(
    held_out: Packed, tokenizer: WordPieceTokenizer, at_least: int = POSITIONS
) -> list[MaskedLMBatch]:
    """Return the corrupted held-out sequences, as many passes as it takes.

    Parameters
    ----------
    held_out : Packed
    tokenizer : WordPieceTokenizer
    at_least : int
        Positions wanted; there are fewer if six passes over the text do not give them.

    Returns
    -------
    list of MaskedLMBatch
        One for each pass. Their targets are disjoint.
    """
    objective = MaskedLM(tokenizer.vocab_size, tokenizer.mask_id, tokenizer.special_ids, RATE)
    shape = held_out.ids.shape
    u = draws.generator(SEED, draws.EVALUATION, 0).random(shape)
    batches: list[MaskedLMBatch] = []
    while len(batches) < PASSES and sum(batch.n_targets for batch in batches) < at_least:
        k = len(batches)
        rng = draws.generator(SEED, draws.EVALUATION, 1, k)
        chosen = (u >= RATE * k) & (u < RATE * (k + 1))
        how, which = rng.random((2, *shape))
        batches.append(objective.corrupt(held_out.ids, held_out.mask, chosen, how, which))
    return batches


def evaluate(
    model: Any,
    objective: Any,
    batches: Sequence[MaskedLMBatch],
    executor: Executor | None = None,
    ranks: Ranks = ALONE,
) -> Metrics:
    """Return the summed loss of `model` on `batches`; the bits do not depend on the number of threads.

    All `ranks` call it, each works on its share, and all get the sums.
    """
    tokens = tokens_at_once(model.config.d_model)
    pieces = []
    for batch in batches:
        B, T = batch.ids.shape
        pieces += [batch.rows(a, b) for a, b in micro_batches(0, B, T, tokens)]
    pieces = pieces[slice(*ranks.share(len(pieces)))]
    run: Callable[..., Any] = map if executor is None else executor.map
    total = Metrics(0.0, 0, 0)
    for metrics in run(lambda piece: objective.loss_and_grad(model, piece, None, normalizer=1), pieces):
        total += metrics
    return Metrics(*ranks.sums(*total))


def small_part(batches: Sequence[MaskedLMBatch], tokens: int = 8192) -> list[MaskedLMBatch]:
    """Return the first sequences of the first pass, for a look at the loss while training goes on."""
    first = batches[0]
    return [first.rows(0, max(1, min(len(first.ids), tokens // first.ids.shape[1])))]
