"""How long the tools take: the proof, a gradient check beside PyTorch's, the tokenizer beside Hugging Face's.

    python benchmarks/tools.py

prints Markdown tables. The gradient checks are of one op each at the same inputs, npformer.check on
npformer's backward and torch.autograd.gradcheck on PyTorch's, in turn. The tokenizers train a vocabulary of
8,192 pieces on the documentation inside the running Python and encode all of it, in turn, on one thread each;
the share of texts they cut alike stands beside. What is not installed is named.
"""

from __future__ import annotations

import os

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))  # the last of them is tokenizers'

import argparse  # noqa: E402
import json  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "peers"), str(HERE.parent)]

import numpy as np  # noqa: E402
from children import processor  # noqa: E402

import npformer  # noqa: E402
from npformer import functional as F  # noqa: E402
from npformer.text import WordPieceTokenizer, default_corpus  # noqa: E402
from npformer.text.train_wordpiece import SPECIAL_TOKENS  # noqa: E402

VOCAB_SIZE = 8192


def medians(rounds: int, runs: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Run each in turn, once more than `rounds`; the median seconds of each, the first left out."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(1 + rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


def proof(rounds: int, targets: list[str]) -> dict[str, float]:
    """`npformer verify` of some targets, or with none of all, without the start of the process."""

    def verify() -> None:
        if not npformer.proof.verify(targets).passed:
            raise SystemExit("npformer verify: failed")

    return medians(rounds, {"npformer verify": verify})


def points() -> dict[str, list[np.ndarray]]:
    """Inputs of each op."""
    normal = np.random.default_rng(0).standard_normal
    return {
        "linear": [normal((6, 8)), normal((8, 5)), normal(5)],
        "gelu": [normal((6, 8))],
        "softmax": [normal((6, 8))],
        "layer_norm": [normal((6, 8)), normal(8), normal(8)],
        "scaled_dot_product_attention": [normal((2, 6, 4)), normal((2, 5, 4)), normal((2, 5, 3))],
    }


def gradient_checks(rounds: int) -> dict[str, dict[str, float]]:
    """For each op: npformer's check, and PyTorch's where it is installed."""
    try:
        import torch
        import torch.nn.functional as TF
    except ImportError:
        torch = None  # type: ignore[assignment]
    found = {}
    for op, inputs in points().items():
        forward, backward = getattr(F, op), getattr(F, f"{op}_backward")
        runs: dict[str, Callable[[], Any]] = {
            "npformer": lambda f=forward, b=backward, x=inputs: npformer.check(f, b, x).raise_if_failed()
        }
        if torch is not None:
            theirs = {
                "linear": lambda x, w, b: TF.linear(x, w.T, b),
                "gelu": TF.gelu,
                "softmax": lambda x: torch.softmax(x, -1),
                "layer_norm": lambda x, gamma, beta: TF.layer_norm(x, gamma.shape, gamma, beta),
                "scaled_dot_product_attention": TF.scaled_dot_product_attention,
            }[op]
            tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
            runs["torch"] = lambda f=theirs, x=tensors: torch.autograd.gradcheck(f, x)
        found[op] = medians(rounds, runs)
    return found


def huggingface_wordpiece(texts: Sequence[str] | None, vocab: Sequence[str] | None = None) -> Any:
    """Their BERT tokenizer, trained on `texts` or with a vocabulary."""
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, trainers

    ids = None if vocab is None else {piece: i for i, piece in enumerate(vocab)}
    model = models.WordPiece(vocab=ids, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if texts is not None:
        trainer = trainers.WordPieceTrainer(
            vocab_size=VOCAB_SIZE, special_tokens=list(SPECIAL_TOKENS), show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tokenizer_work(rounds: int, size: int | None) -> dict[str, Any]:
    """Training and encoding: seconds, megabytes of text a second, and the share of texts cut alike."""
    texts = [document.text for document in default_corpus()]
    if size is not None:
        texts = texts[:size]
    ours = WordPieceTokenizer.train(texts, VOCAB_SIZE, shrink=True)
    seen: dict[str, list[int]] = {}
    training: dict[str, Callable[[], Any]] = {
        "npformer": lambda: WordPieceTokenizer.train(texts, VOCAB_SIZE, shrink=True)
    }
    encoding: dict[str, Callable[[], Any]] = {
        "npformer": lambda: [ours.encode_plain(text, specials=False) for text in texts],
        "npformer, words remembered": lambda: [
            ours.encode_plain(text, specials=False, seen=seen) for text in texts
        ],
    }
    alike = None
    try:
        theirs = huggingface_wordpiece(None, ours.vocab)
    except ImportError:
        pass
    else:
        training["tokenizers"] = lambda: huggingface_wordpiece(texts)
        encoding["tokenizers"] = lambda: [theirs.encode(text).ids for text in texts]
        pairs = zip(encoding["npformer"](), encoding["tokenizers"](), strict=True)
        alike = sum(a == b for a, b in pairs) / len(texts)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    return {
        "texts": len(texts),
        "megabytes": megabytes,
        "cut_alike": alike,
        "training_s": medians(rounds, training),
        "encoding_s": medians(rounds, encoding),
    }


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time the proof, gradient checks and the tokenizer.")
    parser.add_argument("--rounds", type=int, default=5, help="measured runs of each (default 5)")
    parser.add_argument("--texts", type=int, metavar="N", help="the first N texts for the tokenizers; all")
    parser.add_argument("--targets", nargs="+", default=[], metavar="OP", help="of the proof; default: all")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1 or (arguments.texts is not None and arguments.texts < 1):
        parser.error("--rounds and --texts take a number from 1 on")

    machine = f"{processor()}, {os.cpu_count()} cores visible, Python {platform.python_version()}"
    result = {
        "machine": machine,
        "rounds": arguments.rounds,
        "proof_s": proof(arguments.rounds, arguments.targets),
        "gradient_checks_s": gradient_checks(arguments.rounds),
        "tokenizer": tokenizer_work(arguments.rounds, arguments.texts),
    }
    if arguments.json:
        print(json.dumps(result, indent=1))
        return 0
    print(f"Medians of {arguments.rounds}, one thread ({machine}).\n")
    proved = " ".join(arguments.targets) or "everything"
    print(f"npformer verify, {proved}: {result['proof_s']['npformer verify']:.2f} s.\n")
    print("| gradient check of | npformer.check, ms | torch.autograd.gradcheck, ms |\n|---|---:|---:|")
    for op, seconds in result["gradient_checks_s"].items():
        theirs = f"{1e3 * seconds['torch']:.1f}" if "torch" in seconds else "-"
        print(f"| {op} | {1e3 * seconds['npformer']:.1f} | {theirs} |")
    t = result["tokenizer"]
    print(f"\nThe tokenizer on {t['megabytes']:.1f} MB in {t['texts']} texts:\n")
    print("| WordPiece | training, s | encoding, s | encoding, MB/s |\n|---|---:|---:|---:|")
    for name, seconds in t["encoding_s"].items():
        training = f"{t['training_s'][name]:.2f}" if name in t["training_s"] else "-"
        print(f"| {name} | {training} | {seconds:.2f} | {t['megabytes'] / seconds:.2f} |")
    if t["cut_alike"] is not None:
        print(f"\nWith one vocabulary, npformer and tokenizers cut {t['cut_alike']:.1%} of the texts alike.")
    installed = {
        "torch": "torch" in result["gradient_checks_s"]["linear"],
        "tokenizers": t["cut_alike"] is not None,
    }
    for package, there in installed.items():
        if not there:
            print(f"\n{package}: not measured, it is not installed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
