"""Twenty sentences the model never saw, one masked word each: is the true word among the first five?

    python benchmarks/fill_sentences.py RUN

RUN is the folder of a finished `npformer pretrain` run; its trigram is counted on the same training text.
Sentences and words stand in fill_sentences.tsv, committed before any model was trained. First it is checked
that none of them occurs, piece by piece, in the run's training or held-out text.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from npformer.training import fill, load_model, open_run
from npformer.training.baselines import TrigramWittenBell

Array = np.ndarray[Any, Any]
HERE = Path(__file__).resolve().parent
FIRST = 5


def read_sentences(path: Path = HERE / "fill_sentences.tsv") -> list[tuple[str, str]]:
    """Return (sentence with [MASK], true word) of each line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(text, word) for text, _, word in (line.partition("\t") for line in lines if line[:1] != "#")]


def occurs(pieces: list[int], ids: Array, mask: Array, special: set[int]) -> bool:
    """Return whether `pieces` stand one after another in the text, wherever it was cut into sequences."""
    flat = ids[mask]
    flat = flat[~np.isin(flat, list(special))]
    starts = np.flatnonzero(flat[: max(flat.size - len(pieces) + 1, 0)] == pieces[0])
    for offset, piece in enumerate(pieces[1:], 1):
        starts = starts[flat[starts + offset] == piece]
    return bool(starts.size)


def main() -> int:
    """Print the rank of the true word for model and trigram, and how often it is among the first five."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("run", metavar="RUN", help="its folder")
    folder = parser.parse_args().run
    try:
        run = open_run(folder)
        model, tokenizer = load_model(folder)
    except (OSError, ValueError) as error:
        raise SystemExit(f"fill_sentences: {error}") from None
    special = set(tokenizer.special_ids)
    trigram = TrigramWittenBell(*run.train.rows(slice(None)), tokenizer.vocab_size, tokenizer.special_ids)

    hits = [0, 0]
    print(f"{'true word':<14}{'model':>7}{'trigram':>9}   sentence")
    for sentence, word in read_sentences():
        pieces = tokenizer.encode_plain(sentence.replace("[MASK]", word))
        for part in (run.train.rows(slice(None)), run.held_out):
            if occurs(pieces, *part, special):
                print(f"in the run's text, so of no use: {sentence}", file=sys.stderr)
                return 1
        of_word = tokenizer.encode_plain(word)
        ranks: list[int | None] = [None, None]  # a word of several pieces cannot stand for one mask
        if len(of_word) == 1 and of_word[0] not in special:
            piece = tokenizer.vocab[of_word[0]]
            order = [p.piece for p in fill(model, tokenizer, sentence, tokenizer.vocab_size)[0]]
            ids = np.array([tokenizer.encode(sentence).ids])
            at = np.flatnonzero(ids[0] == tokenizer.mask_id)
            of_trigram = trigram.top(ids, at, tokenizer.vocab_size)[0].tolist()
            ranks = [order.index(piece) + 1, of_trigram.index(of_word[0]) + 1]
        for i, rank in enumerate(ranks):
            hits[i] += rank is not None and rank <= FIRST
        shown = ["-" if rank is None else f"{rank:,}" for rank in ranks]
        print(f"{word:<14}{shown[0]:>7}{shown[1]:>9}   {sentence}")
    print(f"among the first {FIRST}: model {hits[0]}, trigram {hits[1]}, of {len(read_sentences())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
