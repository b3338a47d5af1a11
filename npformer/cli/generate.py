"""`npformer generate`: texts continued by a trained decoder, or sources turned into targets."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from .._threads import available_cores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("run_folder", metavar="RUN", help="folder of a finished run, or of a model")
    add = parser.add_argument
    add(
        "--prompt",
        action="append",
        metavar="TEXT",
        help="a text to continue (any number of times); else lines from standard input",
    )
    add(
        "--source",
        action="append",
        metavar="TEXT",
        help="for an encoder-decoder: a text to turn into another",
    )
    add("--whole", action="store_true", help="standard input is one text, not one a line")
    add("--max-new-tokens", type=int, default=200, metavar="N", help="at most so many new tokens (200)")
    add(
        "--temperature",
        type=float,
        default=0.0,
        metavar="T",
        help="draw, from logits over T; 0: the best token (0)",
    )
    add("--top-k", type=int, metavar="K", help="draw among the K most probable tokens only")
    add("--top-p", type=float, metavar="P", help="draw among the fewest tokens that have probability P only")
    add(
        "--min-p",
        type=float,
        metavar="P",
        help="draw among tokens at least P times as probable as the best only",
    )
    add("--repetition-penalty", type=float, default=1.0, metavar="C", help="above 1: fewer repetitions (1)")
    add("--beams", type=int, default=1, metavar="K", help="beam search with K beams (1: none)")
    add(
        "--length-penalty",
        type=float,
        default=1.0,
        metavar="A",
        help="of beams: scores are over length ** A (1)",
    )
    add(
        "--stop",
        action="append",
        default=[],
        metavar="TEXT",
        help="end before this text (any number of times)",
    )
    add("-n", "--n", type=int, default=1, metavar="N", help="results for each text, behind their scores (1)")
    same = "of the draws; the same gives the same text on the same machine (0)"
    add("--seed", type=int, default=0, metavar="S", help=same)
    add("--stream", action="store_true", help="print text as it comes")
    add("--json", action="store_true", help="print one JSON object a text, or with --stream a token")


def blas_threads(args: argparse.Namespace) -> int:
    """Return all cores for one text, whose tokens are written one after another; several share them."""
    one = len(args.prompt or args.source or []) == 1 or args.whole or args.stream
    return available_cores() if one else 1


def run(args: argparse.Namespace) -> int:
    """Print what is generated for each text."""
    from ..finetuning.folder import task_of
    from ..generation.texts import generate_texts, stream_text, unknown_tokens
    from ..generation.weights import for_decoding
    from ..models import Decoder, EncoderDecoder
    from ..training import load_model

    if args.stream and (args.beams != 1 or args.n != 1):
        raise ValueError("--stream: expected one result, neither --beams nor --n")
    if args.length_penalty != 1 and args.beams == 1:
        raise ValueError("--length-penalty: only beams have a use for it (--beams 4)")
    if args.whole and (args.prompt or args.source):
        raise ValueError("--whole: expected the text on standard input alone, got --prompt or --source too")
    for name in ("top_k", "top_p", "min_p"):
        if getattr(args, name) is not None and args.temperature == 0 and args.beams == 1:
            raise ValueError(
                f"{name}: only draws have a use for it (--temperature 1); greedy takes the best token"
            )
    model, tokenizer = load_model(args.run_folder)
    task = task_of(args.run_folder)
    if task not in (None, "seq2seq"):
        what = "to answer them" if task == "clm" else f"for {task}"
        raise ValueError(
            f"{args.run_folder}: expected a model that continues texts, got one that was fine-tuned {what} "
            f"(npformer predict {args.run_folder} FILE)"
        )
    if not isinstance(model, Decoder | EncoderDecoder):
        kind = type(model).__name__
        raise ValueError(
            f"{args.run_folder}: expected a Decoder or EncoderDecoder, got an {kind} (npformer fill)"
        )
    decoder = isinstance(model, Decoder)
    texts = texts_of(args, decoder)
    model = for_decoding(model, blas_threads(args))
    unknown = unknown_tokens(tokenizer, texts, sources=not decoder)
    if unknown:
        print(f"npformer generate: {unknown}", file=sys.stderr)
    options: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("max_new_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed")
    }
    options["stop_strings"] = args.stop
    if args.stream:
        for place, text in enumerate(texts):
            if decoder and not args.json:
                print(text, end="", flush=True)
            for piece in stream_text(model, tokenizer, text, place=place, **options):
                if args.json:
                    of_text = piece._replace(sequence=place)._asdict()  # each text is streamed by itself
                    print(json.dumps(of_text, ensure_ascii=False), flush=True)
                else:
                    print(piece.text, end="", flush=True)
            if not args.json:
                print()
        return 0
    options |= {"n": args.n, "beams": args.beams, "length_penalty": args.length_penalty}
    answers = generate_texts(model, tokenizer, texts, **options)
    for text, results in zip(texts, answers, strict=True):
        if args.json:
            name = "prompt" if decoder else "source"
            values = [result._asdict() for result in results]
            print(json.dumps({name: text, "results": values}, ensure_ascii=False))
            continue
        for result in results:
            score = f"{result.score:8.3f}  " if args.n > 1 else ""
            whole = f"{text if decoder else ''}{result.text}"
            print(score + whole.replace("\n", "\n" + len(score) * " "))  # a score stands out at the left
    return 0


def texts_of(args: argparse.Namespace, decoder: bool) -> list[str]:
    """Return the prompts or sources, of the command line or of standard input."""
    from ..text.corpus import lines_of_stdin, read_stdin

    given, other = ("prompt", "source") if decoder else ("source", "prompt")
    if getattr(args, other):
        kind = "a decoder" if decoder else "an encoder-decoder"
        raise ValueError(f"--{other}: the model is {kind}, which takes --{given}")
    texts: list[str] = getattr(args, given) or []
    if texts:
        return texts
    if not args.whole:
        return lines_of_stdin(given)
    text = read_stdin().removesuffix("\n")
    if not text:
        raise ValueError(f"no text: expected it as --{given} or on standard input")
    return [text]
