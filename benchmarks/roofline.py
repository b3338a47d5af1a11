"""The roofline of a training step: what each op does a second, and what this machine lets it do.

    python benchmarks/roofline.py                            prints the table
    python benchmarks/roofline.py --plot docs/roofline.svg   and draws the picture of docs/performance.md

An op that does F FLOP and has to move M bytes can run at no more than min(peak, F / M x bandwidth) FLOP a
second (Williams, Waterman, Patterson: Roofline, Communications of the ACM 52(4), 2009). The peak is the best
of some large square matrix products, the bandwidth that of a triad a = b + s c of arrays far larger than any
cache, and once more of arrays as small as a micro-batch's, which stay in the cache.

F and M are counted by the formulas below, not measured: an addition, a product, a quotient, a comparison or
an elementary function (exp, erf) is 1 FLOP; M is what any implementation has to move: each input read once,
each output and each array kept for the backward written once. NumPy walks through memory more often than
that, once for each operation; how far a point lies below the roof is what this costs.
The shapes are those of one micro-batch of the training step: 1,024 tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # another BLAS kernel than the one people get
    os.environ.pop(variable, None)

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "peers"), str(HERE.parent)]

import numpy as np  # noqa: E402
from children import processor  # noqa: E402
from workload import BETAS, EPS, LR, RATE, SIZES, WEIGHT_DECAY, Sizes  # noqa: E402

from npformer import functional as F  # noqa: E402
from npformer.optim import adamw_step  # noqa: E402

BYTES = 4  # of a float32
TOKENS = 1024  # of a micro-batch
SIDES = (768, 1024, 1536)  # of the square products
FAR = 24 * 2**20  # numbers in an array of the triad: 100 MB, far larger than a cache


class Op(NamedTuple):
    """One op at the micro-batch's shapes."""

    name: str
    flop: float
    moved: float  # bytes
    run: Callable[[], Any]


def normal(*shape: int) -> np.ndarray:
    """Standard normal numbers in float32."""
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def ops(s: Sizes) -> Iterator[Op]:
    """Each op of the step with its FLOP and bytes. N tokens, n targets; P has B h T T numbers."""
    B = max(TOKENS // s.T, 1)
    N, d, f, V, h, d_k = B * s.T, s.d, s.d_ff, s.V, s.h, s.d // s.h
    n, scores = round(RATE * N), B * h * s.T * s.T

    for name, rows, d_in, d_out in (("d -> d", N, d, d), ("d -> d_ff", N, d, f), ("d -> V", n, d, V)):
        x, w, b, dy = normal(rows, d_in), normal(d_in, d_out), normal(d_out), normal(rows, d_out)
        sizes = rows * d_in + d_in * d_out + d_out + rows * d_out
        _, cache = F.linear(x, w, b)
        flop = 2 * rows * d_in * d_out
        yield Op(
            f"linear {name}", flop + rows * d_out, BYTES * sizes, lambda x=x, w=w, b=b: F.linear(x, w, b)
        )
        # reads x, W, dy; writes dx, dW, db
        yield Op(
            f"linear {name}, backward",
            2 * flop + rows * d_out,
            BYTES * (sizes + rows * d_in + d_in * d_out),
            lambda dy=dy, cache=cache: F.linear_backward(dy, cache),
        )

    q, k, v, do = (normal(B, s.T, h, d_k).swapaxes(1, 2) for _ in range(4))
    _, attention = F.scaled_dot_product_attention(q, k, v)
    # Q Kᵀ and P V; maximum, difference, exp, sum, quotient for each weight. P is kept.
    yield Op(
        "attention",
        4 * scores * d_k + 5 * scores + N * d,
        BYTES * (4 * N * d + scores),
        lambda: F.scaled_dot_product_attention(q, k, v),
    )
    # dV, dP, dQ, dK; P dP, its sum, difference, product. Reads q, k, v, P, dO; writes dq, dk, dv.
    yield Op(
        "attention, backward",
        8 * scores * d_k + 4 * scores + 2 * N * d,
        BYTES * (7 * N * d + scores),
        lambda: F.scaled_dot_product_attention_backward(do, attention),
    )

    z = normal(B, h, s.T, s.T)
    P, softmax = F.softmax(z)
    yield Op("softmax", 5 * scores, BYTES * 2 * scores, lambda: F.softmax(z))  # as above
    yield Op("softmax, backward", 4 * scores, BYTES * 3 * scores, lambda: F.softmax_backward(P, softmax))

    u = normal(N, f)
    _, gelu = F.gelu(u)
    # x/√2, erfc, /2, product; x², -1/2, exp, /√(2π), product with x, sum. Writes out and its slope.
    yield Op("gelu", 10 * N * f, BYTES * 3 * N * f, lambda: F.gelu(u))
    yield Op("gelu, backward", N * f, BYTES * 3 * N * f, lambda: F.gelu_backward(u, gelu))

    x, dx, gamma, beta = normal(N, d), normal(N, d), normal(d), normal(d)
    _, norm = F.layer_norm(x, gamma, beta)
    # sum, difference, square, sum, · rstd, · gamma, + beta. Writes out and x_hat.
    yield Op("layer norm", 7 * N * d, BYTES * 3 * N * d, lambda: F.layer_norm(x, gamma, beta))
    # dbeta; product, dgamma; · gamma; sum; product, sum; product, two differences, · rstd
    yield Op("layer norm, backward", 10 * N * d, BYTES * 3 * N * d, lambda: F.layer_norm_backward(dx, norm))

    logits, targets = normal(n, V), np.random.default_rng(0).integers(0, V, n)
    _, loss = F.cross_entropy(logits, targets)
    # maximum, difference, exp, sum; exp is kept, and the backward multiplies it
    yield Op("cross entropy", 4 * n * V, BYTES * 2 * n * V, lambda: F.cross_entropy(logits, targets))
    yield Op("cross entropy, backward", n * V, BYTES * 2 * n * V, lambda: F.cross_entropy_backward(1.0, loss))

    ids, table = (V * np.random.default_rng(0).random((B, s.T)) ** 3).astype(np.int64), normal(V, d)
    dout = normal(B, s.T, d)
    _, embedding = F.embedding(ids, table)
    rows_backward = F.embedding_backward_rows
    # The forward adds nothing up: it has no FLOP, and no place in the picture.
    yield Op("embedding", 0, BYTES * 2 * N * d, lambda: F.embedding(ids, table))
    yield Op("embedding, backward", N * d, BYTES * 2 * N * d, lambda: rows_backward(dout, embedding))

    size = V * d
    weights, grad, m, v2 = normal(size), normal(size), np.zeros(size, np.float32), np.ones(size, np.float32)
    # m: 3; v: 4; both corrections, root, + eps, quotient: 5; decay, · lr, difference: 3. In place.
    yield Op(
        "AdamW",
        15 * size,
        BYTES * 7 * size,
        lambda: update(weights, grad, m, v2),
    )


def update(weights: np.ndarray, grad: np.ndarray, m: np.ndarray, v: np.ndarray) -> None:
    """One update of the embedding's matrix."""
    adamw_step(weights, grad, m, v, 10, lr=LR, betas=BETAS, eps=EPS, weight_decay=WEIGHT_DECAY)


def seconds_of(run: Callable[[], Any], least: float) -> float:
    """Median time of a call, of as many as fit into `least` seconds, three at least, after one more."""
    run()
    times: list[float] = []
    while len(times) < 3 or sum(times) < least:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def together(run: Callable[[int], Any], threads: int, least: float) -> float:
    """Calls a second, of that many threads at once, each calling for `least` seconds."""

    def work(number: int) -> int:
        done, until = 0, time.perf_counter() + least
        while time.perf_counter() < until:
            run(number)
            done += 1
        return done

    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(run, range(threads)))  # warm
        start = time.perf_counter()
        done = sum(executor.map(work, range(threads)))
        return done / (time.perf_counter() - start)


def peak(threads: int, least: float) -> float:
    """The best rate of square products, FLOP a second."""
    rates = []
    for side in SIDES:
        x = normal(side, side)
        rates.append(2 * side**3 * together(lambda _, x=x: x @ x, threads, least))
    return max(rates)


def bandwidth(size: int, threads: int, least: float) -> float:
    """Bytes a second of the triad a = b + s c, `size` numbers each, cut among the threads.

    NumPy makes two walks of it: a = s c reads and writes, a += b reads two and writes one. So 5 arrays move.
    """
    part = size // threads
    arrays = [tuple(np.full(part, 1.0, np.float32) for _ in range(3)) for _ in range(threads)]

    def triad(number: int) -> None:
        a, b, c = arrays[number]
        np.multiply(c, np.float32(3), out=a)
        np.add(a, b, out=a)

    return 5 * BYTES * part * together(triad, threads, least)


def measure(s: Sizes, threads: int, least: float) -> dict[str, Any]:
    """Roofs for one thread and for all, and every op on one thread and on all at once."""
    roofs = {}
    for count in dict.fromkeys((1, threads)):
        roofs[count] = {
            "peak": peak(count, least),
            "memory": bandwidth(FAR, count, 2 * least),
            "cache": bandwidth(count * TOKENS * s.d, count, least),
        }
    rows = []
    for op in ops(s):
        seconds = seconds_of(op.run, least)
        inplace = op.name == "AdamW"  # its threads would update one vector
        all_threads = None if inplace else together(lambda _, op=op: op.run(), threads, least)
        rows.append(
            {
                "op": op.name,
                "flop": op.flop,
                "bytes": op.moved,
                "intensity": op.flop / op.moved,
                "seconds": seconds,
                "rate": op.flop / seconds,
                "bytes_per_second": op.moved / seconds,
                "rate_of_all": None if all_threads is None else op.flop * all_threads,
                "roof": min(roofs[1]["peak"], op.flop / op.moved * roofs[1]["memory"]),
                "roof_in_cache": min(roofs[1]["peak"], op.flop / op.moved * roofs[1]["cache"]),
            }
        )
    return {"roofs": roofs, "ops": rows}


def table(result: dict[str, Any], threads: int) -> str:
    """What the picture shows, as Markdown."""
    lines = ["| roof | threads | peak, GFLOP/s | memory, GB/s | in cache, GB/s |", "|---|--:|--:|--:|--:|"]
    for count, roof in result["roofs"].items():
        figures = " | ".join(f"{roof[name] / 1e9:.0f}" for name in ("peak", "memory", "cache"))
        lines.append(f"| measured | {count} | {figures} |")
    columns = (
        f"MFLOP | MB | FLOP/byte | ms | GFLOP/s | GB/s | of the cache's roof | {threads} threads, GFLOP/s"
    )
    lines += ["", f"| op | {columns} |", "|---|" + "--:|" * 8]
    for row in result["ops"]:
        of_all = "-" if row["rate_of_all"] is None else f"{row['rate_of_all'] / 1e9:.1f}"
        share = f"{row['rate'] / row['roof_in_cache']:.0%}" if row["flop"] else "-"
        lines.append(
            f"| {row['op']} | {row['flop'] / 1e6:.1f} | {row['bytes'] / 1e6:.1f} | {row['intensity']:.2f} "
            f"| {1e3 * row['seconds']:.2f} | {row['rate'] / 1e9:.1f} | {row['bytes_per_second'] / 1e9:.1f} "
            f"| {share} | {of_all} |"
        )
    return "\n".join(lines)


# Where a label is put, in points from its point: right of it unless two would meet. The far ones get a line.
OFFSETS = {
    "linear d -> d": (-75, 24),
    "linear d -> d_ff": (-18, 40),
    "linear d -> d_ff, backward": (12, 20),
    "linear d -> d, backward": (20, -28),
    "linear d -> V": (-100, 8),
    "linear d -> V, backward": (10, -52),
    "attention, backward": (-70, -2),
    "softmax": (-6, -3),
    "softmax, backward": (-6, -3),
    "gelu, backward": (0, -12),
}


def draw(result: dict[str, Any], path: Path) -> str:
    """Draw the picture; returns a sentence on what was done."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return "no picture: matplotlib is not installed (pip install '.[plot]')"
    # the same file from the same figures, with its letters as text
    matplotlib.rcParams.update({"svg.hashsalt": "roofline", "svg.fonttype": "none"})
    figure, panel = pyplot.subplots(figsize=(10, 6.2))
    x = np.geomspace(0.05, 400, 300)
    for style, (threads, roof) in zip(("-", "--"), result["roofs"].items(), strict=False):
        words = f"{threads} thread{'s' if threads > 1 else ''}"
        for kind, colour in (("memory", "tab:red"), ("cache", "tab:blue")):
            y = np.minimum(roof["peak"], x * roof[kind]) / 1e9
            where = "memory" if kind == "memory" else "cache"
            label = f"{words}: {roof['peak'] / 1e9:.0f} GFLOP/s, {where} {roof[kind] / 1e9:.0f} GB/s"
            panel.loglog(x, y, style, color=colour, linewidth=1.3, label=label)
    for row in result["ops"]:
        if not row["flop"]:
            continue
        backward = row["op"].endswith("backward")
        at = (row["intensity"], row["rate"] / 1e9)
        panel.plot(*at, "o", color="black", markerfacecolor="white" if backward else "black", markersize=5)
        right, up = OFFSETS.get(row["op"], (6, -3))
        far = abs(right) + abs(up) > 20
        panel.annotate(
            row["op"].removesuffix(", backward").replace("->", "→"),
            at,
            xytext=(right, up),
            textcoords="offset points",
            fontsize=8,
            ha="right" if right < 0 and not far else "left",
            arrowprops={"arrowstyle": "-", "color": "gray", "linewidth": 0.6} if far else None,
        )
    panel.plot([], [], "o", color="black", markersize=5, label="forward")
    panel.plot([], [], "o", color="black", markerfacecolor="white", markersize=5, label="backward")
    panel.set_xlabel("FLOP per byte that has to be moved")
    panel.set_ylabel("GFLOP/s")
    panel.set_xlim(0.07, 400)
    panel.set_title("The ops of a training step at a micro-batch of 1,024 tokens, one thread", fontsize=10)
    panel.grid(alpha=0.3, which="both", linewidth=0.4)
    panel.legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)
    return f"picture: {os.path.relpath(path)}"


def main(argv: list[str] | None = None) -> int:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description="Each op's rate below the roofs of this machine.")
    parser.add_argument("--sizes", choices=SIZES, default="base", help="of the model (default base)")
    parser.add_argument("--threads", type=int, default=2, help="for the second roof (default 2)")
    parser.add_argument("--short", action="store_true", help="a few seconds in all")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--from-json", type=Path, metavar="FILE", help="what --json printed before")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it, too (needs matplotlib)")
    arguments = parser.parse_args(argv)
    if arguments.threads < 1:
        parser.error("--threads takes a number from 1 on")
    if arguments.from_json:
        result = json.loads(arguments.from_json.read_text(encoding="utf-8"))
        result["roofs"] = {int(count): roof for count, roof in result["roofs"].items()}
    else:
        result = measure(SIZES[arguments.sizes], arguments.threads, 0.02 if arguments.short else 0.4)
    if arguments.json:
        print(json.dumps(result, indent=1))
        if arguments.plot:
            print(draw(result, arguments.plot), file=sys.stderr)
        return 0
    print(
        f"{processor()}, {os.cpu_count()} cores visible, NumPy {np.__version__}; float32, {TOKENS} tokens.\n"
    )
    print(table(result, arguments.threads))
    if arguments.plot:
        print(f"\n{draw(result, arguments.plot)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
