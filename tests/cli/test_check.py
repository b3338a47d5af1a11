"""`npformer check FILE`: a clear report for each kind of file, and never a traceback of ours or a hang."""

from __future__ import annotations

import json
import time

import pytest

from npformer.cli import main

FORWARD = """
import numpy as np

def softmax_forward(x):
    e = np.exp(x - x.real.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    return p, p

"""
RIGHT = "def softmax_backward(dout, p):\n    return p * (dout - (p * dout).sum(axis=-1, keepdims=True))\n"
WRONG = "def softmax_backward(dout, p):\n    return p * dout\n"
KINDS = {
    "right": (FORWARD + RIGHT, 0, "passed (1 of 1 inputs)"),
    "wrong": (FORWARD + WRONG, 1, "sum-term-missing"),
    "crashing": (FORWARD + RIGHT.replace("dout -", "1 / 0 -"), 1, "ZeroDivisionError"),
    "crashing at once": ("raise KeyError('mine')\n", 1, "KeyError: 'mine'"),
    "no Python": ("def softmax_forward(x:\n", 1, "SyntaxError"),
    "printing": (FORWARD + RIGHT.replace("    return", "    print('here I am')\n    return"), 0, "here I am"),
    "wrong signature": (FORWARD + "def softmax_backward(dout):\n    return dout\n", 1, "TypeError"),
    "a list": (FORWARD + RIGHT.replace("keepdims=True))", "keepdims=True)).tolist()"), 0, "passed"),
    "nothing": (FORWARD + "def softmax_backward(dout, p):\n    pass\n", 1, "gradient"),
    "no backward": (FORWARD, 1, "no NAME_forward (or NAME) with a NAME_backward"),
    "leaving": (FORWARD + RIGHT + "import sys\nsys.exit(4)\n", 1, "SystemExit: 4"),
    "NaN": (FORWARD + RIGHT.replace("return p", "return np.nan * p"), 1, "NONFINITE"),
    "own inputs": (
        "import numpy as np\ndef f(a, b):\n    return a * b, (a, b)\n"
        "def f_backward(dout, c):\n    return dout * c[1], dout * c[0]\n"
        "def example_inputs():\n    return [np.arange(3.0), np.array([0.5, -1.0, 2.0])]\n",
        0,
        "passed (2 of 2 inputs)",
    ),
    "no inputs": ("def g(a):\n    return a, a\ndef g_backward(d, c):\n    return d\n", 1, "--shapes"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_file(kind, tmp_path, capsys):
    source, status, words = KINDS[kind]
    path = tmp_path / "my file.py"
    path.write_text(source)
    assert main(["check", str(path)]) == status
    out = capsys.readouterr().out
    assert words in out
    assert "npformer/teaching" not in out
    assert "Traceback (most recent call last)" not in out


def test_a_loop_ends_at_the_time_limit(tmp_path, capsys):
    path = tmp_path / "loop.py"
    path.write_text(FORWARD + "def softmax_backward(dout, p):\n    while True:\n        pass\n")
    began = time.monotonic()
    assert main(["check", f"{path}:softmax", "--seconds", "2"]) == 1
    assert time.monotonic() - began < 6
    assert "stopped after 2 seconds" in capsys.readouterr().out


def test_the_line_of_a_crash_is_shown(tmp_path, capsys):
    path = tmp_path / "crash.py"
    path.write_text(FORWARD + "def softmax_backward(dout, p):\n    return p @ dout\n")
    assert main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert "return p @ dout" in out
    assert "ValueError: matmul" in out


def test_json_shapes_and_strict(tmp_path, capsys):
    path = tmp_path / "s.py"
    path.write_text(FORWARD + RIGHT)
    assert main(["check", str(path), "--json", "--shapes", "x=3x4"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["checked"][0]["report"]["results"][0]["shape"] == [3, 4]
    assert main(["check", str(path), "--shapes", "x=4x4", "--strict"]) == 1
    assert "equal-sizes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["none.py"], "none.py: no such file"), (["{}", "--shapes", "x=3by4"], "expected parts like x=3x4")],
)
def test_bad_usage(arguments, words, tmp_path, capsys):
    path = tmp_path / "s.py"
    path.write_text(FORWARD + RIGHT)
    assert main(["check", *(a.format(path) for a in arguments)]) == 2
    assert words in capsys.readouterr().err
