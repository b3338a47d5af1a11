"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

import npformer
from npformer import cli
from npformer.cli import main, one_line


def test_help_and_version(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert name in out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"npformer {npformer.__version__}\n"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_of_each_command(command, capsys):
    assert main([command, "--help"]) == 0
    assert "--debug" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "npformer: the following arguments are required: COMMAND (npformer --help)"),
        (["pretrian"], "invalid choice: 'pretrian'"),
        (["--verbose"], "the following arguments are required: COMMAND"),
        (["pretrain", "--stps", "3"], "pretrain: unrecognized arguments: --stps (did you mean --steps?)"),
        (["pretrain", "--min=3"], "pretrain: unrecognized arguments: --min (did you mean --minutes?)"),
        (["fill", "--quietly"], "npformer fill: unrecognized arguments: --quietly (npformer fill --help)"),
        (["finetune", "--trian", "a.tsv"], "unrecognized arguments: --trian (did you mean --train?)"),
        (["exercises", "check", "3", "--jsn"], "unrecognized arguments: --jsn"),
        (["similar", "a run"], "are required: TEXT, FILE (npformer similar --help)"),
    ],
)
def test_bad_usage_is_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_messages_are_one_line():
    assert one_line(ValueError("a\n  b\n")) == "a b"
    assert one_line(OSError(28, "No space left on device", "runs/x")) == "runs/x: No space left on device"
    assert one_line(FileExistsError("runs/x: taken")) == "runs/x: taken"
    assert one_line(ValueError()) == "ValueError"


def test_without_a_standard_error_output_stays_clean(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["fill", "no such run", "A [MASK]."]) == 2
    sys.stderr.close()
    assert capsys.readouterr().out == ""


def test_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "npformer", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"npformer {npformer.__version__}\n"
