"""Seconds of a training step on R machines, by formula: collective operations, three ways to share a step.

Pure functions of sizes, rates and links, each derived in docs/scaling.md and tested against a simulation of
single messages (tests/benchmarks/test_plan.py). plan.py has the rates and links, and what follows from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from counts import FLOAT32, flops, parameters
from workload import Sizes


class Link(NamedTuple):
    """A network: bytes a second that one stream reaches, and seconds before the first byte arrives."""

    name: str
    bandwidth: float
    latency: float


class Node(NamedTuple):
    """A machine."""

    name: str
    rate: float  # FLOP a second of the step's products
    update: float  # seconds a parameter
    lanes: int
    noise: float  # standard deviation of its time for the same work, as a share of it


class Step(NamedTuple):
    """Seconds of one step: each part, what is not hidden of it."""

    compute: float
    waiting: float  # for the slowest node
    exposed: float  # communication that nothing hides
    update: float

    @property
    def total(self) -> float:
        """The whole step."""
        return sum(self)


# Collective operations: R ranks, n bytes each; seconds.


def ring_all_reduce(n: float, R: int, link: Link) -> float:
    """R - 1 steps that sum, R - 1 that spread, n / R bytes each: 2 (R - 1) (latency + n / R / bandwidth).

    >>> ring_all_reduce(100.0, 4, Link("slow", bandwidth=10.0, latency=1.0))
    21.0
    """
    return reduce_scatter(n, R, link) + all_gather(n, R, link)


def reduce_scatter(n: float, R: int, link: Link) -> float:
    """The first half of a ring: each rank ends with the sum of n / R bytes of its own."""
    return (R - 1) * (link.latency + n / R / link.bandwidth)


def all_gather(n: float, R: int, link: Link) -> float:
    """The other half: each rank's n / R bytes go to everybody."""
    return (R - 1) * (link.latency + n / R / link.bandwidth)


def doubling_all_reduce(n: float, R: int, link: Link) -> float:
    """Recursive doubling: log2 R exchanges of everything, between pairs twice as far apart each time."""
    return _rounds(R) * (link.latency + n / link.bandwidth)


def halving_all_reduce(n: float, R: int, link: Link) -> float:
    """Recursive halving, then doubling: log2 R exchanges of n/2, n/4, ... and the same back."""
    return 2 * _rounds(R) * link.latency + 2 * (R - 1) / R * n / link.bandwidth


def _rounds(R: int) -> int:
    if R & (R - 1):
        raise ValueError(f"R: expected a power of 2, got {R}")
    return R.bit_length() - 1


# A step


def overlapped(ready: Sequence[float], took: Sequence[float]) -> float:
    """When the last bucket is through: a link carries one at a time, in order, none before it is ready.

    >>> overlapped([1.0, 2.0, 3.0], [0.5, 2.0, 1.0])  # ends at 1.5, 4.0 and 5.0
    5.0
    """
    end = 0.0
    for at, seconds in zip(ready, took, strict=True):
        end = max(at, end) + seconds
    return end


def expected_max(R: int) -> float:
    """Expected largest of R standard normal numbers: the integral of x R phi(x) Phi(x)^(R-1).

    >>> round(expected_max(2) - 1 / math.sqrt(math.pi), 9) + 0.0
    0.0
    """
    width, total = 1e-2, 0.0  # so smooth an integrand that this is exact to rounding
    for i in range(-900, 901):
        x = i * width
        cdf = 0.5 * math.erfc(-x / math.sqrt(2))
        total += x * R * math.exp(-x * x / 2) * cdf ** (R - 1)
    return total * width / math.sqrt(2 * math.pi)


def buckets(s: Sizes) -> list[float]:
    """Bytes of the gradient in the order in which a backward completes it: layers, last to first; the rest.

    The embedding is tied to the head: begun by the first product of the backward and complete after the last.
    """
    layer = (parameters(s) - parameters(s._replace(L=0))) / s.L
    return [FLOAT32 * layer] * s.L + [FLOAT32 * parameters(s._replace(L=0))]


def micro_tokens(s: Sizes) -> int:
    """Tokens of a micro-batch, as npformer cuts them: whole sequences, fewer in a wider model, one at least.

    >>> bert = Sizes(L=12, d=768, h=12, d_ff=3072, V=30522, T=512, B=256)
    >>> micro_tokens(bert), micro_tokens(bert._replace(T=128))
    (512, 256)
    """
    from npformer.training.step import tokens_at_once  # loads NumPy, whose threads plan.measure sets before

    return max(tokens_at_once(s.d) // s.T, 1) * s.T


def micro_batches(s: Sizes, R: int, lanes: int) -> float:
    """How many a lane works through, one after the other."""
    return max(s.B * s.T / R / lanes / micro_tokens(s), 1.0)


def data_parallel(s: Sizes, node: Node, link: Link, R: int, how: str = "sharded") -> Step:
    """One step of R nodes that each have B / R sequences.

    `how`: "at the end" (one ring when the backward is over, everybody updates everything), "in buckets" (each
    layer's ring as soon as its gradient is complete, while the backward goes on) or "sharded" (buckets are
    scattered, each node updates its share of the weights, and they are gathered).
    """
    compute = flops(s) / R / node.rate
    sizes, size = buckets(s), float(FLOAT32 * parameters(s))
    # Gradients are complete in the last micro-batch alone: its backward is what can hide anything.
    window = compute * 2 / 3 / micro_batches(s, R, node.lanes)
    ready = [window * min(i + 1, s.L) / s.L for i in range(len(sizes))]
    update = parameters(s) * node.update
    if how == "at the end":
        exposed = ring_all_reduce(size, R, link)
    elif how == "in buckets":
        exposed = overlapped(ready, [ring_all_reduce(n, R, link) for n in sizes]) - window
    elif how == "sharded":
        exposed = overlapped(ready, [reduce_scatter(n, R, link) for n in sizes]) - window
        exposed += all_gather(size, R, link)
        update /= R
    else:
        raise ValueError(f"how: expected 'at the end', 'in buckets' or 'sharded', got {how!r}")
    return Step(compute, compute * node.noise * expected_max(R), exposed, update)


def tensor_parallel(s: Sizes, node: Node, link: Link, R: int, t: int) -> Step:
    """R nodes in groups of t that cut every layer's columns and rows; the groups share the batch.

    Each layer sums activations twice forward and twice backward, and nothing hides that. The update is
    sharded among the R / t nodes that have the same piece.
    """
    groups = R // t
    compute = flops(s) / R / node.rate
    activations = FLOAT32 * s.B / groups * s.T * s.d
    exposed = 4 * s.L * ring_all_reduce(activations, t, link)
    exposed += ring_all_reduce(FLOAT32 * parameters(s) / t, groups, link)
    return Step(compute, compute * node.noise * expected_max(R), exposed, parameters(s) * node.update / R)


def pipelined(s: Sizes, node: Node, link: Link, R: int, stages: int) -> Step:
    """R nodes in pipelines of some stages, which share the batch; the layers divide evenly.

    Of (M + S - 1) turns a stage works M. Each turn passes one micro-batch's activations on and one's
    gradients back. The update is sharded among the nodes that have the same stage.
    """
    pipelines = R // stages
    M = s.B * s.T / pipelines / micro_tokens(s)
    turns = (M + stages - 1) / M
    compute = flops(s) / R / node.rate * turns
    message = link.latency + FLOAT32 * micro_tokens(s) * s.d / link.bandwidth
    exposed = 2 * (M + stages - 1) * message * (stages > 1)
    exposed += ring_all_reduce(FLOAT32 * parameters(s) / stages, pipelines, link)
    return Step(compute, compute * node.noise * expected_max(R), exposed, parameters(s) * node.update / R)
