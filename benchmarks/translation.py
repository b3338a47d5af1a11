"""BLEU and chrF of a trained translator on held-out pairs: beams, greedy, a dictionary, a copy.

    python benchmarks/translation.py PAIRS [--columns 2,3] [--minutes 30] [--run RUN] [--options ...]

Trains `npformer pretrain PAIRS --objective seq2seq --cased` for some minutes on all cores, or takes the run
of such a training, and translates the sources of `--pairs` held-out pairs (500 drawn once and for all; 0 for
all of them). Beside it stand

    word for word   each word becomes the target word that IBM model 1, learnt from the same training pairs,
                    gives it most often; a word it has never seen stays as it is
    copy            the source as it is

`--options` go to `npformer pretrain`. BLEU and chrF are sacrebleu's (pip install '.[translation]'), of
the text as it was written, accents and capitals too. Prints a table and the first five translations.

References: Brown et al.: The Mathematics of Statistical Machine Translation, Computational Linguistics 19
(1993), section 4.2 (model 1). Post: A Call for Clarity in Reporting BLEU Scores, arXiv:1804.08771.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

WORD = re.compile(r"\w+|[^\w\s]")
NULL = ""  # the source word of target words that none stands for
ROUNDS = 8  # of expectation and maximisation
SHOWN = 5


def train(pairs: str, columns: str | None, minutes: float, options: list[str], out: Path) -> None:
    """Train with npformer."""
    command = [sys.executable, "-m", "npformer", "pretrain", pairs, "--objective", "seq2seq", "--cased"]
    command += ["--minutes", str(minutes), "--out", str(out), "--json"]
    command += ["--columns", columns] if columns else []
    done = subprocess.run([*command, *options], stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    m = result["models"][-1]
    print(f"{result['steps']:,} steps; {m['nats']:.3f} nats and {m['accuracy']:.1%} of the held-out tokens\n")


def numbered(texts: Sequence[list[str]]) -> tuple[list[str], list[np.ndarray]]:
    """Return the words of all texts, and the texts as numbers of words.

    >>> numbered([["a", "b"], ["b"]])
    (['a', 'b'], [array([0, 1]), array([1])])
    """
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(word for text in texts for word in text))}
    return list(vocabulary), [np.array([vocabulary[word] for word in text]) for text in texts]


def ibm_model_1(pairs: Sequence[tuple[list[str], list[str]]], rounds: int = ROUNDS) -> dict[str, str]:
    """Return the most probable target word of each source word.

        p(t | s_1 .. s_n)  =  Σ_i p(t | s_i) / (n + 1),   i = 0 the empty word      of each target word t

    expectation     of each t, the share p(t | s_i) / Σ_j p(t | s_j) goes to s_i
    maximisation    p(t | s) is t's share of all that s got

    >>> ibm_model_1([(["the", "house"], ["la", "casa"]), (["the"], ["la"])])["house"]
    'casa'
    """
    sources, of_sources = numbered([[NULL, *source] for source, _ in pairs])
    targets, of_targets = numbered([target for _, target in pairs])
    # Every link of a target word with a source word of its pair: which word, which two words.
    firsts = np.cumsum([0] + [t.size for t in of_targets])
    both = list(zip(of_sources, of_targets, strict=True))
    place = np.concatenate(
        [np.repeat(np.arange(t.size) + f, s.size) for f, (s, t) in zip(firsts, both, strict=False)]
    )
    s = np.concatenate([np.tile(s, t.size) for s, t in both])
    t = np.concatenate([np.repeat(t, s.size) for s, t in both])
    kinds, link = np.unique(s * len(targets) + t, return_inverse=True)
    s_of_kind, t_of_kind = np.divmod(kinds, len(targets))
    p = np.ones(kinds.size)
    for _ in range(rounds):
        of_link = p[link]
        of_link /= np.bincount(place, of_link)[place]
        p = np.bincount(link, of_link)
        p /= np.bincount(s_of_kind, p)[s_of_kind]
    order = np.lexsort((-p, s_of_kind))  # the best of each source word first
    best = order[np.unique(s_of_kind[order], return_index=True)[1]]
    return {sources[s_of_kind[i]]: targets[t_of_kind[i]] for i in best}


def word_for_word(dictionary: dict[str, str], text: str) -> str:
    """Return the text with each word replaced; an unknown capital may stand for a small letter.

    >>> word_for_word({"the": "la", "house": "casa", ".": "."}, "The house of David.")
    'la casa of David .'
    """
    words = WORD.findall(text)
    return " ".join(dictionary.get(word, dictionary.get(word.lower(), word)) for word in words)


def cut(tokenizer: Any, text: str, length: int) -> str:
    """Return as much of the text, in words, as the model can read."""
    words = text.split()
    while len(tokenizer.encode(" ".join(words), specials=False).ids) > length and len(words) > 1:
        words.pop()
    return " ".join(words)


def scores(translations: Sequence[str], references: Sequence[str]) -> tuple[float, float]:
    """Return BLEU and chrF."""
    import sacrebleu

    judged = list(translations), [list(references)]
    bleu = sacrebleu.corpus_bleu(*judged, force=True)  # it would warn of texts that have blanks before "."
    return bleu.score, sacrebleu.corpus_chrf(*judged).score


def judge(folder: Path, pairs: str, columns: str | None, count: int, beams: int) -> None:
    """Translate and print."""
    from npformer.generation import generate_texts
    from npformer.text import read_pairs, split_pairs
    from npformer.training import load_model, open_run
    from npformer.training.prepare import HELD_OUT, SPLIT_SEED

    config = open_run(folder).config
    model, tokenizer = load_model(folder)
    which = tuple(map(int, columns.split(","))) if columns else None
    share, tail = config.held_out_tail or HELD_OUT, config.held_out_tail is not None
    learnt, held_out = split_pairs(read_pairs(pairs, which), share, SPLIT_SEED, tail=tail)  # type: ignore[arg-type]
    order = np.random.default_rng(0).permutation(len(held_out))
    judged = [held_out[i] for i in order[: count or None]]
    references = [pair.target for pair in judged]
    sources = [cut(tokenizer, pair.source, config.seq_len) for pair in judged]

    def translate(k: int) -> tuple[list[str], float]:
        start = time.perf_counter()
        found = generate_texts(model, tokenizer, sources, beams=k, max_new_tokens=config.seq_len)
        return [results[0].text or "" for results in found], time.perf_counter() - start

    start = time.perf_counter()
    dictionary = ibm_model_1([(WORD.findall(a), WORD.findall(b)) for a, b in learnt])
    words = [word_for_word(dictionary, pair.source) for pair in judged]
    rows = [
        ("copy", [pair.source for pair in judged], None),
        ("word for word, IBM model 1", words, time.perf_counter() - start),
        ("npformer, greedy", *translate(1)),
        (f"npformer, {beams} beams", *translate(beams)),
    ]
    c, size = config, f"{model.params.flat.size / 1e6:.2f} million parameters"
    shape = f"{c.layers} + {c.layers} layers, width {c.d_model}, {tokenizer.vocab_size:,} pieces, {size}"
    print(f"{shape}; {c.steps:,} steps; {len(learnt):,} pairs to learn from, {len(judged):,} judged\n")
    print("| translated by | BLEU | chrF | seconds |\n|---|---:|---:|---:|")
    for name, texts, seconds in rows:
        bleu, chrf = scores(texts, references)
        print(f"| {name} | {bleu:.1f} | {chrf:.1f} | {'' if seconds is None else f'{seconds:.0f}'} |")
    print(f"\n| source | {beams} beams | reference |\n|---|---|---|")
    for source, text, reference in zip(sources[:SHOWN], rows[-1][1], references, strict=False):
        print("| " + " | ".join(x.replace("|", "\\|") for x in (source, text, reference)) + " |")


def main() -> None:
    """Train if need be, judge."""
    text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=text)
    parser.add_argument("pairs_file", metavar="PAIRS", help="a source, a tab, a target in each line")
    parser.add_argument("--columns", metavar="N,N", help="columns of source and target")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--run", metavar="RUN", help="of an earlier training on this file")
    parser.add_argument("--out", metavar="FOLDER", help="keep the run")
    parser.add_argument("--pairs", type=int, default=500, metavar="N", help="to judge (500; 0: all held out)")
    parser.add_argument("--beams", type=int, default=4, metavar="K")
    parser.add_argument("--options", default="", help="of npformer pretrain, in quotes")
    args = parser.parse_args()
    try:
        import sacrebleu  # noqa: F401
    except ImportError:
        raise SystemExit("translation.py: needs sacrebleu: pip install '.[translation]'") from None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.run or args.out or Path(temporary, "run"))
        if args.run is None:
            train(args.pairs_file, args.columns, args.minutes, shlex.split(args.options), folder)
        judge(folder, args.pairs_file, args.columns, args.pairs, args.beams)


if __name__ == "__main__":
    main()
