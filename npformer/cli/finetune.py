"""`npformer finetune`: a model that was pre-trained learns a task from labelled examples."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ._options import add_threads

# the recipe: field of Recipe -> kind, what it is (its default)
FIELDS: dict[str, tuple[type, str]] = {
    "seed": (int, "of the head's first weights, the order and dropout (0)"),
    "epochs": (int, "at most; the best one's model is kept (10)"),
    "choose_by": (str, "score by which the best epoch is chosen (the task's own)"),
    "patience": (int, "end after so many epochs without a better score (never)"),
    "batch_size": (int, "examples in a step (16)"),
    "lr": (float, "highest learning rate (0.001)"),
    "warmup": (float, "share of the steps in which the rate rises (0.1)"),
    "weight_decay": (float, "of weights, not of biases and norms (0.01)"),
    "clip": (float, "largest norm of the gradient, 0 for no clipping (1)"),
    "layer_decay": (float, "each layer has so much of the rate of the one above it (1)"),
    "freeze": (int, "train neither embeddings nor so many of the lowest layers (train all)"),
    "lora": (int, "train two matrices of this rank beside queries and values, and the head (0: all)"),
    "lora_alpha": (float, "weight of their product, over the rank (16)"),
    "class_weights": (str, "none, or balanced: a label counts inversely to how often it is there (none)"),
    "dropout": (float, "of the model and before its head (0.1)"),
    "pooling": (str, "what stands for a text: mean, last, or of an encoder cls or pooler (mean)"),
    "max_len": (int, "most tokens of a row (what the model reads)"),
    "rouge_examples": (int, "of texts: dev examples that are written out after each epoch (200)"),
    "lanes": (int, "gradient vectors, with a thread each at most (2)"),
}
TASKS = ("classify", "pair", "tag", "regress", "similarity", "seq2seq", "clm")
_METAVAR = {int: "N", float: "X", str: "NAME"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("run_folder", metavar="RUN", help="folder of a run, or of its model")
    parser.add_argument(
        "--task",
        required=True,
        choices=TASKS,
        help="classify: a text has a label; pair: two texts have; tag: each word has; regress: a text or a "
        "pair has a number; similarity: how alike two texts are; seq2seq: a text has a summary, say, by an "
        "encoder-decoder; clm: a text has an answer, by a decoder",
    )
    parser.add_argument(
        "--train", required=True, metavar="FILE", help="TSV, CSV, JSONL or CoNLL; - for stdin"
    )
    parser.add_argument(
        "--dev", metavar="FILE", help="what the best epoch is chosen by; this or --dev-share is needed"
    )
    parser.add_argument(
        "--dev-share",
        type=float,
        metavar="X",
        help="in place of --dev: this share of the training examples, of each label, drawn by the seed",
    )
    parser.add_argument("--test", metavar="FILE", help="scored once, by the model that was kept")
    parser.add_argument("--out", metavar="FOLDER", help="new or empty (runs/finetune-N)")
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="N runs, the seeds from --seed on, in FOLDER/seed-K each; mean and deviation of the scores",
    )
    add_file_options(parser)
    parser.add_argument(
        "--labels", metavar="FILE", help="a label in each line: those that may come besides training's"
    )
    add_threads(parser, "lanes and scores")
    parser.add_argument("--by-label", action="store_true", help="print the scores of each label, too")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    recipe = parser.add_argument_group("recipe")
    for name, (kind, what) in FIELDS.items():
        option = f"--{name.replace('_', '-')}"
        recipe.add_argument(option, dest=name, type=kind, metavar=_METAVAR[kind], help=what)
    recipe.add_argument(
        "--from-scratch",
        action="store_true",
        default=None,
        help="fresh weights of the same model: what it comes to without pre-training",
    )


def add_file_options(parser: argparse.ArgumentParser, *more: str) -> None:
    """Add the options on how a labelled file is read, which may have `more` formats."""
    parser.add_argument(
        "--columns",
        metavar="ROLE=COLUMN,...",
        help="of classify and regress text=2,label=1, say (numbers from 1, or a header's names); of pair, "
        "regress and similarity text1, text2, label; of tag words, tags; of seq2seq and clm source, target",
    )
    formats = ("tsv", "csv", "jsonl", "conll", *more)
    parser.add_argument("--format", choices=formats, help="(told by the content)")
    parser.add_argument("--skip-bad", action="store_true", help="leave bad rows out and say so")


def run(args: argparse.Namespace) -> int:
    """Fine-tune, and print the scores."""
    from ..finetuning import KINDS, Recipe, finetune, finetune_seeds, hold_out
    from ..finetuning.hold_out import in_both
    from ..finetuning.score import digest
    from ..text.corpus import lines_of
    from ..text.labelled import Labelled, header_as_example, numbers_as_names, read_examples
    from ..training import Interruption, TrainingStopped, free_folder, load_model, require_free
    from ..training.signals import interruptible

    if (args.dev is None) == (args.dev_share is None):
        got = "neither" if args.dev is None else "both"
        raise ValueError(f"dev: expected --dev or --dev-share, got {got}")
    if args.seeds is not None and args.by_label:
        raise ValueError("by_label: with --seeds they are in the result.json of each seed")
    if args.by_label:
        require_classes(args.task)
    names = (*FIELDS, "from_scratch")
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    recipe = Recipe(args.task, **given)
    out = Path(args.out) if args.out is not None else free_folder(name="finetune")
    require_free(out)
    model, tokenizer = load_model(args.run_folder)
    labels = [] if args.labels is None else [line.strip() for line in lines_of(args.labels, "label")]
    parts: dict[str, Any] = {}
    about: dict[str, Any] = {"base": args.run_folder}
    ways: dict[str, Labelled] = {}  # suffix -> the first file with it: files of a kind are read in one way
    for part in ("train", "dev", "test"):
        file = getattr(args, part)
        if file is None:
            continue
        first = ways.get(Path(file).suffix)
        way = {"columns": args.columns, "format": args.format}
        if first is not None:
            way = {"columns": args.columns, "format": first.format}
            if args.columns is None:
                way["like"] = first.columns
        read = read_examples(file, args.task, **way, skip_bad=args.skip_bad)
        ways.setdefault(Path(file).suffix, read)
        parts[part], about[part] = read.examples, file if file == "-" else str(Path(file).absolute())
        _say(read.about, args)
        tell_skipped(read.skipped, file)
        if part == "train":
            about["read"] = {"columns": read.columns, "format": read.format, "skip_bad": args.skip_bad}
            about["train_sha256"] = digest(read.examples)
            if (hint := numbers_as_names(read.examples)) is not None:
                print(f"{file}: {hint}", file=sys.stderr)
            if ", no header," in read.about and (hint := header_as_example(read.examples)) is not None:
                print(hint, file=sys.stderr)
        elif n := in_both(parts["train"], read.examples):
            what = f"{part}: {n:,} of {len(read.examples):,} texts are in {args.train}, too"
            print(f"{what}: such scores flatter", file=sys.stderr)
    if args.columns is not None:
        about["columns"] = args.columns
    if args.dev is None:
        every, tell = parts["train"], lambda line: print(line, file=sys.stderr)
        parts["train"], parts["dev"] = hold_out(every, args.dev_share, recipe.seed, tell)
        drawn = f"{len(parts['dev']):,} of {len(every):,} examples of {args.train}"
        tell(f"dev: {drawn}, drawn by seed {recipe.seed}")
        about |= {"dev_share": args.dev_share, "dev_seed": recipe.seed}
    options: dict[str, Any] = {"test": parts.get("test"), "labels": labels, "about": about}
    options |= {"threads": args.threads, "quiet": args.quiet}
    data = (model, tokenizer, parts["train"], parts["dev"], recipe, out)
    try:
        with interruptible():  # also before the first step, and between seeds
            if args.seeds is None:
                result = finetune(*data, **options)
            else:
                result = finetune_seeds(*data, args.seeds, tell=lambda line: _say(line, args), **options)
    except Interruption as error:
        print(f"npformer finetune: {error}", file=sys.stderr)
        return 130
    except TrainingStopped as error:
        if args.debug:
            raise
        print(f"npformer finetune: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps({"run": str(out), **result}, indent=2, ensure_ascii=False))
    else:
        if args.seeds is None:
            print(table(result, args.by_label))
            print(f"\nmodel of epoch {result['epoch']} of {result['epochs']}: {out / 'model'}")
        else:
            print(table_of_seeds(result))
            out = out / f"seed-{result['best']}"
            print(f"\nthe best on dev: {out}")
        first = parts["dev"][0]
        texts = first.texts[:1] if KINDS[recipe.task].LABELS == "texts" else first.texts
        said = [shlex.quote(" ".join(text.split())) for text in texts or [" ".join(first.words)]]
        echo = "echo" if len(said) == 1 else "printf '%s\\t%s\\n'"  # a tab does not survive being copied
        print(f"try it:     {echo} {' '.join(said)} | npformer predict {shlex.quote(str(out))} -")
    return 0


def require_classes(task: str) -> None:
    """Raise ValueError if --by-label has no labels to print the scores of.

    Examples
    --------
    >>> require_classes("clm")
    Traceback (most recent call last):
    ...
    ValueError: by_label: the labels of clm are texts, not classes
    """
    from ..finetuning import KINDS

    if KINDS[task].LABELS != "classes":
        raise ValueError(f"by_label: the labels of {task} are {KINDS[task].LABELS}, not classes")


def table(result: dict[str, Any], by_label: bool = False) -> str:
    """Return the scores for people, beside those of a guess that does not look at the text.

    Examples
    --------
    >>> dev, guess = {"accuracy": 0.91, "macro_f1": 0.9}, {"accuracy": 0.25, "macro_f1": 0.1}
    >>> result = {"dev": dev, "baseline": guess, "baseline_is": "most frequent label", "score": "accuracy"}
    >>> print(table({**result, "trained": 1234, "parameters": 5000}))
    dev                               accuracy    macro_f1
    most frequent label                 0.2500      0.1000
    fine-tuned                          0.9100      0.9000
    difference                          0.6600      0.8000
    trained 1,234 of 5,000 parameters
    """
    from ..finetuning.kinds.kind import better

    lines = []
    for part, guess in (("dev", "baseline"), ("test", "test_baseline")):
        if part in result:
            lines += beside_a_guess(part, result[part], result["baseline_is"], result[guess])
    lines += lower_is_better(result["dev"])
    score = result["score"]
    if not better(score, result["dev"][score], result["baseline"][score]):
        lines.append(f"(no better {score} than the guess above: more --epochs, another --lr)")
    if by_label and result["by_label"]:
        lines += ["", *of_labels("dev, by label", result["by_label"])]
    lines.append(f"trained {result['trained']:,} of {result['parameters']:,} parameters")
    return "\n".join(lines)


def beside_a_guess(
    what: str, scores: dict[str, float], guess_is: str = "", guess: dict[str, float] | None = None
) -> list[str]:
    """Return the lines of some scores, beside those of a guess where there is one."""
    rows = {"fine-tuned": scores}
    if guess is not None:
        rows = {guess_is: guess, **rows, "difference": {name: scores[name] - guess[name] for name in scores}}
    lines = [f"{what:<30}" + "".join(f"{name:>12}" for name in scores)]
    return lines + [
        f"{name:<30}" + "".join(f"{value:>12.4f}" for value in row.values()) for name, row in rows.items()
    ]


def lower_is_better(names: Iterable[str]) -> list[str]:
    """Return a line if some of the scores are the better the lower they are.

    Examples
    --------
    >>> lower_is_better(["rouge1", "perplexity"]), lower_is_better(["accuracy"])
    (['(perplexity: the lower the better)'], [])
    """
    from ..finetuning.kinds.kind import LOWER

    low = [name for name in names if name in LOWER]
    return [f"({', '.join(low)}: the lower the better)"] if low else []


def of_labels(what: str, by_label: dict[str, dict[str, float]]) -> list[str]:
    """Return the lines of the scores of each label."""
    width = max(len(label) for label in (*by_label, what)) + 2
    names = ("precision", "recall", "f1", "number")
    lines = [f"{what:<{width}}" + "".join(f"{name:>12}" for name in names)]
    for label, of in by_label.items():
        shown = "".join(f"{of[name]:>12.4f}" for name in names[:3])
        lines.append(f"{label:<{width}}{shown}{of['number']:>12,}")
    return lines


def table_of_seeds(result: dict[str, Any]) -> str:
    """Return mean and standard deviation of the scores of several seeds, and each seed's own.

    Examples
    --------
    >>> runs = [{"seed": k, "dev": {"f1": f1}} for k, f1 in ((0, 0.9), (1, 0.8))]
    >>> whole = {"dev": {"f1": {"mean": 0.85, "std": 0.0707}}, "baseline": {"f1": 0.25}, "runs": runs}
    >>> print(table_of_seeds({**whole, "baseline_is": "most frequent label"}))
    dev                                           f1
    seed 0                                    0.9000
    seed 1                                    0.8000
    mean and deviation               0.8500 ± 0.0707
    most frequent label                       0.2500
    """
    lines = []
    for part, guess in (("dev", "baseline"), ("test", "test_baseline")):
        if part in result:
            moments = [f"{of['mean']:.4f} ± {of['std']:.4f}" for of in result[part].values()]
            width = max(18, 2 + max(map(len, moments)))  # a perplexity may be long
            lines.append(f"{part:<30}" + "".join(f"{name:>{width}}" for name in result[part]))
            rows = {f"seed {run['seed']}": [f"{x:.4f}" for x in run[part].values()] for run in result["runs"]}
            rows["mean and deviation"] = moments
            rows[result["baseline_is"]] = [f"{x:.4f}" for x in result[guess].values()]
            for name, shown in rows.items():
                lines.append(f"{name:<30}" + "".join(f"{x:>{width}}" for x in shown))
    lines += lower_is_better(result["dev"])
    return "\n".join(lines)


def tell_skipped(skipped: list[str], file: str) -> None:
    """Say which rows of a file were left out."""
    for line in skipped[:5]:
        print(f"skipped {line}", file=sys.stderr)
    if len(skipped) > 5:
        print(f"skipped {len(skipped) - 5:,} more rows of {file}", file=sys.stderr)


def _say(line: str, args: argparse.Namespace) -> None:
    if not args.quiet:
        print(line, file=sys.stderr, flush=True)
