"""One encoder layer, forward and backward, beside small frameworks that compute with NumPy, and PyTorch.

    python -m pip install autograd pydynet neuralnetlib torch==2.13.0
    python benchmarks/layer_peers.py

prints a Markdown table. Every peer is a process of its own with the same weights, inputs and gradient of the
output, asked in turn for two layers each, of which the second is timed (see peers/children.py). What each
computed on the first batch, the output and the gradients of the input and of all 16 weights, is compared with
npformer's block in float64.
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
sys.path[:0] = [str(HERE), str(HERE / "peers"), str(HERE.parent)]

import layer  # noqa: E402
import numpy as np  # noqa: E402
import workload  # noqa: E402
from children import BUSY, WARM_UP, Child, measure, processor  # noqa: E402

from npformer.nn import EncoderLayer  # noqa: E402

DESCRIPTIONS = {
    "npformer": "npformer",
    "npformer again": "npformer again (A/A control)",
    "torch": "PyTorch eager, fused attention",
    "autograd": "autograd (HIPS), written in its NumPy",
    "pydynet": "PyDyNet, written out of its tensors",
    "neuralnetlib": "neuralnetlib, its own TransformerEncoderLayer",
}
SAME = 1e-4  # relative: what float32 may do to a gradient; a mistake is far above


def reference(sizes: str) -> dict[str, Any]:
    """What the results have to be: npformer's block in float64."""
    s = layer.one_layer(workload.SIZES[sizes])
    block = EncoderLayer("layer", s.d, s.h, s.d_ff, activation="gelu_tanh", eps=layer.EPS)
    params = {f"layer.{name}": w.astype(np.float64) for name, w in layer.make_weights(s).items()}
    grads = {name: np.zeros_like(w) for name, w in params.items()}
    x, dy = (a.astype(np.float64) for a in layer.make_arrays(s, workload.make_batch(s, 0)))
    y, cache = block.forward(params, x)
    arrays = {"y": y, "x": block.backward(params, dy, cache, grads)}
    arrays |= {name.removeprefix("layer."): g for name, g in grads.items()}
    return {name: layer.project(name, a) for name, a in arrays.items()}


def differences(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, float]:
    """How far each array is off, in terms of its norm, or of 1e-3 of the largest gradient's if that is more.

    (The gradient of the keys' bias is zero, and all that any peer has there is rounding.)
    """
    floor = 1e-3 * max(e["norm"] for name, e in expected.items() if name != "y")
    result = {}
    for name, e in expected.items():
        squares = [(a - b) ** 2 for a, b in zip(found[name]["products"], e["products"], strict=True)]
        result[name] = statistics.fmean(squares) ** 0.5 / max(e["norm"], floor)
    return result


def figures(child: Child, base: Child, expected: dict[str, Any]) -> dict[str, Any]:
    """What is printed about a peer."""
    seconds = child.seconds[WARM_UP:]
    off = differences(child.about.pop("checks"), expected)
    worst = max((name for name in off if name != "y"), key=off.__getitem__)
    return {
        "median_ms": 1e3 * statistics.median(seconds),
        "fastest_ms": 1e3 * min(seconds),
        "ratio_of_medians": statistics.median(seconds) / statistics.median(base.seconds[WARM_UP:]),
        "others_busy_cores": sum(child.others[WARM_UP:]) / sum(seconds),
        "peak_mb": child.peak_mb,
        "output_off": off["y"],
        "worst_gradient": worst,
        "worst_gradient_off": off[worst],
        "seconds": seconds,
        **child.about,
    }


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 if a peer's results are others."""
    parser = argparse.ArgumentParser(description="Time one encoder layer beside small frameworks.")
    parser.add_argument("--rounds", type=int, default=11, help="measured rounds (default 11)")
    parser.add_argument("--sizes", choices=workload.SIZES, default="base", help="widths (default base)")
    parser.add_argument("--threads", type=int, default=1, help="threads for each peer's BLAS (default 1)")
    parser.add_argument("--json", action="store_true", help="print JSON, with every measured time")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1 or arguments.threads < 1:
        parser.error("--rounds and --threads take a number from 1 on")

    names = list(DESCRIPTIONS)
    children, missing = measure("layer", names, arguments.sizes, arguments.threads, arguments.rounds)
    expected = reference(arguments.sizes)
    found = {child.name: figures(child, children[0], expected) for child in children}
    complaints = [
        f"{DESCRIPTIONS[name]}: other results: the gradient of {f['worst_gradient']} is off by "
        f"{f['worst_gradient_off']:.0e}, the output by {f['output_off']:.0e}"
        for name, f in found.items()
        if not max(f["worst_gradient_off"], f["output_off"]) <= SAME
    ]
    s = layer.one_layer(workload.SIZES[arguments.sizes])
    machine = f"{processor()}, {os.cpu_count()} cores visible, Python {platform.python_version()}"
    if arguments.json:
        result = {"machine": machine, "sizes": s._asdict(), "threads": arguments.threads, "peers": found}
        print(json.dumps({**result, "missing": missing, "complaints": complaints}, indent=1))
        return 1 if complaints else 0

    print("One encoder layer, forward and backward, GELU with tanh,")
    print(f"d {s.d}, {s.h} heads, d_ff {s.d_ff}, T {s.T}, B {s.B}")
    print(f"({machine}; {arguments.rounds} rounds, {arguments.threads} thread(s) each):\n")
    columns = "median, ms | fastest, ms | median / npformer's | peak, MB | computes in"
    columns += " | output off | worst gradient off"
    print(f"| peer | {columns} |\n|---|---|---|---|---|---|---|---|")
    for name, f in found.items():
        print(
            f"| {DESCRIPTIONS[name]} | {f['median_ms']:.1f} | {f['fastest_ms']:.1f} "
            f"| {f['ratio_of_medians']:.2f} | {f['peak_mb']:.0f} | {' and '.join(f['dtypes'])} "
            f"| {f['output_off']:.0e} | {f['worst_gradient_off']:.0e} ({f['worst_gradient']}) |"
        )
    for name, why in missing.items():
        print(f"| {DESCRIPTIONS[name]} | not measured: {why} | | | | | | |")
    print()
    for name, f in found.items():
        if "again" not in name:
            print(f"{DESCRIPTIONS[name]}: {f['library']}; BLAS: {f['blas']}, kernel {f['kernel']}.")
    for complaint in complaints:
        print(complaint)
    busy = max(f["others_busy_cores"] for f in found.values())
    if busy > BUSY:
        print(f"Other processes kept up to {busy:.1f} cores busy: measure again on an idle machine.")
    control = found["npformer again"]["median_ms"] / found["npformer"]["median_ms"]
    print(f"A/A control: npformer again / npformer = {control:.3f}; such differences mean nothing.")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
