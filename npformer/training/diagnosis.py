"""Where a loss or a gradient first stopped being finite."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .step import micro_batches, random_of, tokens_at_once


class NotFinite(NamedTuple):
    """The first place, in the order of computation, where something was not finite."""

    where: str
    sequences: tuple[int, int] | None  # the micro-batch that showed it, [start, stop); None: the whole batch


def find_not_finite(
    model: Any,
    objective: Any,
    batch: Any,
    generators: Sequence[np.random.Generator] | None = None,
    micro_tokens: int | None = None,
) -> NotFinite:
    """Compute a batch's loss and gradient again and name the first block with a NaN or an infinity.

    Parameters
    ----------
    model, objective, batch, generators, micro_tokens
        As in `step.gradient`; the generators fresh, so that dropout falls on the same elements.

    Returns
    -------
    NotFinite
        A block of the forward in the order of computation, else the loss, else the parameter whose
        gradient comes first in the backward. A parameter that is not finite itself is named with its block.
    """
    B, T = batch.shape
    pieces = micro_batches(0, B, T, micro_tokens or tokens_at_once(model.config.d_model))
    bad = [name for name, value in model.params.items() if not np.isfinite(value).all()]
    grads = model.params.zeros_like()
    with np.errstate(all="ignore"):
        for a, b in pieces:
            part = batch.rows(a, b)
            if part.n_targets == 0:
                continue
            rng = copy.deepcopy(random_of(generators, range(a, b), part))
            hidden, cache = objective.forward(model, part, collect=model.collectable, keep=False, rng=rng)
            for name in model.collectable:
                if not np.isfinite(cache.collected[name]).all():
                    return NotFinite(f"the output of {name}{_and_parameter(name, bad)}", (a, b))
            if not np.isfinite(hidden).all():  # what is collected comes before the last norm
                last = f"{model.collectable[-1].partition('.')[0]}.norm"
                return NotFinite(f"the output of {last}{_and_parameter(last, bad)}", (a, b))
            if objective.head is None:
                continue
            logits, _ = getattr(model, objective.head).forward(model.params, hidden, False)
            if not np.isfinite(logits).all():
                of_head = [name for name in bad if name.startswith(("mlm.", "lm_head.", "embeddings.token"))]
                return NotFinite(f"the logits{_named(of_head)}", (a, b))
        # The forward is sound, so only now is a backward worth its time.
        for a, b in pieces:
            part = batch.rows(a, b)
            rng = random_of(generators, range(a, b), part)
            normalizer = max(batch.n_targets, 1)
            metrics = objective.loss_and_grad(model, part, grads, normalizer=normalizer, rng=rng)
            if not np.isfinite(metrics.loss_sum):
                return NotFinite("the loss", (a, b))
            for name in reversed(list(grads)):  # parameters lie in the order of the forward
                if not np.isfinite(grads[name]).all():
                    return NotFinite(f"the gradient of {name}", (a, b))
    return NotFinite(f"parameter {bad[0]}", None) if bad else NotFinite("the sum of the gradients", None)


def _and_parameter(block: str, bad: Sequence[str]) -> str:
    """Name the first of the `bad` parameters that the block uses: its own or its norm's."""
    block = block.removeprefix("source_")  # source and target share their embeddings
    return _named([name for name in bad if name.startswith((f"{block}.", f"{block}_norm."))])


def _named(parameters: Sequence[str]) -> str:
    return f" (parameter {parameters[0]} is not finite)" if parameters else ""
