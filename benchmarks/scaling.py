"""How a training step grows: its time and peak memory against T, B, d, L, V and the number of threads.

    python benchmarks/scaling.py

prints a Markdown table for each axis. Every point is a process of its own, so that its peak memory is its
own. Below each table are the exponents: the slopes of least-squares lines through the logarithms of size and
time (or of size and memory above what the process had before the model), over all points and over their upper
half, beside the slopes of the same lines through the formulas of counts.py. A step that were nothing but its
matrix products at one rate would have the formula's exponent. One thread, unless the axis is the threads.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "peers"), str(HERE.parent)]

from children import BUSY, processor  # noqa: E402
from counts import flops, kept_bytes  # noqa: E402
from process import cpu_of_others  # noqa: E402
from workload import SIZES, Sizes  # noqa: E402

STEPS, SECONDS = 5, 2.0  # a point is measured for that many steps or, from two on, that long
BASE = SIZES["base"]
SMALL = BASE._replace(B=8)  # one micro-batch


class Point(NamedTuple):
    """What is run once."""

    s: Sizes
    threads: int


class Axis(NamedTuple):
    """One thing that grows, all else as it is."""

    title: str
    letter: str
    values: list[int]
    points: list[Point]
    fitted: bool = True


def wide(s: Sizes, d: int) -> Sizes:
    """Another width, with heads of 64 and the feed-forward four times as wide."""
    return s._replace(d=d, h=d // 64, d_ff=4 * d)


def all_axes() -> list[Axis]:
    """The axes of the full measurement."""
    lengths = [64, 128, 256, 512, 1024, 2048, 4096]
    batches = [1, 2, 4, 8, 16, 32, 64]
    widths = [64, 128, 256, 512, 1024]
    layers = [1, 2, 4, 8, 16]
    words = [1024, 2048, 4096, 8192, 16384, 32768, 65536]
    kinds = [("tiny", SIZES["tiny"]), ("base", BASE), ("long", SIZES["long"])]
    threads = [Axis(f"threads, sizes {n}", "threads", [1, 2], [Point(s, 1), Point(s, 2)]) for n, s in kinds]
    whole = [Point(BASE._replace(T=T, B=4096 // T), 1) for T in lengths]
    return [
        Axis("T, at 4,096 tokens a batch", "T", lengths, whole),
        Axis("T, at B = 1", "T", lengths, [Point(BASE._replace(T=T, B=1), 1) for T in lengths]),
        Axis("B, at T = 128", "B", batches, [Point(BASE._replace(B=B), 1) for B in batches]),
        Axis("d, with B = 8", "d", widths, [Point(wide(SMALL, d), 1) for d in widths]),
        Axis("L, with B = 8", "L", layers, [Point(SMALL._replace(L=L), 1) for L in layers]),
        Axis("V, with B = 8", "V", words, [Point(SMALL._replace(V=V), 1) for V in words]),
        *(axis._replace(fitted=False) for axis in threads),
    ]


def short_axes() -> list[Axis]:
    """A few seconds' worth: that everything runs."""
    tiny = SIZES["tiny"]
    lengths = [32, 64, 128]
    points = [Point(tiny._replace(T=T, B=256 // T), 1) for T in lengths]
    return [
        Axis("T, at 256 tokens a batch", "T", lengths, points),
        Axis("threads, sizes tiny", "threads", [1, 2], [Point(tiny, 1), Point(tiny, 2)], fitted=False),
    ]


def measure(point: Point) -> dict[str, float]:
    """Run one point in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[variable] = "1"  # its threads are Python's, each with one of BLAS
    command = [sys.executable, str(Path(__file__).resolve()), "--point"]
    command.append(json.dumps([*point.s, point.threads]))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{point}: the process ended with status {done.returncode}; its error is above")
    return json.loads(done.stdout)


def run_point(point: Point) -> dict[str, float]:
    """Do what `measure` asks for, inside the process that it started."""
    import by_npformer
    import workload

    start_mb = resident_mb()
    peer = by_npformer.Peer(point.s, point.threads, 0.0)
    seconds: list[float] = []
    steps, others = 0, 0.0
    while len(seconds) < 2 or (len(seconds) < STEPS and sum(seconds) < SECONDS):
        batch = peer.prepare(workload.make_batch(point.s, steps))
        busy, start = cpu_of_others(), time.perf_counter()
        peer.step(batch)
        took = time.perf_counter() - start
        steps += 1
        if steps > 1:  # the first is the warm-up
            seconds.append(took)
            others += cpu_of_others() - busy
    return {
        "seconds": statistics.median(seconds),
        "fastest": min(seconds),
        "others_busy_cores": others / sum(seconds),
        "peak_mb": resident_mb(),
        "start_mb": start_mb,
    }


def resident_mb() -> float:
    """The most memory this process has had so far."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def exponent(x: list[float], y: list[float]) -> float:
    """Least-squares slope of log y against log x.

    >>> round(exponent([1, 2, 4], [3, 12, 48]), 12)
    2.0
    """
    u, v = [math.log(a) for a in x], [math.log(a) for a in y]
    u_mean, v_mean = statistics.fmean(u), statistics.fmean(v)
    above = sum((a - u_mean) * (b - v_mean) for a, b in zip(u, v, strict=True))
    return above / sum((a - u_mean) ** 2 for a in u)


def kept_mb(point: Point) -> float:
    """The formula's memory, of the process's share that the model and its step are to blame for."""
    lanes = min(point.threads, point.s.B)
    tokens = max(point.s.T, min(1024 // point.s.T, math.ceil(point.s.B / lanes)) * point.s.T)
    return kept_bytes(point.s, lanes, tokens) / 1e6


def figures(axis: Axis, measured: dict[Point, dict[str, float]]) -> dict[str, Any]:
    """The rows of an axis, and its exponents."""
    rows = [
        {
            axis.letter: value,
            **point.s._asdict(),
            "threads": point.threads,
            **measured[point],
            "gflop": flops(point.s) / 1e9,
            "formula_mb": kept_mb(point),
        }
        for value, point in zip(axis.values, axis.points, strict=True)
    ]
    result: dict[str, Any] = {"title": axis.title, "axis": axis.letter, "rows": rows}
    if axis.fitted:
        half = len(rows) // 2
        for name, part in (("all", rows), ("upper_half", rows[half:])):
            x = [float(row[axis.letter]) for row in part]
            result[name] = {
                "from": part[0][axis.letter],
                "time": exponent(x, [row["seconds"] for row in part]),
                "flops": exponent(x, [row["gflop"] for row in part]),
                "memory": exponent(x, [row["peak_mb"] - row["start_mb"] for row in part]),
                "kept": exponent(x, [row["formula_mb"] for row in part]),
            }
    return result


def markdown(result: dict[str, Any]) -> str:
    """One axis as a table and its exponents."""
    lines = [f"### {result['title']}", ""]
    columns = "median, ms | fastest, ms | GFLOP | GFLOP/s | peak, MB | formula, MB"
    lines += [f"| {result['axis']} | {columns} |", "|--:" * 7 + "|"]
    for row in result["rows"]:
        formula = row["start_mb"] + row["formula_mb"]
        lines.append(
            f"| {row[result['axis']]:,} | {1e3 * row['seconds']:.1f} | {1e3 * row['fastest']:.1f} "
            f"| {row['gflop']:.2f} | {row['gflop'] / row['seconds']:.0f} "
            f"| {row['peak_mb']:.0f} | {formula:.0f} |"
        )
    lines.append("")
    if "all" in result:
        lines += ["| exponents | time | of the FLOPs | memory | of the formula |", "|---|--:|--:|--:|--:|"]
        for name, words in (("all", "all points"), ("upper_half", "the upper half")):
            fit = result[name]
            lines.append(
                f"| {words}, from {fit['from']:,} | {fit['time']:.2f} | {fit['flops']:.2f} "
                f"| {fit['memory']:.2f} | {fit['kept']:.2f} |"
            )
    else:
        one, *_, most = result["rows"]
        lines.append(
            f"{most['threads']} threads: {one['seconds'] / most['seconds']:.2f} times as fast, "
            f"{most['peak_mb'] / one['peak_mb']:.2f} times the memory."
        )
    return "\n".join([*lines, ""])


def plot(results: list[dict[str, Any]], path: str) -> str:
    """Draw time and memory against each fitted axis; returns a sentence on what was done."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return "no plot: matplotlib is not installed (pip install '.[plot]')"
    fitted = [result for result in results if "all" in result]
    figure, panels = pyplot.subplots(2, len(fitted), figsize=(2.7 * len(fitted), 5.2), squeeze=False)
    for (above, below), result in zip(panels.T, fitted, strict=True):
        x = [row[result["axis"]] for row in result["rows"]]
        seconds = [row["seconds"] for row in result["rows"]]
        gflop = [row["gflop"] for row in result["rows"]]
        above.loglog(x, seconds, "o-", label="measured")
        above.loglog(x, [g * seconds[-1] / gflop[-1] for g in gflop], "--", label="as the FLOPs")
        above.set_title(result["title"], fontsize=9)
        below.loglog(x, [row["peak_mb"] for row in result["rows"]], "o-", label="peak")
        formula = [row["start_mb"] + row["formula_mb"] for row in result["rows"]]
        below.loglog(x, formula, "--", label="by formula")
        below.set_xlabel(result["axis"])
        for panel in (above, below):
            panel.minorticks_off()
            panel.set_xticks(x, [str(value) for value in x], fontsize=7, rotation=60)
    panels[0, 0].set_ylabel("seconds a step")
    panels[1, 0].set_ylabel("memory, MB")
    for panel in panels[:, 0]:
        panel.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    return f"plot: {path}"


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How a training step's time and memory grow.")
    parser.add_argument("--axes", nargs="+", metavar="AXIS", help="of T, B, d, L, V, threads (default all)")
    parser.add_argument("--short", action="store_true", help="small sizes, a few seconds in all")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--plot", metavar="FILE", help="draw it, too (needs matplotlib)")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.point:
        *sizes, threads = json.loads(arguments.point)
        print(json.dumps(run_point(Point(Sizes(*sizes), threads))))
        return 0
    axes = short_axes() if arguments.short else all_axes()
    known = list(dict.fromkeys(axis.letter for axis in axes))
    if arguments.axes:
        unknown = [letter for letter in arguments.axes if letter not in known]
        if unknown:
            parser.error(f"--axes: expected among {', '.join(known)}, got {unknown[0]!r}")
        axes = [axis for axis in axes if axis.letter in arguments.axes]

    if not arguments.json:
        s = SIZES["tiny"] if arguments.short else BASE
        print("One training step of npformer, float32, one thread unless said, no dropout. Unless the axis")
        print(f"says otherwise {s.L} layers, d {s.d}, {s.h} heads, d_ff {s.d_ff}, V {s.V}, T {s.T}, B {s.B}.")
        print(f"{processor()}, {os.cpu_count()} cores visible, Python {platform.python_version()}.\n")
    measured: dict[Point, dict[str, float]] = {}
    results = []
    for axis in axes:
        for point in axis.points:
            if point not in measured:  # some lie on two axes
                print(f"\r{axis.title}: {len(measured) + 1} points", end="", file=sys.stderr, flush=True)
                measured[point] = measure(point)
        print(file=sys.stderr)
        results.append(figures(axis, measured))
        if not arguments.json:
            print(markdown(results[-1]), flush=True)
    busy = statistics.fmean(figure["others_busy_cores"] for figure in measured.values())
    if arguments.json:
        print(json.dumps(results, indent=1))
    elif busy > BUSY:
        print(f"Other processes kept {busy:.1f} cores busy: measure again on an idle machine.\n")
    if arguments.plot:
        print(plot(results, arguments.plot), file=sys.stderr if arguments.json else sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
