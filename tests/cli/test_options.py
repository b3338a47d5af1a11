"""Options that several commands have."""

from __future__ import annotations

import pytest

from npformer.cli import main

NEEDED = {
    "pretrain": ["none.txt"],
    "finetune": ["none", "--task", "classify", "--train", "none.tsv", "--dev", "none.tsv"],
    "predict": ["none", "none.txt"],
    "embed": ["none", "none.txt", "--out", "none.npy"],
    "similar": ["none", "a text", "none.txt"],
}


@pytest.mark.parametrize("command", NEEDED)
@pytest.mark.parametrize(
    ("threads", "message"),
    [
        ("0", "expected at least 1, got 0"),
        ("-2", "expected at least 1, got -2"),
        ("two", "expected a whole number, got 'two'"),
        ("1.5", "expected a whole number, got '1.5'"),
    ],
)
def test_a_number_of_threads_that_is_none_is_refused_before_anything_is_read(
    capsys, command, threads, message
):
    assert main([command, *NEEDED[command], "--threads", threads]) == 2
    assert capsys.readouterr() == ("", f"npformer {command}: argument --threads: {message}\n")
