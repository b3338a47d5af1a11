"""Attention in tiles beside the plain op: memory above inputs and outputs, and time, as sequences grow.

    python benchmarks/flash_memory.py                          one head of width 64, float32 and float64
    python benchmarks/flash_memory.py --lengths 16384 --dtypes float32 --block-size 256

prints a Markdown table. The peak is tracemalloc's, of every array of NumPy's that is neither an input nor an
output (out, and in the backward the gradients): what the backward needs of the forward is counted. It is
measured in a run of its own, since tracing takes time; times are those of one BLAS thread. The plain op is
run up to --plain.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import tracemalloc  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "peers"), str(HERE.parent)]

import numpy as np  # noqa: E402
from children import processor  # noqa: E402

from npformer import functional as F  # noqa: E402

MIB = 2**20
LIMIT = 64 * MIB  # of attention in tiles, at every length
WIDTH = 64


def peaks(
    op: Callable[..., Any], backward: Callable[..., Any], arrays: Any, options: Any
) -> dict[str, float]:
    """Bytes at the worst moments of the forward and of the backward, without out and gradients."""
    *qkv, dout = arrays
    tracemalloc.start()
    out, cache = op(*qkv, **options)
    forward = tracemalloc.get_traced_memory()[1] - out.nbytes
    tracemalloc.reset_peak()
    gradients = [g for g in backward(dout, cache) if g is not None]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "forward bytes": forward,
        "backward bytes": most - out.nbytes - sum(g.nbytes for g in gradients),
    }


def times(
    op: Callable[..., Any], backward: Callable[..., Any], arrays: Any, options: Any
) -> dict[str, float]:
    """Seconds of the forward and of the backward."""
    *qkv, dout = arrays
    began = time.perf_counter()
    _, cache = op(*qkv, **options)
    between = time.perf_counter()
    backward(dout, cache)
    return {"forward seconds": between - began, "backward seconds": time.perf_counter() - between}


def measured(name: str, arrays: Any, options: dict[str, Any]) -> dict[str, float]:
    """Peaks and times of an op."""
    both = getattr(F, name), getattr(F, f"{name}_backward")
    return peaks(*both, arrays, options) | times(*both, arrays, options)


def compare(T: int, dtype: str, causal: bool, block_size: int, plain_up_to: int) -> dict[str, Any]:
    """One row: both ops at T queries and keys."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((1, T, WIDTH)).astype(dtype) for _ in range(4)]
    row: dict[str, Any] = {"T": T, "dtype": dtype, "causal": causal}
    row["flash"] = measured("flash_attention", arrays, {"causal": causal, "block_size": block_size})
    row["scores"] = T * T * np.dtype(dtype).itemsize
    row["plain"] = None
    if plain_up_to >= T:
        row["plain"] = measured("scaled_dot_product_attention", arrays, {"causal": causal})
    return row


def line(row: dict[str, Any]) -> str:
    """The row of the Markdown table."""
    flash, plain = row["flash"], row["plain"]
    cells = [f"{row['T']:,}", row["dtype"], "yes" if row["causal"] else "no"]
    cells += [f"{row['scores'] / MIB:,.0f}"]
    for kind, unit, digits in (("bytes", MIB, 1), ("seconds", 1, 2)):
        for found in (plain, flash):
            for part in ("forward", "backward"):
                cells.append("-" if found is None else f"{found[f'{part} {kind}'] / unit:,.{digits}f}")
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    """Print the table; 1 if attention in tiles took more than its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 2048, 4096, 16384])
    parser.add_argument("--dtypes", nargs="+", choices=("float32", "float64"), default=["float32", "float64"])
    parser.add_argument("--causal", choices=("yes", "no", "both"), default="both")
    parser.add_argument("--block-size", type=int, default=64)
    parser.add_argument(
        "--plain", type=int, default=4096, help="the greatest length at which the plain op is run"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = []
    if not args.json:
        print(f"One head of width {WIDTH}, block_size {args.block_size}, {processor()}.\n")
        parts = [
            f"{op} {part}, {unit}"
            for unit in ("MiB", "s")
            for op in ("plain", "flash")
            for part in ("fwd", "bwd")
        ]
        header = ["T = S", "dtype", "causal", "T x S, MiB", *parts]
        print("| " + " | ".join(header) + " |\n|" + "---:|" * len(header))
    for T in args.lengths:
        for dtype in args.dtypes:
            for causal in (False, True) if args.causal == "both" else (args.causal == "yes",):
                rows.append(compare(T, dtype, causal, args.block_size, args.plain))
                if not args.json:
                    print(line(rows[-1]), flush=True)
    if args.json:
        print(json.dumps(rows, indent=1))
    worst = max(row["flash"][f"{part} bytes"] for row in rows for part in ("forward", "backward"))
    if not args.json:
        print(f"\nAttention in tiles took at most {worst / MIB:.1f} MiB above inputs and outputs.")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
