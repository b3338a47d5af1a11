"""`npformer pretrain`: from text to a trained model in a run folder."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ._options import add_threads

# Options that are fields of RunConfig. Without a default here: what is not given is the preset's. The numbers
# in brackets are those of `small`; the tests hold them against it.
FIELDS: dict[str, tuple[Any, str]] = {
    "objective": (
        str,
        "mlm, rtd or simcse (an encoder), clm (a decoder), seq2seq, t5 or prefix (an encoder-decoder), "
        "mlm+nsp or mlm+sop (an encoder, and pairs of segments); a part may have a weight, mlm+0.5*nsp (mlm)",
    ),
    "steps": (int, "number of updates"),
    "minutes": (float, "train about this long: turned into --steps after a short timing (5)"),
    "seed": (int, "of weights, order, masks and dropout (0)"),
    "layers": (int, "layers; of encoder and decoder each, where there are two (4)"),
    "d_model": (int, "width (128)"),
    "heads": (int, "attention heads (4)"),
    "d_ff": (int, "width of the feed-forward blocks (4 times d-model, of swiglu two thirds of that)"),
    "norm": (str, "pre or post (pre)"),
    "norm_type": (str, "layer_norm or rms_norm, of a decoder (layer_norm)"),
    "positions": (str, "rotary, learned or sinusoidal; of a decoder alibi or none, too (rotary)"),
    "rotary_base": (float, "of the rotary positions (100)"),
    "activation": (str, "gelu, gelu_tanh, relu or silu; of a decoder swiglu, too (gelu)"),
    "dropout": (float, "share of the activations dropped (0)"),
    "init_std": (float, "standard deviation of the initial weights (0.04)"),
    "embedding_std": (float, "standard deviation of the initial embeddings (0.15)"),
    "embedding_init": (str, "cooccurrence, from the training text, or random (cooccurrence)"),
    "neighbour_heads": (int, "heads of a layer that begin by looking at a neighbour (half, if rotary)"),
    "tokenizer": (str, "wordpiece, or char: every character is a token (wordpiece)"),
    "held_out_tail": (float, "hold out this share at the text's end (a tenth, from all over it)"),
    "vocab_size": (
        int,
        "pieces of the tokenizer; if given, an error where the text does not support as many (4000)",
    ),
    "seq_len": (int, "tokens in a sequence (64)"),
    "batch_size": (int, "sequences in a batch (16)"),
    "accumulate": (int, "batches in an update, made in pieces; see docs/memory.md (1)"),
    "mask_rate": (float, "share of the tokens to predict in training (0.4)"),
    "masking": (str, "what to predict in training: token, whole_word or span (token)"),
    "generator_size": (float, "of rtd's generator: share of the discriminator's heads (0.25)"),
    "label_smoothing": (float, "of an encoder-decoder's loss in training (0)"),
    "corruption_rate": (float, "share of a text that t5 takes out (0.15)"),
    "span_length": (float, "tokens in a span that t5 takes out, in the mean (3)"),
    "teacher": (str, "a finished run to learn from, of the same objective, mlm or clm (none)"),
    "alpha": (float, "share of the teacher in the loss (0.5)"),
    "temperature": (float, "of the teacher's soft targets, of simcse's cosines (2, simcse 0.05)"),
    "optimizer": (str, "adamw, adam or sgd (adamw)"),
    "lr": (float, "highest learning rate (0.002)"),
    "schedule": (str, "cosine, linear, constant or noam (cosine)"),
    "warmup": (float, "share of the steps in which the rate rises (0.05)"),
    "weight_decay": (float, "of weights, not of biases and norms (0.01)"),
    "momentum": (float, "of sgd (0.9)"),
    "beta1": (float, "of adam and adamw (0.9)"),
    "beta2": (float, "of adam and adamw (0.98)"),
    "clip": (float, "largest norm of the gradient, 0 for no clipping (1)"),
    "lanes": (int, "gradient vectors, with a thread each at most; more cores want more (2)"),
    "eval_every": (int, "steps between looks at the held-out loss (a tenth of all)"),
    "checkpoint_every": (int, "steps between checkpoints (a tenth of all, at most 500)"),
}
# What has a use with some choices alone: the field of the choice, and these.
ONLY_WITH = {
    "rotary_base": ("positions", ("rotary",)),
    "momentum": ("optimizer", ("sgd",)),
    "beta1": ("optimizer", ("adam", "adamw")),
    "beta2": ("optimizer", ("adam", "adamw")),
}
SWITCHES = ("cased", "lines", "recompute", "shard_optimizer")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = (
        "Several processes share a run under mpiexec: mpiexec -n 2 python -m npformer pretrain ... "
        "(docs/scaling.md)."
    )
    parser.add_argument(
        "text",
        nargs="*",
        metavar="TEXT",
        help="files, folders, patterns, or - for standard input; for seq2seq one file with a source, a tab "
        "and a target in each line, or two parallel files",
    )
    parser.add_argument("--columns", metavar="N,N", help="columns of source and target in the one file (1,2)")
    parser.add_argument(
        "--preset",
        help="tiny (2 layers, width 64, a minute), small (4, 128, five minutes; the default) "
        "or base (6, 256, an hour); these are mlm's, docs/language_models.md has the others'",
    )
    parser.add_argument(
        "--init",
        metavar="RUN",
        help="begin with the weights of a finished run, and its tokenizer; the form of the model is its, too",
    )
    parser.add_argument("--out", metavar="FOLDER", help="folder of the run, new or empty (runs/pretrain-N)")
    parser.add_argument("--resume", metavar="RUN", help="go on with an interrupted run")
    add_threads(parser, "the lanes, at most --lanes of them")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    recipe = parser.add_argument_group(
        "recipe",
        "In brackets: what small of mlm has. Other presets and objectives differ; config.json in the run's "
        "folder tells what a run has.",
    )
    for name, (kind, what) in FIELDS.items():
        option = f"--{name.replace('_', '-')}"
        recipe.add_argument(option, dest=name, type=kind, metavar=_METAVAR[kind], help=what)
    recipe.add_argument(
        "--cased",
        action="store_true",
        default=None,
        help="of wordpiece: keep capitals and accents, as characters always do",
    )
    recipe.add_argument(
        "--lines",
        action="store_true",
        default=None,
        help="of simcse: every line of the text ends a sentence, too",
    )
    recipe.add_argument(
        "--recompute",
        action="store_true",
        default=None,
        help="run forwards again in the backward: less memory for long sequences, the same numbers",
    )
    parser.add_argument(
        "--shard-optimizer",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="under mpiexec: every rank keeps its part of the optimizer's state alone; the same numbers",
    )


_METAVAR = {int: "N", float: "X", str: "NAME"}


def run(args: argparse.Namespace) -> int:
    """Train, or go on training; print the result. Under mpiexec, all its processes share the work."""
    from ..training import TrainingStopped, start_ranks

    with start_ranks(debug=args.debug) as ranks:
        try:
            return _run(args, ranks)
        except TrainingStopped as error:  # in the timing already, or later
            if args.debug:
                raise
            return int(ranks.stop(f"npformer pretrain: {error}", 1))


def _run(args: argparse.Namespace, ranks: Any) -> int:
    from ..training import Interruption, fit, open_run

    if args.resume is None:
        run = _begin(args, ranks)
    else:
        _refuse_others(args)
        run = open_run(args.resume)
        if args.shard_optimizer is not None:
            run = replace(run, config=replace(run.config, shard_optimizer=args.shard_optimizer))
    first = ranks.rank == 0
    command = "npformer" if ranks.size == 1 else f"mpiexec -n {ranks.size} python -m npformer"
    again = f"{command} pretrain --resume {shlex.quote(str(run.folder))}"
    try:
        result = fit(run, threads=args.threads, quiet=args.quiet, ranks=ranks)
    except Interruption as error:
        return int(ranks.stop(f"{error}\ngo on with: {again}", 130))
    except MemoryError:
        if first and args.resume is None and not list(run.checkpoints.iterdir()):
            shutil.rmtree(run.folder)  # made a moment ago, with nothing to go on from
        raise
    except KeyboardInterrupt:  # during the evaluation at the end
        return int(ranks.stop(f"interrupted; finish with: {again}", 130))
    if first:
        _report(run, result, as_json=args.json)
    return 0


def _begin(args: argparse.Namespace, ranks: Any) -> Any:
    """Make the run's folder on the first rank; the others open it."""
    from ..training import create_run, open_run, settle_with_the_first

    threads = ranks.threads() if args.threads is None else args.threads
    if ranks.rank:
        settle_with_the_first(threads, ranks)
        return open_run(ranks.tell(None))
    folder, prepared, about = _prepare(args, ranks, threads)
    run = create_run(folder, prepared, **about)
    del prepared  # the run has files of its own
    _say(
        f"{int(run.train.mask.sum()):,} tokens to train on, {run.tokenizer.vocab_size:,} pieces, "
        f"{run.config.steps:,} steps, in {run.folder}"
    )
    if threads > run.config.lanes:
        _say(
            f"{run.config.lanes} of the {threads} threads have a lane to work on; "
            f"--lanes {threads} gives each one (another gradient vector and other last bits)"
        )
    ranks.tell(str(run.folder))
    return run


def _prepare(args: argparse.Namespace, ranks: Any, threads: int) -> tuple[Path, Any, dict[str, Any]]:
    """Everything that can be refused, in the order of what it costs to find out; nothing is written."""
    from ..text import TextFiles
    from ..training import (
        DEFAULT,
        free_folder,
        prepare,
        preset,
        read_start,
        require_free,
        student_of,
        with_settled_steps,
    )

    given = {name: value for name in (*FIELDS, *SWITCHES) if (value := getattr(args, name)) is not None}
    if args.steps is not None and args.minutes is not None:
        raise ValueError("minutes: expected --steps or --minutes, got both")
    if args.teacher is not None and args.init is not None:
        raise ValueError("teacher: expected --teacher or --init, got both: each brings its own tokenizer")
    if args.teacher is not None:
        given = student_of(args.teacher, given)
    name = args.preset or DEFAULT
    start = None if args.init is None else read_start(args.init)
    form = {} if start is None else start.form(given.get("objective", "mlm"), given)
    config = preset(name, **{**form, **given})
    ranks.require_sequences(config.sequences_per_step)
    for field, (choice, those) in ONLY_WITH.items():
        if getattr(args, field) is not None and getattr(config, choice) not in those:
            option = f"--{choice} {' or '.join(those)}"
            raise ValueError(f"{field}: only {option} has a use for it, got {getattr(config, choice)}")
    if config.tokenizer == "char" and args.vocab_size is not None:
        raise ValueError("vocab_size: with --tokenizer char every character is a piece, none was expected")
    folder = Path(args.out) if args.out is not None else free_folder()
    require_free(folder)
    if not args.text and config.objective != "seq2seq" and sys.stderr.isatty():  # it takes a few seconds
        _say("reading the documentation inside this Python")
    corpus = config.task.read(args.text, _columns(args.columns))
    if isinstance(corpus, TextFiles):
        _say(f"{corpus.size / 1e6:,.0f} MB of text: reading it twice, a piece at a time")
    beside = next(parent for parent in folder.absolute().parents if parent.is_dir())
    prepared = prepare(corpus, config, exact_vocab="vocab_size" in given, scratch=beside, start=start)
    for line in prepared.warnings:
        _say(f"warning: {line}")
    prepared = with_settled_steps(prepared, threads, ranks, folder)
    about = {"preset": name, "text": args.text, "documents": prepared.sources[:1000]}
    return folder, prepared, about | ({} if args.init is None else {"init": args.init})


def _refuse_others(args: argparse.Namespace) -> None:
    for name in ("text", "columns", "preset", "init", "out", *FIELDS, "cased", "lines", "recompute"):
        if getattr(args, name) not in (None, []):
            option = "TEXT" if name == "text" else f"--{name.replace('_', '-')}"
            raise ValueError(f"--resume: everything is in the run, so {option} cannot be given with it")


def _columns(given: str | None) -> tuple[int, int] | None:
    """Return the two numbers of --columns."""
    if given is None:
        return None
    numbers = given.split(",")
    if len(numbers) != 2 or not all(n.strip().isdecimal() and int(n) > 0 for n in numbers):
        raise ValueError(f"columns: expected two numbers from 1 with a comma between them, got {given!r}")
    return int(numbers[0]), int(numbers[1])


def _report(run: Any, result: dict[str, Any], as_json: bool) -> None:
    from ..training import table
    from . import COMMANDS

    command, *arguments = run.config.task.try_it(run)
    example = {command: f"npformer {command} {shlex.join(arguments)}"} if command in COMMANDS else {}
    if as_json:
        print(json.dumps({"run": str(run.folder), **result, **example}, indent=2))
        return
    print(table(result))
    margin = result.get("margin")
    if margin is not None and margin["nats"] < 0:
        print("(behind the baseline still: more --steps or --minutes)")
    print(f"\nrun folder: {run.folder}")
    for line in example.values():
        print(f"try it:     {line}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
