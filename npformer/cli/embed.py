"""`npformer embed`: a vector for each line of a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import BinaryIO

from ._options import add_pooling, add_threads, texts_of_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "run_folder", metavar="RUN", help="folder of an encoder's or a decoder's run, or of its model"
    )
    parser.add_argument("file", metavar="FILE", help="a text in each line; - for standard input")
    parser.add_argument("--out", metavar="FILE.npy", required=True, help="where the vectors go (n, d_model)")
    add_pooling(parser)
    parser.add_argument("--normalize", action="store_true", help="scale every vector to length 1")
    add_threads(parser, "the texts")


def run(args: argparse.Namespace) -> int:
    """Write the vectors, and say how many."""
    import numpy as np

    from .._files import write_atomically
    from ..training import embed, load_model

    if not args.out.endswith(".npy"):
        raise ValueError(f"--out: expected a name that ends in .npy, got {args.out!r}")
    if not Path(args.out).absolute().parent.is_dir():
        raise FileNotFoundError(f"--out: {Path(args.out).parent}: no such folder")
    texts = texts_of_lines(args.file)
    model, tokenizer = load_model(args.run_folder)
    how = {"pooling": args.pooling, "normalize": args.normalize, "threads": args.threads}
    vectors = embed(model, tokenizer, texts, **how)

    def write(file: BinaryIO) -> None:
        np.save(file, vectors)

    write_atomically(args.out, write)
    print(f"{len(vectors):,} vectors of {vectors.shape[1]} numbers ({vectors.dtype}) in {args.out}")
    return 0
