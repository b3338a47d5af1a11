"""How long one training step takes, beside the same step written by hand in PyTorch.

    python benchmarks/training_step.py

prints a Markdown table. One step is forward, loss, backward, clipping and AdamW, in float32: BERT's encoder
with a tied masked-LM head, 15 % of the tokens as targets. Every peer is a process of its own with the same
weights and batches. They are asked in turn, in an order that rotates, so that whatever else the machine does
falls on all of them alike, for two steps each, of which the second is timed: the first wakes the threads and
fills the caches, as in a run, where steps come one after another. npformer is there twice, and what its two
lines differ by is what the measurement cannot tell apart. The losses of the first steps are compared, so that
the peers provably do the same work.

With --padding the sequences of a batch have lengths from T / 4 to T, and every peer gets them padded to T,
with a mask. "npformer-padded" is npformer that computes the padding, which npformer leaves out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))

from children import BUSY, WARM_UP, Child, measure, processor  # noqa: E402
from process import PEERS  # noqa: E402
from workload import SIZES, Sizes, lengths  # noqa: E402

SAME_LOSS = 5e-6  # relative, at the first step and after the updates of the warm-up
SAME_WEIGHTS = 2e-5  # relative, their norm after the last step, which shows a decay left out

DESCRIPTIONS = {
    "npformer": "npformer",
    "npformer again": "npformer again (A/A control)",
    "npformer-recomputing": "npformer, layers run again in the backward",
    "npformer-padded": "npformer, padding computed",
    "torch-tail": "PyTorch eager, last layer's position-wise part at the targets",
    "torch": "PyTorch eager, last layer everywhere",
    "torch-compiled": "PyTorch with torch.compile, last layer's position-wise part at the targets",
    "jax": "JAX, jit, last layer's position-wise part at the targets",
    "huggingface": "Hugging Face BertForMaskedLM, eager",
    "products": "npformer's matrix products alone",
}


def difference(a: float, b: float) -> float:
    """The relative difference of two losses."""
    return abs(a - b) / abs(b)


def check_work(children: list[Child]) -> list[str]:
    """Sentences on peers whose losses or weights are not the first peer's; empty if all do the same work."""
    complaints: list[str] = []
    children = [child for child in children if child.name != "products"]
    for child in children[1:]:
        for step in (0, WARM_UP):
            if not difference(child.results[step], children[0].results[step]) <= SAME_LOSS:
                ours, theirs = child.results[step], children[0].results[step]
                complaints.append(
                    f"{child.name}: not the same work: loss {ours:.7f} at step {step}, "
                    f"where {children[0].name} has {theirs:.7f}"
                )
        ours, theirs = child.norm_of_weights, children[0].norm_of_weights
        if not difference(ours, theirs) <= SAME_WEIGHTS:
            complaints.append(
                f"{child.name}: not the same work: weights of norm {ours:.6f} after the last step, "
                f"where {children[0].name}'s have {theirs:.6f}"
            )
    return complaints


def summary(child: Child, reference: Child) -> dict[str, Any]:
    """The figures of one peer, beside those of the reference."""
    seconds = child.seconds[WARM_UP:]
    median = statistics.median(seconds)
    return {
        "median_ms": 1e3 * median,
        "fastest_ms": 1e3 * min(seconds),
        "ratio_of_medians": median / statistics.median(reference.seconds[WARM_UP:]),
        "ratio_of_fastest": min(seconds) / min(reference.seconds[WARM_UP:]),
        "others_busy_cores": sum(child.others[WARM_UP:]) / sum(seconds),
        "peak_mb": child.peak_mb,
        "first_loss": child.results[0],
        "loss_after_updates": child.results[WARM_UP],
        "norm_of_weights": child.norm_of_weights,
        "seconds": seconds,
        **child.about,
    }


def padding_of(s: Sizes, steps: range) -> float:
    """The share of padding in the batches of some steps."""
    return 1 - sum(int(lengths(s, step).sum()) for step in steps) / (len(steps) * s.B * s.T)


def losses_of(name: str, figures: dict[str, Any]) -> str:
    """The losses of a peer's row; products have none."""
    if name == "products":
        return "- | -"
    return f"{figures['first_loss']:.6f} | {figures['loss_after_updates']:.6f}"


def of_the_products(step: dict[str, Any], products: dict[str, Any]) -> str:
    """How near the step is to its own matrix products, and those to the best rate of this machine."""
    gflop, best = products["first_loss"], products["best_gflops"]
    rate = 1e3 * gflop / step["median_ms"]
    return (
        f"Matrix products: {gflop:.1f} GFLOP a step. Alone they take {products['median_ms']:.0f} ms, "
        f"{products['median_ms'] / step['median_ms']:.0%} of npformer's step, which does {rate:.0f} GFLOP/s: "
        f"{rate / best:.0%} of the {best:.0f} that large square products reach."
    )


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if the peers did not do the same work."""
    parser = argparse.ArgumentParser(description="Time one training step, npformer beside PyTorch.")
    parser.add_argument(
        "--rounds", type=int, default=11, help="measured rounds after the warm-up (default 11)"
    )
    parser.add_argument(
        "--sizes", choices=SIZES, default="base", help="the model and the batch (default base)"
    )
    parser.add_argument("--threads", type=int, default=2, help="threads for each peer (default 2)")
    parser.add_argument("--dropout", type=float, default=0.0, help="probability of it (default 0)")
    parser.add_argument(
        "--padding", action="store_true", help="sequences of T / 4 to T tokens, padded to T (default: all T)"
    )
    parser.add_argument("--peers", nargs="+", choices=PEERS["training"], help="default: all")
    parser.add_argument("--json", action="store_true", help="print JSON, with every measured time")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1 or arguments.threads < 1:
        parser.error("--rounds and --threads take a number from 1 on")
    if not 0 <= arguments.dropout < 1:
        parser.error("--dropout takes a number from 0 on, below 1")
    padded = [name for name in PEERS["training"] if name.endswith("-padded")]
    if not arguments.padding and set(padded) & set(arguments.peers or ()):
        parser.error(f"{', '.join(padded)}: there is no padding without --padding")

    of_batch = [name for name in PEERS["training"] if arguments.padding or name not in padded]
    names = list(dict.fromkeys(arguments.peers or of_batch))
    if "npformer" in names:
        names.insert(names.index("npformer") + 1, "npformer again")
    work = (arguments.sizes, arguments.threads, arguments.rounds, arguments.dropout, arguments.padding)
    children, missing = measure("training", names, *work)
    if not children:
        print("no peer could be started: " + "; ".join(f"{name}: {why}" for name, why in missing.items()))
        return 1
    by_name = {child.name: child for child in children}
    reference = next((by_name[name] for name in ("torch-tail", "torch") if name in by_name), children[0])
    figures = {child.name: summary(child, reference) for child in children}
    complaints = [] if arguments.dropout else check_work(children)  # each drops others
    steps = range(WARM_UP, WARM_UP + arguments.rounds)
    share = padding_of(SIZES[arguments.sizes], steps) if arguments.padding else 0.0
    machine = f"{processor()}, {os.cpu_count()} cores visible, Python {platform.python_version()}"

    if arguments.json:
        result = {
            "machine": machine,
            "sizes": SIZES[arguments.sizes]._asdict(),
            "threads": arguments.threads,
            "dropout": arguments.dropout,
            "padding": share,
            "rounds": arguments.rounds,
            "reference": reference.name,
            "peers": figures,
            "missing": missing,
            "complaints": complaints,
        }
        print(json.dumps(result, indent=1))
        return 1 if complaints else 0

    s = SIZES[arguments.sizes]
    sizes = f"{s.L} layers, d {s.d}, {s.h} heads, d_ff {s.d_ff}, V {s.V}, T {s.T}, B {s.B}"
    of_padding = f", {share:.0%} of it padding" if arguments.padding else ""
    print(f"One training step, float32, {sizes}{of_padding}, dropout {arguments.dropout:g}")
    print(f"({machine}; {arguments.rounds} rounds, {arguments.threads} threads each):\n")
    columns = (
        f"median, ms | fastest, ms | median / {reference.name}'s | peak, MB | first loss | after updates"
    )
    print(f"| peer | {columns} |\n|---|---|---|---|---|---|---|")
    for name, f in figures.items():
        print(
            f"| {DESCRIPTIONS[name]} | {f['median_ms']:.0f} | {f['fastest_ms']:.0f} "
            f"| {f['ratio_of_medians']:.3f} | {f['peak_mb']:.0f} | {losses_of(name, f)} |"
        )
    print()
    for name in figures:
        if name != "npformer again":
            about = by_name[name].about
            print(f"{name}: {about['library']}; BLAS: {about['blas']}, kernel {about['kernel']}.")
    for name, why in missing.items():
        print(f"{name}: not measured, {why}.")
    if {"npformer", "products"} <= figures.keys():
        print(of_the_products(figures["npformer"], figures["products"]))
    for complaint in complaints:
        print(complaint)
    busy = max(f["others_busy_cores"] for f in figures.values())
    if busy > BUSY:
        print(
            f"Other processes kept up to {busy:.1f} cores busy meanwhile: measure again on an idle machine."
        )
    if "npformer again" in by_name:
        control = figures["npformer again"]["median_ms"] / figures["npformer"]["median_ms"]
        print(f"A/A control: npformer again / npformer = {control:.3f}; such differences mean nothing.")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
