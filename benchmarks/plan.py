"""A plan, with numbers: BERT-base on 1 to 64 machines, from rates measured on one.

    python benchmarks/plan.py                  prints the tables of docs/scaling.md
    python benchmarks/plan.py --measure        measures the rates that it is computed from on this machine

npformer does not train on 64 machines here: this is a model of a step's time. Its pieces are pure functions
of sizes, rates and links, each derived in docs/scaling.md and tested against a simulation of single messages
(tests/benchmarks/test_plan.py). What is measured and what is assumed is said with each constant.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "peers"), str(HERE.parent)]

from counts import FLOAT32, flops, kept_bytes, parameters  # noqa: E402
from workload import Sizes  # noqa: E402

# Devlin et al., arXiv:1810.04805, section 3 and appendix A.2: BERT-base; 256 sequences of 512 tokens a step,
# 1,000,000 steps, "approximately 40 epochs over the 3.3 billion word corpus"; in fact nine steps of ten with
# 128 tokens. Assumed: 15 % of the tokens are targets, no next-sentence loss, no dropout.
BERT = Sizes(L=12, d=768, h=12, d_ff=3072, V=30522, T=512, B=256)
STEPS, SHORT_SHARE, SHORT_T = 1_000_000, 0.9, 128
DAY = 86400.0

# Measured by --measure: two cores of an AMD EPYC without AVX-512, OpenBLAS's kernel Haswell.
RATE = 106e9  # FLOP a second of the products of a training step at BERT-base's widths, two threads
UPDATE = 10.5e-9  # seconds AdamW takes for a parameter, one thread, vectors larger than the cache

# Assumed.
CORES, USE = 64, 0.7  # a large node: so many cores like those two, and the share of them that is of use
NOISE = 0.03  # standard deviation of a node's time for the same work, as a share of it
NODE_YEARS = 3.0  # mean time between failures of one node
DISK = 200e6  # bytes a second a checkpoint is written with, by one node


class Link(NamedTuple):
    """A network: bytes a second that one stream reaches, and seconds before the first byte arrives."""

    name: str
    bandwidth: float
    latency: float


# Assumed: nine tenths of the nominal rate; latencies of TCP and of remote memory access.
ETHERNET = Link("10 Gb Ethernet", 0.9 * 10e9 / 8, 50e-6)
INFINIBAND = Link("100 Gb InfiniBand", 0.9 * 100e9 / 8, 2e-6)


class Node(NamedTuple):
    """A machine: FLOP a second of the step's products, seconds of the update a parameter, lanes."""

    name: str
    rate: float
    update: float
    lanes: int


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


def small_node(rate: float = RATE, update: float = UPDATE) -> Node:
    """Two cores, as measured."""
    return Node("2 cores (measured)", rate, update, 2)


def large_node(rate: float = RATE, update: float = UPDATE) -> Node:
    """Many cores, by assumption, which share the update, too."""
    return Node(f"{CORES} cores (assumed)", rate * CORES / 2 * USE, update / CORES / USE, 2)


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

    >>> micro_tokens(BERT), micro_tokens(BERT._replace(T=SHORT_T))
    (512, 256)
    """
    from npformer.training.step import tokens_at_once  # loads NumPy, whose threads `measure` sets before

    return max(tokens_at_once(s.d) // s.T, 1) * s.T


def micro_batches(s: Sizes, R: int, lanes: int) -> float:
    """How many a lane works through, one after the other."""
    return max(s.B * s.T / R / lanes / micro_tokens(s), 1.0)


def data_parallel(
    s: Sizes, node: Node, link: Link, R: int, how: str = "sharded", noise: float = NOISE
) -> Step:
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
    return Step(compute, compute * noise * expected_max(R), exposed, update)


def tensor_parallel(s: Sizes, node: Node, link: Link, R: int, t: int, noise: float = NOISE) -> Step:
    """R nodes in groups of t that cut every layer's columns and rows; the groups share the batch.

    Each layer sums activations twice forward and twice backward, and nothing hides that. The update is
    sharded among the R / t nodes that have the same piece.
    """
    groups = R // t
    compute = flops(s) / R / node.rate
    activations = FLOAT32 * s.B / groups * s.T * s.d
    exposed = 4 * s.L * ring_all_reduce(activations, t, link)
    exposed += ring_all_reduce(FLOAT32 * parameters(s) / t, groups, link)
    return Step(compute, compute * noise * expected_max(R), exposed, parameters(s) * node.update / R)


def pipelined(s: Sizes, node: Node, link: Link, R: int, stages: int, noise: float = NOISE) -> Step:
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
    return Step(compute, compute * noise * expected_max(R), exposed, parameters(s) * node.update / R)


# Failures


def young(write: float, between_failures: float) -> float:
    """Seconds of work between checkpoints (Young, CACM 17(9), 1974): sqrt(2 write · between)."""
    return math.sqrt(2 * write * between_failures)


def daly(write: float, between_failures: float) -> float:
    """The same to a higher order (Daly, Future Generation Computer Systems 22(3), 2006), for write < 2 M."""
    share = write / (2 * between_failures)
    return young(write, between_failures) * (1 + math.sqrt(share) / 3 + share / 9) - write


def lost(interval: float, write: float, between_failures: float) -> float:
    """Share of the time that goes into checkpoints, and into work done again: half an interval a failure."""
    return write / interval + (interval / 2 + write) / between_failures


# The plan


def days(s: Sizes, node: Node, link: Link, R: int) -> tuple[float, float]:
    """All steps at 512 tokens; nine of ten at 128, as the paper has it."""
    long = data_parallel(s, node, link, R).total
    short = data_parallel(s._replace(T=SHORT_T), node, link, R).total
    mixed = SHORT_SHARE * short + (1 - SHORT_SHARE) * long
    return long * STEPS / DAY, mixed * STEPS / DAY


def table_of_nodes(s: Sizes, node: Node) -> str:
    """From 1 to 64 nodes, on both networks."""
    columns = "step, s | not hidden, s | tokens/s | efficiency | days | days, mixed"
    lines = [f"| nodes, {node.name} | network | {columns} |", "|--:|---|" + "--:|" * 6]
    for link in (ETHERNET, INFINIBAND):
        alone = data_parallel(s, node, link, 1).total
        for R in (1, 2, 4, 8, 16, 32, 64):
            step = data_parallel(s, node, link, R)
            all_long, mixed = days(s, node, link, R)
            speed = s.B * s.T / step.total
            lines.append(
                f"| {R} | {link.name} | {step.total:.3g} | {step.exposed:.3f} "
                f"| {speed:,.0f} | {alone / R / step.total:.0%} | {all_long:,.0f} | {mixed:,.0f} |"
            )
    return "\n".join(lines)


def table_of_ways(s: Sizes, nodes: Sequence[Node], R: int) -> str:
    """What each way of cutting takes on R nodes."""
    ways = [
        ("data, one all-reduce at the end", lambda n, k: data_parallel(s, n, k, R, "at the end")),
        ("data, all-reduce in buckets", lambda n, k: data_parallel(s, n, k, R, "in buckets")),
        ("data, buckets, sharded update", lambda n, k: data_parallel(s, n, k, R)),
        ("columns and rows over 4, data over 16", lambda n, k: tensor_parallel(s, n, k, R, 4)),
        ("4 stages, data over 16", lambda n, k: pipelined(s, n, k, R, 4)),
    ]
    pairs = [(node, link) for node in nodes for link in (ETHERNET, INFINIBAND)]
    heads = " | ".join(f"{node.name.split(' (')[0]}, {link.name}" for node, link in pairs)
    lines = [f"| {R} nodes: step, s (efficiency) | {heads} |", "|---|" + "--:|" * len(pairs)]
    for name, way in ways:
        cells = []
        for node, link in pairs:
            total = way(node, link).total
            ideal = data_parallel(s, node, link, 1).total / R
            cells.append(f"{total:.3g} ({ideal / total:.0%})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def table_of_batches(s: Sizes, node: Node, R: int) -> str:
    """What a larger batch saves: fewer sums for the same tokens."""
    lines = [
        f"| batch, {R} nodes, {node.name} | network | step, s | efficiency | days for as many tokens |",
        "|--:|---|--:|--:|--:|",
    ]
    for link in (ETHERNET, INFINIBAND):
        for times in (1, 4, 16):
            larger = s._replace(B=times * s.B)
            total = data_parallel(larger, node, link, R).total
            share = data_parallel(larger, node, link, 1).total / R / total
            lines.append(
                f"| {larger.B:,} | {link.name} | {total:.3g} | {share:.0%} "
                f"| {total * STEPS / times / DAY:.1f} |"
            )
    return "\n".join(lines)


def table_of_sums(s: Sizes, R: int) -> str:
    """The all-reduce alone, by three algorithms, of the whole gradient and of something small."""
    lines = [
        f"| all-reduce over {R} nodes | network | ring, s | doubling, s | halving and doubling, s |",
        "|---|---|--:|--:|--:|",
    ]
    small = 3 * FLOAT32 * micro_tokens(s)
    sizes = (("the gradient", FLOAT32 * parameters(s)), ("three numbers a token", small))
    for name, n in sizes:
        for link in (ETHERNET, INFINIBAND):
            seconds = [f(n, R, link) for f in (ring_all_reduce, doubling_all_reduce, halving_all_reduce)]
            cells = " | ".join(f"{x:.2g}" for x in seconds)
            lines.append(f"| {name}, {n / 1e6:.3g} MB | {link.name} | {cells} |")
    return "\n".join(lines)


def checkpoints(s: Sizes, R: int) -> str:
    """A sentence on how often to save."""
    size = 3 * FLOAT32 * parameters(s)
    write, between = size / DISK, NODE_YEARS * 365 * DAY / R
    interval = daly(write, between)
    return (
        f"Checkpoint: {size / 1e9:.2f} GB, {write:.1f} s; a failure every {between / DAY:.0f} days; "
        f"Young: every {young(write, between) / 60:.0f} min, Daly: every {interval / 60:.0f} min; "
        f"lost: {lost(interval, write, between):.1%}."
    )


def plan(rate: float = RATE, update: float = UPDATE) -> str:
    """All that is printed."""
    s, small, large, R = BERT, small_node(rate, update), large_node(rate, update), 64
    memory = kept_bytes(s, small.lanes, micro_tokens(s)) / 1e9
    return "\n".join(
        [
            f"BERT-base: {parameters(s) / 1e6:.1f} million parameters, {flops(s) / 1e12:.1f} TFLOP a step of "
            f"{s.B} x {s.T} tokens; {memory:.1f} GB a node.",
            "",
            table_of_nodes(s, small),
            "",
            table_of_nodes(s, large),
            "",
            table_of_ways(s, (small, large), R),
            "",
            table_of_batches(s, large, R),
            "",
            table_of_sums(s, R),
            "",
            checkpoints(s, R),
        ]
    )


def measure() -> tuple[float, float]:
    """FLOP a second of a step at BERT-base's widths on two threads, and seconds of AdamW a parameter."""
    import scaling

    s = BERT._replace(L=2, B=8)
    rate = flops(s) / scaling.measure(scaling.Point(s, 2))["seconds"]

    import numpy as np
    from roofline import seconds_of, update

    vectors = [np.full(2**24, 0.1, np.float32) for _ in range(4)]
    return rate, seconds_of(lambda: update(*vectors), 1.0) / 2**24


def main(argv: list[str] | None = None) -> int:
    """Print the plan, or what it is computed from."""
    parser = argparse.ArgumentParser(description="BERT-base on 1 to 64 machines, computed.")
    parser.add_argument("--measure", action="store_true", help="print this machine's rates, then its plan")
    arguments = parser.parse_args(argv)
    if arguments.measure:
        rate, update = measure()
        print(
            f"Measured: {rate / 1e9:.0f} GFLOP/s on two threads, AdamW {update * 1e9:.2f} ns a parameter.\n"
        )
        print(plan(rate, update))
    else:
        print(plan())
    return 0


if __name__ == "__main__":
    sys.exit(main())
