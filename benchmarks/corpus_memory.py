"""What `npformer pretrain` holds in memory, by the size of the text it is given.

    python benchmarks/corpus_memory.py --megabytes 50 400

Synthetic text (words by Zipf's law, every line different) goes into a file of a temporary folder, and
`npformer pretrain FILE --preset tiny --steps 3` runs on it in a process of its own, whose memory Linux tells:
anonymous memory (arrays, strings) apart from pages of files, which the system takes back when it needs them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WORDS = 50_000
LINE = 12  # words


def write_text(path: Path, megabytes: float, seed: int = 0) -> None:
    """Write about so many megabytes of lines."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("etaoinshrdlcumwfgypbvk"))
    lengths = rng.integers(2, 11, WORDS)
    words = ["".join(rng.choice(letters, n)) for n in lengths]
    share = 1 / np.arange(1, WORDS + 1)
    edges = np.cumsum(share / share.sum())
    line = 0
    with open(path, "w", encoding="utf-8") as file:
        while file.tell() < 1e6 * megabytes:
            drawn = np.searchsorted(edges, rng.random(LINE * 10_000)).clip(max=WORDS - 1).tolist()
            for start in range(0, len(drawn), LINE):
                line += 1
                file.write(f"{line} {' '.join([words[i] for i in drawn[start : start + LINE]])}.\n")
                if line % 8 == 0:
                    file.write("\n")


def watch(command: list[str]) -> tuple[float, float, float]:
    """Run a command; return its largest anonymous memory and file pages in MB, and its seconds."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    anonymous = pages = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        except OSError:
            break
        fields = dict(row.split(":", 1) for row in status.splitlines() if ":" in row)
        if "RssAnon" in fields:
            anonymous = max(anonymous, int(fields["RssAnon"].split()[0]))
            pages = max(pages, int(fields["RssFile"].split()[0]))
        time.sleep(0.01)
    trouble = process.communicate()[1]
    if process.returncode:
        raise SystemExit(f"corpus_memory: {' '.join(command)}: {trouble.strip().splitlines()[-1]}")
    return anonymous / 1e3 * 1.024, pages / 1e3 * 1.024, time.monotonic() - began


def main() -> None:
    """Measure each size and print a table."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument(
        "--megabytes", type=float, nargs="+", default=[50, 400], help="sizes of the text (default 50 400)"
    )
    parser.add_argument("--steps", type=int, default=3, help="of training (default 3)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    if not Path("/proc/self/status").is_file():
        raise SystemExit("corpus_memory: needs Linux's /proc")
    found = []
    for megabytes in args.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            text, run = Path(folder, "text.txt"), Path(folder, "run")
            write_text(text, megabytes)
            command = [sys.executable, "-m", "npformer", "pretrain", str(text), "--preset", "tiny"]
            command += ["--steps", str(args.steps), "--quiet", "--out", str(run)]
            anonymous, pages, seconds = watch(command)
            packed = sum(path.stat().st_size for path in run.glob("train.*"))
            size = text.stat().st_size
        found.append(
            {
                "text_mb": size / 1e6,
                "packed_mb": packed / 1e6,
                "anonymous_mb": anonymous,
                "file_pages_mb": pages,
                "seconds": seconds,
            }
        )
    if args.json:
        print(json.dumps(found, indent=2))
        return
    print("| text, MB | packed file, MB | peak anonymous memory, MB | peak pages of files, MB | seconds |")
    print("|---|---|---|---|---|")
    for row in found:
        print("| " + " | ".join(f"{value:.0f}" for value in row.values()) + " |")
    if len(found) > 1:
        first, last = found[0], found[-1]
        growth = (last["anonymous_mb"] - first["anonymous_mb"]) / (last["text_mb"] - first["text_mb"])
        print(f"\nfrom the first row to the last: {growth:.3f} bytes of anonymous memory for a byte of text")


if __name__ == "__main__":
    main()
