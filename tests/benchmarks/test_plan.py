"""The plan's formulas against simulated messages, hand-worked schedules and limits; wrong ones fail."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import plan
import pytest
import step_time

from npformer.training.step import micro_batches, tokens_at_once

RANKS = [1, 2, 3, 4, 8, 13]
SLOW = step_time.Link("slow", bandwidth=10.0, latency=0.7)
IDEAL = step_time.Link("ideal", bandwidth=math.inf, latency=0.0)
NODE = step_time.Node("node", rate=1e12, update=1e-9, lanes=2, noise=0.03)
CALM = NODE._replace(noise=0.0)
S = plan.BERT


def simulated_ring(n: float, R: int, link: step_time.Link) -> float:
    """Pass every message: each rank sends a chunk to its neighbour once it has received the one before."""
    clock = [0.0] * R
    for _ in range(2 * (R - 1)):
        arrived = [0.0] * R
        for r in range(R):
            arrived[(r + 1) % R] = clock[r] + link.latency + (n / R) / link.bandwidth
        clock = [max(own, at) for own, at in zip(clock, arrived, strict=True)]
    return max(clock)


def simulated_exchanges(n: float, R: int, link: step_time.Link, halving: bool) -> float:
    """Pass every message between pairs 1, 2, 4, ... apart; with halving they carry n/2, n/4, ... and back."""
    rounds = [2**i for i in range(R.bit_length() - 1)]
    sizes = [n / (2 * k) for k in rounds] if halving else [n for _ in rounds]
    if halving:
        rounds, sizes = rounds + rounds[::-1], sizes + sizes[::-1]
    clock = [0.0] * R
    for distance, size in zip(rounds, sizes, strict=True):
        clock = [max(clock[r], clock[r ^ distance]) + link.latency + size / link.bandwidth for r in range(R)]
    return max(clock)


@pytest.mark.parametrize("R", RANKS)
def test_a_ring_takes_what_its_messages_take(R):
    assert step_time.ring_all_reduce(100.0, R, SLOW) == pytest.approx(
        simulated_ring(100.0, R, SLOW), rel=1e-12
    )


@pytest.mark.parametrize("R", [1, 2, 4, 8, 64])
def test_exchanges_take_what_their_messages_take(R):
    for f, halving in ((step_time.doubling_all_reduce, False), (step_time.halving_all_reduce, True)):
        assert f(100.0, R, SLOW) == pytest.approx(simulated_exchanges(100.0, R, SLOW, halving), rel=1e-12)


def test_exchanges_between_pairs_need_a_power_of_two():
    with pytest.raises(ValueError, match="got 6"):
        step_time.doubling_all_reduce(1.0, 6, SLOW)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda n, R, k: (R - 1) * (k.latency + n / R / k.bandwidth),  # half the way
        lambda n, R, k: 2 * (R - 1) * (k.latency + n / k.bandwidth),  # whole vectors in place of chunks
        lambda n, R, k: 2 * R * (k.latency + n / R / k.bandwidth),  # a step too many
        lambda n, R, k: 2 * (R - 1) / R * n / k.bandwidth + k.latency,  # one latency
    ],
)
def test_a_wrong_formula_is_seen(wrong):
    errors = [abs(wrong(100.0, R, SLOW) / simulated_ring(100.0, R, SLOW) - 1) for R in (2, 3, 8)]
    assert max(errors) > 0.05


def test_buckets_that_overlap_by_hand():
    """Ready at 1, 2, 3; the link carries 0.5, 2 and 1: ends at 1.5, 4 and 5."""
    assert step_time.overlapped([1, 2, 3], [0.5, 2, 1]) == 5.0
    assert step_time.overlapped([1, 2, 3], [0.1, 0.1, 0.1]) == pytest.approx(3.1)  # two are hidden
    assert step_time.overlapped([0, 0, 0], [1, 2, 3]) == 6.0  # nothing to hide behind
    assert step_time.overlapped([], []) == 0.0


def test_buckets_that_overlap_never_end_before_the_work_nor_the_link():
    rng = np.random.default_rng(0)
    for _ in range(100):
        ready, took = np.sort(rng.random(5)), rng.random(5)
        end = step_time.overlapped(ready, took)
        # the last end is the largest, over all buckets, of its start and what the link still has to carry
        assert end == pytest.approx(max(ready[i] + took[i:].sum() for i in range(5)), rel=1e-12)


def test_buckets_are_the_whole_gradient():
    assert sum(step_time.buckets(S)) == pytest.approx(plan.FLOAT32 * plan.parameters(S), rel=1e-12)


@pytest.mark.parametrize("how", ["at the end", "in buckets", "sharded"])
def test_one_node_communicates_with_nobody(how):
    step = step_time.data_parallel(S, NODE, plan.ETHERNET, 1, how)
    assert step.exposed == pytest.approx(0.0, abs=1e-9)
    assert step.waiting == pytest.approx(0.0, abs=1e-6)
    assert step.total == pytest.approx(plan.flops(S) / NODE.rate + plan.parameters(S) * NODE.update, rel=1e-6)


@pytest.mark.parametrize("R", [2, 16, 64])
def test_an_ideal_network_and_equal_nodes_are_perfectly_efficient(R):
    alone = step_time.data_parallel(S, CALM, IDEAL, 1).total
    step = step_time.data_parallel(S, CALM, IDEAL, R)
    assert step.exposed == pytest.approx(0.0, abs=1e-9)
    assert alone / R / step.total == pytest.approx(1.0, rel=1e-12)
    assert step_time.tensor_parallel(S, CALM, IDEAL, R, 2).total == pytest.approx(alone / R, rel=1e-12)


def test_cutting_nothing_is_data_parallelism():
    at_once = step_time.data_parallel(S, NODE, plan.ETHERNET, 8, "at the end")
    for step in (
        step_time.tensor_parallel(S, NODE, plan.ETHERNET, 8, 1),
        step_time.pipelined(S, NODE, plan.ETHERNET, 8, 1),
    ):
        assert step[:3] == pytest.approx(at_once[:3], rel=1e-12)


def test_a_pipeline_is_idle_for_its_share():
    """(S - 1) / (M + S - 1), as docs/scaling.md works it out by the schedule."""
    R, stages = 16, 4
    step = step_time.pipelined(S, CALM, IDEAL, R, stages)
    M = S.B * S.T / (R / stages) / step_time.micro_tokens(S)
    busy = plan.flops(S) / R / NODE.rate
    assert 1 - busy / step.compute == pytest.approx((stages - 1) / (M + stages - 1), rel=1e-12)


@pytest.mark.parametrize("R", [2, 8, 64])
def test_hiding_and_sharding_never_cost_more(R):
    for link in (plan.ETHERNET, plan.INFINIBAND):
        ways = [
            step_time.data_parallel(S, NODE, link, R, how).total
            for how in ("sharded", "in buckets", "at the end")
        ]
        assert ways[1] < ways[2]
        assert ways[0] < ways[2]


def test_an_unknown_way():
    with pytest.raises(ValueError, match="got 'somehow'"):
        step_time.data_parallel(S, NODE, IDEAL, 2, "somehow")


def test_expected_maxima():
    closed = {1: 0.0, 2: 1 / math.sqrt(math.pi), 3: 1.5 / math.sqrt(math.pi)}
    for R, value in closed.items():
        assert step_time.expected_max(R) == pytest.approx(value, abs=1e-6)
    drawn = np.random.default_rng(0).standard_normal((20000, 64)).max(axis=1)
    assert step_time.expected_max(64) == pytest.approx(drawn.mean(), abs=4 * drawn.std() / math.sqrt(20000))


def test_the_interval_between_checkpoints_is_the_best():
    write, between = 6.6, 1.5e6
    lost = {x: plan.lost(x * plan.young(write, between), write, between) for x in (0.5, 0.9, 1.0, 1.1, 2.0)}
    assert min(lost, key=lost.__getitem__) == 1.0
    assert plan.daly(write, between) == pytest.approx(plan.young(write, between), rel=0.01)
    assert plan.daly(100.0, 1000.0) < plan.young(100.0, 1000.0)  # failures are frequent: it matters


@pytest.mark.parametrize(("T", "d"), [(128, 768), (512, 768), (128, 256), (512, 256), (64, 1024)])
def test_micro_batches_are_those_of_a_training_step(T, d):
    pieces = micro_batches(0, 16, T, tokens_at_once(d))
    assert {(stop - start) * T for start, stop in pieces} == {step_time.micro_tokens(S._replace(T=T, d=d))}
    assert step_time.micro_batches(S._replace(T=T, d=d, B=16 * 3 * 2), 3, 2) == len(pieces)


def test_bert_base_is_what_the_paper_says():
    assert plan.parameters(S) == pytest.approx(110e6, rel=0.01)
    tokens = plan.STEPS * S.B * S.T
    assert tokens == pytest.approx(40 * 3.3e9, rel=0.01)  # a word for a token


def test_the_document_has_the_tables_that_are_printed():
    page = (Path(__file__).resolve().parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
    for part in plan.plan().split("\n\n"):
        assert part in page, part
