"""Whatever the code does, an answer comes back: a value, its author's exception, or how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import npformer
from npformer.diagnosis import recognise
from npformer.teaching import child, submission
from npformer.teaching.child import LARGEST_FILE, is_our_own, run_child, tell

ROOT = Path(__file__).resolve().parents[2]


def outcome(tmp_path, source, seconds=10.0):
    (tmp_path / "their_task.py").write_text(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        return run_child("their_task:run", {"n": 3}, seconds=seconds)


def test_a_value_comes_back_beside_what_is_printed(tmp_path):
    found = outcome(tmp_path, "def run(x):\n    print('{\"status\": 1}')\n    return [x['n'] * 2]\n")
    assert (found.status, found.value) == ("done", [6])
    assert found.stdout == '{"status": 1}\n'


def test_an_exception_is_its_authors(tmp_path):
    found = outcome(tmp_path, "def inner():\n    return 1 / 0\ndef run(x):\n    return inner()\n")
    assert found.status == "raised"
    assert "their_task.py" in found.error
    assert "line 2, in inner" in found.error
    assert found.error.endswith("ZeroDivisionError: division by zero")
    assert "child.py" not in found.error


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("import sys\ndef run(x):\n    sys.exit(3)\n", "raised", "SystemExit: 3"),
        ("import os\ndef run(x):\n    os._exit(3)\n", "died", "status 3"),
        ("import os\ndef run(x):\n    os.kill(os.getpid(), 11)\n", "died", "SIGSEGV"),
        ("def run(x):\n    input()\n", "raised", "EOFError"),
        ("def run(x):\n    return run(x)\n", "raised", "RecursionError"),
        ("def run(x):\n    return {1, 2}\n", "raised", "not JSON serializable"),
        ("def run(x:\n", "raised", "SyntaxError"),
    ],
)
def test_other_ends(tmp_path, source, status, words):
    found = outcome(tmp_path, source)
    assert found.status == status
    assert words in found.error


def test_a_loop_and_what_it_started_are_killed(tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "later.py").write_text(f"import time\ntime.sleep(2)\nopen({str(mark)!r}, 'w')\n")
    source = (
        "import subprocess, sys, time\n"
        "def run(x):\n"
        f"    subprocess.Popen([sys.executable, {str(tmp_path / 'later.py')!r}])\n"
        "    while True:\n"
        "        print('x' * 1000)\n"
        "        time.sleep(1e-3)\n"  # or the largest file would end it first
    )
    began = time.monotonic()
    found = outcome(tmp_path, source, seconds=1.0)
    assert found.status == "timeout"
    assert time.monotonic() - began < 5
    assert len(found.stdout) < 70_000
    time.sleep(2)
    assert not mark.exists()


def test_a_fault_of_the_referee_is_not_told_as_the_authors(monkeypatch):
    theirs: dict = {}
    source = "def f(x):\n    return x\ndef b(d, x):\n    return d * 2\ndef c(d, x):\n    return d / [1, 2]\n"
    exec(compile(source, "theirs.py", "exec"), theirs)

    def raised(backward, point):
        with pytest.raises((TypeError, ValueError)) as caught:
            npformer.check(theirs["f"], backward, point)
        return caught.value

    for backward in (theirs["c"], lambda: None):
        assert not is_our_own(raised(backward, [np.arange(3.0)]))
    assert not is_our_own(raised(theirs["b"], [1]))
    monkeypatch.setitem(recognise.ARRAYS, "linear", 5)
    error = raised(theirs["b"], [np.arange(3.0)])
    assert is_our_own(error)
    text = submission._raised("f", error)["text"]
    assert "npformer itself failed, not this code: TypeError" in text
    assert "its code raised" not in text


def test_what_was_told_on_the_way_comes_back_where_there_is_no_end(tmp_path):
    source = "from npformer.teaching.child import tell\ndef run(x):\n    tell([1])\n    tell([1, 2])\n"
    assert outcome(tmp_path, source + "    while True: pass\n", seconds=3).value == [1, 2]
    assert outcome(tmp_path, source + "    import os; os._exit(0)\n").value == [1, 2]
    assert outcome(tmp_path, source + "    return 5\n").value == 5
    tell([3])  # nobody listens here


def test_what_was_told_comes_back_where_it_left_by_an_exception_too(tmp_path):
    source = "import sys\nfrom npformer.teaching.child import tell\n"
    source += "def run(x):\n    tell([1])\n    sys.exit()\n"
    found = outcome(tmp_path, source)
    assert (found.status, found.value) == ("raised", [1])
    assert outcome(tmp_path, source.replace("sys.exit()", "return None")).value is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_without_a_name_is_told_by_its_number(tmp_path):
    found = outcome(tmp_path, "import os\ndef run(x):\n    os.kill(os.getpid(), 40)\n")
    assert (found.status, found.error) == ("died", "the process was ended by signal 40")


def test_the_last_that_was_printed_as_an_error_is_told_with_an_early_end(tmp_path):
    source = "import os, sys\ndef run(x):\n    print('first\\nno such file', file=sys.stderr)\n"
    found = outcome(tmp_path, source + "    sys.stderr.flush()\n    os._exit(1)\n")
    assert found.error == "the process ended itself with status 1: no such file"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 knows no safe path")
def test_files_in_this_folder_do_not_stand_for_pythons_own(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "random.py").write_text("raise ImportError('not the one that was meant')\n")
    monkeypatch.chdir(tmp_path / "here")
    assert run_child("math:sqrt", 2.25).value == 1.5


def test_the_last_line_of_much_that_is_printed(tmp_path):
    with open(tmp_path / "err", "w+b") as file:
        assert child._last_line(file) == ""
        file.write(b"a line\n" * 20_000 + b"the last one\n\n")
        assert child._last_line(file) == ": the last one"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_what_is_printed_does_not_fill_the_disk(tmp_path):
    size = tmp_path / "size"
    source = (
        "import os, sys\n"
        "def run(x):\n"
        "    try:\n"
        f"        for _ in range(2 * {LARGEST_FILE} // 2**20):\n"
        "            print('x' * 2**20)\n"
        "    finally:\n"
        f"        open({str(size)!r}, 'w').write(str(os.fstat(1).st_size))\n"
    )
    found = outcome(tmp_path, source)
    assert found.status == "raised"
    assert "File too large" in found.error
    assert int(size.read_text()) <= LARGEST_FILE


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_limit_is_a_positive_number(seconds):
    with pytest.raises(ValueError, match="seconds: expected a positive number"):
        run_child("math:sqrt", 2.25, seconds=seconds)


def test_a_limit_may_be_longer_than_a_system_can_count():
    assert run_child("math:sqrt", 2.25, seconds=1e300).value == 1.5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of processor time")
def test_a_loop_ends_though_nobody_is_left_to_end_it(tmp_path):
    (tmp_path / "their_task.py").write_text("def run(x):\n    while True:\n        pass\n")
    request, answer = tmp_path / "request.json", tmp_path / "answer.json"
    request.write_text(json.dumps({"task": "their_task:run", "payload": {}}))
    command = [sys.executable, "-m", "npformer.teaching.child", str(request), str(answer), "0.1"]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}, timeout=30)
    assert ended.returncode == -signal.SIGXCPU
    assert not answer.exists()
