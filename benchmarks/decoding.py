"""How fast a decoder of GPT-2's shape writes, one token at a time, npformer beside Hugging Face.

    python benchmarks/decoding.py

prints a Markdown table: tokens a second of greedy decoding after a short prompt, whose reading is counted,
with kept keys and values; 12 layers, width 768, a vocabulary of 50,257, random weights in float32. Every peer
is a process of its own, asked in turn, as in inference.py; npformer is there twice, and what its two lines
differ by means nothing. The tokens are compared, so that all provably do the same work.
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
from workload import NEW, PROMPT, SIZES  # noqa: E402

DESCRIPTIONS = {
    "npformer": "npformer",
    "npformer again": "npformer again (A/A control)",
    "huggingface": "Hugging Face GPT2LMHeadModel, eager, plain loop",
    "huggingface-generate": "the same by its `generate`",
}


def summary(child: Child, children: dict[str, Child]) -> dict[str, Any]:
    """The figures of one peer."""
    seconds = child.seconds[WARM_UP:]
    median = statistics.median(seconds)
    figures = {"ms_per_token": 1e3 * median / NEW, "fastest_ms_per_token": 1e3 * min(seconds) / NEW}
    figures["tokens_per_second"] = NEW / median
    if "huggingface" in children:
        figures["speed_to_huggingface"] = (
            statistics.median(children["huggingface"].seconds[WARM_UP:]) / median
        )
    return {**figures, "seconds": seconds}


def check_work(children: list[Child]) -> list[str]:
    """Sentences on peers whose tokens are not the first peer's; empty if all do the same work."""
    complaints = []
    for child in children[1:]:
        for step, (own, first) in enumerate(zip(child.results, children[0].results, strict=True)):
            if own != first:
                complaints.append(f"{child.name}: not the same work: other tokens in round {step}")
                break
    return complaints


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if the peers did not do the same work."""
    parser = argparse.ArgumentParser(description="Time decoding, one token at a time, beside its peers.")
    parser.add_argument(
        "--rounds", type=int, default=11, help=f"measured rounds of {NEW} tokens (default 11)"
    )
    parser.add_argument("--sizes", choices=SIZES, default="gpt2", help="the model (default gpt2)")
    parser.add_argument("--threads", type=int, default=2, help="threads for each peer (default 2)")
    choices = list(PEERS["decoding"])
    parser.add_argument("--peers", nargs="+", choices=choices, default=choices, help="default: all")
    parser.add_argument("--json", action="store_true", help="print JSON, with every measured time")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1 or arguments.threads < 1:
        parser.error("--rounds and --threads take a number from 1 on")

    names = list(dict.fromkeys(arguments.peers))
    if "npformer" in names:
        names.insert(names.index("npformer") + 1, "npformer again")
    children, missing = measure("decoding", names, arguments.sizes, arguments.threads, arguments.rounds)
    if not children:
        print("no peer could be started: " + "; ".join(f"{name}: {why}" for name, why in missing.items()))
        return 1
    by_name = {child.name: child for child in children}
    figures = {child.name: summary(child, by_name) for child in children}
    complaints = check_work(children)
    busy = max(sum(child.others) / sum(child.seconds) for child in children)
    machine = f"{processor()}, {os.cpu_count()} cores visible, Python {platform.python_version()}"
    s = SIZES[arguments.sizes]
    if arguments.json:
        result = {
            "machine": machine,
            "sizes": s._asdict(),
            "threads": arguments.threads,
            "rounds": arguments.rounds,
            "figures": figures,
            "peers": {c.name: {**c.about, "peak_mb": c.peak_mb} for c in children},
            "missing": missing,
            "others_busy_cores": busy,
            "complaints": complaints,
        }
        print(json.dumps(result, indent=1))
        return 1 if complaints else 0

    print(f"{NEW} tokens after a prompt of {PROMPT}, one at a time, float32,")
    print(f"{s.L} layers, d {s.d}, {s.h} heads, d_ff {s.d_ff}, V {s.V}")
    print(f"({machine}; {arguments.rounds} rounds, {arguments.threads} threads each):\n")
    compared = "huggingface" in by_name
    print(
        f"| peer | ms a token | fastest | tokens a second{' | speed / huggingface' * compared} | peak, MB |"
    )
    print("|---" * (5 + compared) + "|")
    for name, f in figures.items():
        ratio = f" | {f['speed_to_huggingface']:.2f}" if compared else ""
        print(
            f"| {DESCRIPTIONS[name]} | {f['ms_per_token']:.1f} | {f['fastest_ms_per_token']:.1f} "
            f"| {f['tokens_per_second']:.1f}{ratio} | {by_name[name].peak_mb:.0f} |"
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
        control = figures["npformer again"]["ms_per_token"] / figures["npformer"]["ms_per_token"]
        print(f"A/A control: npformer again / npformer = {control:.3f}; such differences mean nothing.")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
