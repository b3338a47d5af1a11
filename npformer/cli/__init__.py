"""The `npformer` command. Every command is a file here with `add_arguments(parser)` and `run(args)`.

Nothing here imports NumPy when it is loaded: NumPy reads the number of BLAS threads from the environment at
that moment, and `main` must set it before.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .. import __version__
from .._threads import BLAS_VARIABLES

COMMANDS = {
    "pretrain": "train a model on text or on pairs of texts; without any, on Python's own documentation",
    "fill": "predict the [MASK]s of a text with a trained model",
    "finetune": "let a trained model learn a task from labelled examples",
    "predict": "what a fine-tuned model says of the texts of a file, or its scores on a labelled one",
    "embed": "a vector for each line of a file",
    "similar": "the lines of a file that are nearest to a text",
    "generate": "continue a text with a trained decoder, or turn a source into a target",
    "verify": "the proof: every op against finite differences, the complex step and stored PyTorch values",
    "check": "the referee on your own forward and backward: is the gradient right, and if not, why",
    "exercises": "gradients to write by hand, graded with the mistake named; for a class too",
    "museum": "the catalogue of wrong gradients: each mistake, where it hides, what the referee says",
    "vectors": "inputs, outputs, gradients and intermediates of an op, for testing other code",
}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, and which knows what an unknown option may mean."""

    late_epilog: Callable[[], str] | None = None  # what the help ends with, where NumPy is needed to know it

    def format_help(self) -> str:
        """Return the help."""
        if self.late_epilog is not None:
            self.epilog = self.late_epilog()
        return super().format_help()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse an unknown option first: who typed --trian did not forget --train."""
        known = self._option_string_actions
        for argument in [] if args is None or self._subparsers is not None else args:
            if argument == "--":
                break
            name = argument.partition("=")[0]
            if argument.startswith("--") and " " not in name and name not in known:
                near = next((option for option in known if option.startswith(name)), None)
                nearest = [near] if near else difflib.get_close_matches(name, known, 1)
                hint = f" (did you mean {nearest[0]}?)" if nearest else f" ({self.prog} --help)"
                self.error(f"unrecognized arguments: {name}{hint}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in a line, and exit with status 2."""
        if message.startswith("the following arguments are required"):
            message += f" ({self.prog} --help)"
        self.exit(2, f"{self.prog}: {message}\n")


def build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """Return the parser of the command line, with the options of the `chosen` command."""
    parser = Parser(prog="npformer", description="The Transformer you can check by hand.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"npformer {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, what in COMMANDS.items():
        description = f"{what[0].upper()}{what[1:]}."
        command = commands.add_parser(name, help=what, description=description, allow_abbrev=False)
        if name == chosen:
            module = importlib.import_module(f".{name}", __name__)
            module.add_arguments(command)
            command.late_epilog = getattr(module, "epilog", None)
            command.add_argument("--debug", action="store_true", help="show the traceback of an error")
            command.set_defaults(run=module.run, blas_threads=getattr(module, "blas_threads", _one))
    return parser


def _one(args: argparse.Namespace) -> int:
    """BLAS's threads, where the cores go to Python's."""
    return 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Default: what the process was started with.

    Returns
    -------
    int
        0; 1 where a check or a training failed; 2 for bad usage or bad input; 130 where it was interrupted.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the program
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - until the interpreter ends
    argv = sys.argv[1:] if argv is None else list(argv)
    chosen = next((argument for argument in argv if not argument.startswith("-")), None)
    try:
        args = build_parser(chosen).parse_args(argv)
    except SystemExit as stop:  # --help, --version, bad usage
        return stop.code if isinstance(stop.code, int) else 2
    if "numpy" not in sys.modules:
        os.environ.update(dict.fromkeys(BLAS_VARIABLES, str(args.blas_threads(args))))
    try:
        return int(args.run(args))
    except BrokenPipeError:  # `npformer fill ... | head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the interpreter ends, which flushes it
        return 1
    except (ValueError, OSError) as error:
        if args.debug:
            raise
        line = one_line(error)
        if type(error) is ValueError:  # of the op that the command is named after: "generate: top_p: ..."
            line = line.removeprefix(f"{args.command}: ")
        print(f"npformer {args.command}: {line}", file=sys.stderr)
        return 2
    except MemoryError as error:  # NumPy's says how much was asked for
        if args.debug:
            raise
        print(f"npformer {args.command}: too large for the memory: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if args.debug:
            raise
        print(f"npformer {args.command}: interrupted", file=sys.stderr)
        return 130


def one_line(error: BaseException) -> str:
    """Return an error's message without line breaks; "file: reason" for those of the system."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__
