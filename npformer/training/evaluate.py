"""Held-out evaluation: the same batches for every model, and what their loss means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np

from ..objectives import Metrics, bits_per_byte, perplexity
from .coupled_step import couples
from .ranks import ALONE, Ranks
from .step import cut_batch, tokens_at_once

POSITIONS = 10_000  # targets, below which a figure is rough


class Evaluation(NamedTuple):
    """The held-out part, ready to be judged on."""

    objective: Any  # without what is for training alone, such as label smoothing
    batches: list[Any]
    look: list[Any]  # some of it, for a look at the loss while training goes on
    is_language: bool = False  # the loss is that of text from left to right: its perplexity means something
    characters: int = 0  # in the text of all targets; 0: the loss says nothing of whole text
    bytes: int = 0  # of that in UTF-8

    def figures(self, loss: float) -> dict[str, float]:
        """Return what a mean loss in nats comes to: perplexity, bits per character and per byte.

        The last two take as many tokens for a character as there are in the whole part: a look's own tokens,
        where they are pieces of words, stand for a little more text or less.
        """
        found = {}
        if self.is_language:
            found["perplexity"] = perplexity(min(loss, 700.0))  # more has no number, or none in JSON
        targets = sum(batch.n_targets for batch in self.batches)
        for name, n in (("bits_per_character", self.characters), ("bits_per_byte", self.bytes)):
            if n:
                found[name] = bits_per_byte(loss * targets, n)
        return found


def evaluate(
    model: Any,
    objective: Any,
    batches: Sequence[Any],
    executor: Executor | None = None,
    ranks: Ranks = ALONE,
) -> Metrics:
    """Return the summed loss of `model` on `batches`; the bits do not depend on the number of threads.

    All `ranks` call it, each works on its share, and all get the sums.
    """
    tokens = tokens_at_once(model.config.d_model)
    pieces = []
    for batch in batches:
        first, stop = batch.extents
        (of_batch,) = [[np.arange(stop.size)]] if couples(objective) else cut_batch(stop - first, 1, tokens)
        pieces += [(batch, places) for places in of_batch]
    pieces = pieces[slice(*ranks.share(len(pieces)))]

    def work(piece: tuple[Any, Any]) -> Metrics:
        batch, places = piece
        found: Metrics = objective.loss_and_grad(model, batch.take(places).trimmed(), None, normalizer=1)
        return found

    run: Callable[..., Any] = map if executor is None else executor.map
    total = Metrics(0.0, 0, 0)
    for metrics in run(work, pieces):
        total += metrics
    return Metrics(*ranks.sums(*total))


def small_part(batches: Sequence[Any], tokens: int = 8192) -> list[Any]:
    """Return the first sequences of the first batch, for a look at the loss while training goes on."""
    first = batches[0]
    B, T = first.shape
    return [first.rows(0, max(1, min(B, tokens // T)))]
