"""How long an encoder takes for a batch of sequences, npformer beside PyTorch, Hugging Face and JAX.

    python benchmarks/inference.py

prints two Markdown tables: 32 sequences of 128 tokens, and 32 of lengths from 8 to 128. The encoder has the
shape of MiniLM-L6 (6 layers, width 384) and random weights, in float32; what is asked for are the outputs of
all tokens. Every peer is a process of its own, asked in turn, as in training_step.py; npformer is there
twice, and what its two lines differ by means nothing. npformer takes the sequences as they are
(`npformer.models.encode`), the others as one batch, padded beforehand. Some outputs of every sequence are
compared, so that all provably do the same work.
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

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

from children import BUSY, WARM_UP, Child, measure, processor  # noqa: E402
from process import PEERS  # noqa: E402
from workload import SIZES, make_sequences  # noqa: E402

SAME = 5e-5  # absolute; outputs are normalised: of size 1
WORKLOADS = ("equal lengths", "mixed lengths")  # even and odd steps, see workload.make_sequences
REFERENCES = ("torch-compiled", "huggingface")
DESCRIPTIONS = {
    "npformer": "npformer",
    "npformer again": "npformer again (A/A control)",
    "torch": "PyTorch eager, by hand",
    "torch-compiled": "PyTorch with torch.compile, by hand",
    "jax": "JAX, jit",
    "huggingface": "Hugging Face BertModel, eager",
}


def summary(child: Child, children: dict[str, Child], parity: int) -> dict[str, Any]:
    """The figures of one peer in one workload."""
    measured = slice(2 * WARM_UP + parity, None, 2)
    seconds = child.seconds[measured]
    median = statistics.median(seconds)
    ratios = {
        f"ratio_to_{name}": median / statistics.median(children[name].seconds[measured])
        for name in REFERENCES
        if name in children
    }
    return {"median_ms": 1e3 * median, "fastest_ms": 1e3 * min(seconds), **ratios, "seconds": seconds}


def check_work(children: list[Child]) -> list[str]:
    """Sentences on peers whose outputs are not the first peer's; empty if all do the same work."""
    complaints = []
    for child in children[1:]:
        for step, (own, first) in enumerate(zip(child.results, children[0].results, strict=True)):
            worst = max(abs(a - b) for a, b in zip(own, first, strict=True))
            if not worst <= SAME:
                complaints.append(
                    f"{child.name}: not the same work: outputs of step {step} differ by {worst:.1e}"
                )
                break
    return complaints


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if the peers did not do the same work."""
    parser = argparse.ArgumentParser(description="Time an encoder's inference beside its peers.")
    parser.add_argument("--rounds", type=int, default=11, help="measured rounds of each batch (default 11)")
    parser.add_argument("--sizes", choices=SIZES, default="minilm", help="the model (default minilm)")
    parser.add_argument("--threads", type=int, default=2, help="threads for each peer (default 2)")
    choices = list(PEERS["inference"])
    parser.add_argument("--peers", nargs="+", choices=choices, default=choices, help="default: all")
    parser.add_argument("--json", action="store_true", help="print JSON, with every measured time")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1 or arguments.threads < 1:
        parser.error("--rounds and --threads take a number from 1 on")

    names = list(dict.fromkeys(arguments.peers))
    if "npformer" in names:
        names.insert(names.index("npformer") + 1, "npformer again")
    steps = 2 * (WARM_UP + arguments.rounds)  # a warm-up of each workload too
    children, missing = measure("inference", names, arguments.sizes, arguments.threads, steps - WARM_UP)
    if not children:
        print("no peer could be started: " + "; ".join(f"{name}: {why}" for name, why in missing.items()))
        return 1
    by_name = {child.name: child for child in children}
    figures = {
        workload: {child.name: summary(child, by_name, parity) for child in children}
        for parity, workload in enumerate(WORKLOADS)
    }
    complaints = check_work(children)
    busy = max(sum(child.others) / sum(child.seconds) for child in children)
    machine = f"{processor()}, {os.cpu_count()} cores visible, Python {platform.python_version()}"

    if arguments.json:
        result = {
            "machine": machine,
            "sizes": SIZES[arguments.sizes]._asdict(),
            "threads": arguments.threads,
            "rounds": arguments.rounds,
            "workloads": figures,
            "peers": {c.name: {**c.about, "peak_mb": c.peak_mb} for c in children},
            "missing": missing,
            "others_busy_cores": busy,
            "complaints": complaints,
        }
        print(json.dumps(result, indent=1))
        return 1 if complaints else 0

    s = SIZES[arguments.sizes]
    print(f"Outputs of all tokens, float32, {s.L} layers, d {s.d}, {s.h} heads, d_ff {s.d_ff}, V {s.V}")
    print(f"({machine}; {arguments.rounds} rounds, {arguments.threads} threads each):")
    references = [name for name in REFERENCES if name in by_name]
    for parity, (workload, of_peers) in enumerate(figures.items()):
        lengths = [len(ids) for ids in make_sequences(s, parity)]
        print(f"\n{workload}: {s.B} sequences of {min(lengths)} to {max(lengths)}, {sum(lengths)} tokens\n")
        ratios = "".join(f" | median / {name}'s" for name in references)
        print(f"| peer | median, ms | fastest, ms{ratios} | peak, MB |")
        print("|---" * (4 + len(references)) + "|")
        for name, f in of_peers.items():
            ratios = "".join(f" | {f[f'ratio_to_{reference}']:.3f}" for reference in references)
            print(
                f"| {DESCRIPTIONS[name]} | {f['median_ms']:.0f} | {f['fastest_ms']:.0f}{ratios} "
                f"| {by_name[name].peak_mb:.0f} |"
            )
    print()
    for name, child in by_name.items():
        if name != "npformer again":
            about = child.about
            print(f"{name}: {about['library']}; BLAS: {about['blas']}, kernel {about['kernel']}.")
    for name, why in missing.items():
        print(f"{name}: not measured, {why}.")
    for complaint in complaints:
        print(complaint)
    if busy > BUSY:
        print(f"Other processes kept {busy:.1f} cores busy meanwhile: measure again on an idle machine.")
    if "npformer again" in by_name:
        controls = [f["npformer again"]["median_ms"] / f["npformer"]["median_ms"] for f in figures.values()]
        said = " and ".join(f"{control:.3f}" for control in controls)
        print(f"A/A control: npformer again / npformer = {said}; such differences mean nothing.")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
