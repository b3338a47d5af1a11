"""A plan, with numbers: BERT-base on 1 to 64 machines, from rates measured on one.

    python benchmarks/plan.py                  prints the tables of docs/scaling.md
    python benchmarks/plan.py --measure        measures the rates that it is computed from on this machine

npformer does not train on 64 machines here: this is a model of a step's time, whose formulas are in
step_time.py. What is measured and what is assumed is said with each constant.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "peers"), str(HERE.parent)]

from counts import FLOAT32, flops, kept_bytes, parameters  # noqa: E402
from step_time import (  # noqa: E402
    Link,
    Node,
    data_parallel,
    doubling_all_reduce,
    halving_all_reduce,
    micro_tokens,
    pipelined,
    ring_all_reduce,
    tensor_parallel,
)
from workload import Sizes  # noqa: E402

# Devlin et al., arXiv:1810.04805, section 3 and appendix A.2: BERT-base; 256 sequences of 512 tokens a step,
# 1,000,000 steps, "approximately 40 epochs over the 3.3 billion word corpus"; in fact nine steps of ten with
# 128 tokens. Assumed: 15 % of the tokens are targets, no next-sentence loss, no dropout.
BERT = Sizes(L=12, d=768, h=12, d_ff=3072, V=30522, T=512, B=256)
STEPS, SHORT_SHARE, SHORT_T = 1_000_000, 0.9, 128
DAY = 86400.0

# Measured on two cores of an AMD EPYC without AVX-512, OpenBLAS's kernel Haswell.
RATE = 106e9  # FLOP a second of the products of a step at BERT-base's widths, two threads, by --measure
UPDATE = 4.7e-9  # seconds AdamW takes for a parameter, one thread: step_profile.py's 25.2 ms for 5.36 million

# Assumed.
CORES, USE = 64, 0.7  # a large node: so many cores like those two, and the share of them that is of use
NOISE = 0.03  # standard deviation of a node's time for the same work, as a share of it
NODE_YEARS = 3.0  # mean time between failures of one node
DISK = 200e6  # bytes a second a checkpoint is written with, by one node

# Assumed: nine tenths of the nominal rate; latencies of TCP and of remote memory access.
ETHERNET = Link("10 Gb Ethernet", 0.9 * 10e9 / 8, 50e-6)
INFINIBAND = Link("100 Gb InfiniBand", 0.9 * 100e9 / 8, 2e-6)


def small_node(rate: float = RATE, update: float = UPDATE) -> Node:
    """Two cores, as measured."""
    return Node("2 cores (measured)", rate, update, 2, NOISE)


def large_node(rate: float = RATE, update: float = UPDATE) -> Node:
    """Many cores, by assumption, which share the update, too."""
    return Node(f"{CORES} cores (assumed)", rate * CORES / 2 * USE, update / CORES / USE, 2, NOISE)


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
