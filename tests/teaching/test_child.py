"""Whatever the code does, an answer comes back: a value, its author's exception, or how it ended."""

from __future__ import annotations

import time

import pytest

from npformer.teaching.child import run_child


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
        "import subprocess, sys\n"
        "def run(x):\n"
        f"    subprocess.Popen([sys.executable, {str(tmp_path / 'later.py')!r}])\n"
        "    while True:\n"
        "        print('x' * 1000)\n"
    )
    began = time.monotonic()
    found = outcome(tmp_path, source, seconds=1.0)
    assert found.status == "timeout"
    assert time.monotonic() - began < 5
    assert len(found.stdout) < 70_000
    time.sleep(2)
    assert not mark.exists()
