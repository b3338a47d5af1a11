"""The gradient of a loss that couples the whole batch: all vectors first, then their backward.

    1. each lane embeds its micro-batches, in order        vectors
    2. the loss of all the vectors together                their gradient
    3. each lane does the backward of its micro-batches, in order, into its own gradient

Lanes, micro-batches and threads are those of step.py, and so is the promise: the bits are the same on one
thread and on many. Between 1 and 3 the activations of the whole batch wait in memory. With `recompute` they
do not: step 1 keeps the vectors alone, and step 3 runs the forward of one micro-batch at a time again, under
the same dropout, which takes a third more time and gives the same bits.

References
----------
Gao, Zhang, Han, Callan: Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup
(GradCache), arXiv:2101.06983.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np

from ..objectives import Metrics
from .ranks import ALONE, Ranks
from .step import Array, add_up, random_of, served


class Embedded(NamedTuple):
    """A micro-batch between the phases."""

    places: Array
    vectors: Array
    cache: Any  # None where the forward is run again
    rng: Any  # as it was before the forward


def couples(objective: Any) -> bool:
    """Whether the loss of an objective is of a whole batch, and so its method is `couple`."""
    return hasattr(objective, "couple")


def coupled_gradient(
    model: Any,
    objective: Any,
    batch: Any,
    jobs: Sequence[tuple[Any, list[Array]]],
    *,
    generators: Sequence[np.random.Generator] | None,
    executor: Executor | None,
    recompute: bool,
    normalizer: float,
    ranks: Ranks = ALONE,
) -> Metrics:
    """Compute what `step.gradient` computes, for an objective with `embed`, `couple` and `backward`.

    Parameters
    ----------
    model, objective, batch, generators, executor, recompute, normalizer
        As in `step.gradient`.
    jobs : sequence of (Parameters, list of ndarray of int)
        For each lane the place of its gradient, and the places of its micro-batches' examples.
    ranks : Ranks
        Where `batch` is a rank's share: their vectors are told to all.

    Returns
    -------
    Metrics
        Sums over `batch`; of several ranks the first has those of the whole batch, and the others zeros.
    """

    def source(places: Array) -> tuple[Any, Any]:
        part = batch.take(places).trimmed()
        return part, random_of(generators, places, part)

    def embed(lane: Any, pieces: list[Array]) -> list[Embedded]:
        lane.flat[...] = 0
        found = []
        with np.errstate(all="ignore"):  # as in step.py
            for places in pieces:
                part, rng = source(places)
                before = copy.deepcopy(rng) if recompute else None
                vectors, cache = objective.embed(model, part, keep=not recompute, rng=rng)
                found.append(Embedded(places, vectors, None if recompute else cache, before))
        return found

    def backward(lane: Any, embedded: list[Embedded]) -> None:
        with np.errstate(all="ignore"):
            while embedded:  # what a micro-batch kept goes with it
                places, _, cache, rng = embedded.pop(0)
                if recompute:
                    part, _ = source(places)
                    _, cache = objective.embed(model, part, rng=rng)
                objective.backward(model, dvectors[places], cache, lane)

    of_lanes = served(embed, jobs, executor)  # 1
    every = [piece for of_lane in of_lanes for piece in of_lane]
    own = np.empty((len(batch.extents[0]), *every[0].vectors.shape[1:]), every[0].vectors.dtype)
    for piece in every:
        own[piece.places] = piece.vectors
    vectors, start = ranks.all_rows(own)
    with np.errstate(all="ignore"):
        metrics, of_all = objective.couple(vectors, normalizer)  # 2
    dvectors = of_all[start : start + len(own)]
    del every, of_all
    lanes = [lane for lane, _ in jobs]
    served(backward, list(zip(lanes, of_lanes, strict=True)), executor)  # 3
    add_up([lane.flat for lane in lanes], executor)
    return metrics if ranks.rank == 0 else Metrics(0.0, 0, 0)
