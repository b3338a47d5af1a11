"""Somebody else's code in a process of its own, with a time limit: whatever it does, an answer comes back.

The task is a function of this package that loads the code. Request and answer are JSON in files of their own,
which prints cannot disturb. An exception that the code raises is told as its author's: with their file, their
line and their part of the traceback.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LINE = 200  # characters of its last line
KEPT = 65_536  # characters of what is printed
LARGEST_FILE = 2**26  # bytes: a loop that prints is ended before it fills the disk
LONGEST = 2**31  # seconds of processor time, which every system can count
OURS = Path(__file__).resolve().parent.parent  # frames in here are not the author's

PROGRESS = "NPFORMER_PROGRESS"  # the file that `tell` writes
REFEREE = ("gradcheck", "diagnosis")
CALLERS = ("call.py", "observe.py")  # call the author's functions, and read their answers


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Parameters
    ----------
    status : {"done", "raised", "timeout", "died"}
    value : anything that JSON knows
        What the task returned; where it did not end by itself, what it last told by `tell`.
    error : str
        The exception with the author's lines, or how the process ended.
    stdout, stderr : str
        What was printed, cut after 65,536 characters.
    seconds : float
    """

    status: str
    value: Any = None
    error: str = ""
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0


def run_child(task: str, payload: Any, *, seconds: float = 10.0) -> Outcome:
    """Call a function in a fresh Python.

    Parameters
    ----------
    task : str
        "module:function", called with `payload`; both that and what it returns go through JSON.
    payload : anything that JSON knows
    seconds : float
        After that long the process and all it started are killed.

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError
        If `seconds` is no positive number, or infinite.

    Examples
    --------
    >>> run_child("math:sqrt", 2.25).value
    1.5
    >>> run_child("math:sqrt", -1).error.splitlines()[-1]
    'ValueError: math domain error'
    """
    if not 0 < seconds < math.inf:  # (a NaN is neither)
        raise ValueError(f"seconds: expected a positive number, got {seconds:g}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="npformer-") as folder:
        request, answer = Path(folder, "request.json"), Path(folder, "answer.json")
        request.write_text(json.dumps({"task": task, "payload": payload}))
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        own = {"PYTHONPATH": _path(), PROGRESS: f"{answer}.progress"}
        own["PYTHONSAFEPATH"] = "1"  # a random.py in this folder is not NumPy's (read since Python 3.11)
        with open(Path(folder, "out"), "w+b") as out, open(Path(folder, "err"), "w+b") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(request), str(answer), str(seconds)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **threads, **own},
                start_new_session=True,
            )
            try:
                code: int | None = process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _kill(process)
            stdout, stderr, last = _read(out), _read(err), _last_line(err)
        took = time.monotonic() - began
        if code is None:
            error = f"stopped after {seconds:g} seconds"
            return Outcome("timeout", _told(answer), error, stdout, stderr, took)
        if not answer.exists():
            return Outcome("died", _told(answer), _ending(code) + last, stdout, stderr, took)
        told = json.loads(answer.read_text())
        value = told["value"] if "value" in told else _told(answer)
    return Outcome(told["status"], value, told.get("error", ""), stdout, stderr, took)


def tell(value: Any) -> None:
    """Say how far a task is, for the case that it does not end; outside of a child nothing is done.

    Parameters
    ----------
    value : anything that JSON knows
        Takes the place of what was told before.
    """
    if path := os.environ.get(PROGRESS):
        _write(path, json.dumps(value))


def _told(answer: Path) -> Any:
    try:
        return json.loads(Path(f"{answer}.progress").read_text())
    except (OSError, ValueError):
        return None


def _write(path: str, text: str) -> None:
    """All of it or nothing, whenever the process is ended."""
    partial = f"{path}.partial"
    Path(partial).write_text(text)
    os.replace(partial, path)


def _path() -> str:
    return os.pathsep.join(filter(None, [str(OURS.parent), os.environ.get("PYTHONPATH", "")]))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and everything it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _read(file: Any) -> str:
    file.seek(0)
    text = str(file.read(KEPT).decode("utf-8", "replace"))
    return text + "\n..." if file.read(1) else text


def _last_line(file: Any) -> str:
    """The last line of a file, behind a colon; "" of an empty one."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - KEPT))
    lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return "".join(f": {line.strip()[:LINE]}" for line in lines[-1:])


def _ending(code: int) -> str:
    """How the process ended."""
    if code >= 0:
        return f"the process ended itself with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # one of the realtime signals, of which two have names
        name = f"signal {-code}"
    return f"the process was ended by {name}"


def in_the_authors_words(error: BaseException) -> str:
    """Return the exception with its author's part of the traceback: no line of ours, nor of what we called.

    Examples
    --------
    >>> try:
    ...     exec(compile("x = 1 / 0", "theirs.py", "exec"))
    ... except ZeroDivisionError as error:
    ...     lines = in_the_authors_words(error).splitlines()
    >>> lines[0], lines[-1]
    ('  File "theirs.py", line 1, in <module>', 'ZeroDivisionError: division by zero')
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_theirs(frame.filename)]
    lines = traceback.format_list(frames) + traceback.format_exception_only(type(error), error)
    return "".join(lines).rstrip()


def is_our_own(error: BaseException) -> bool:
    """Did the referee itself fail? Then it is not to be told as the author's.

    What it says on purpose (`raise`) is about the author's code, and so is what their function or their
    answer makes of a call (the modules that make it).

    Examples
    --------
    >>> is_our_own(ValueError("nowhere"))
    False
    """
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_theirs(f.filename) or _is_ours(f)]
    if not frames or not _is_ours(frames[-1]):
        return False
    last = Path(frames[-1].filename)
    return last.name not in CALLERS and not (frames[-1].line or "").startswith("raise ")


def in_our_words(error: BaseException) -> str:
    """Return what is said of a fault of the referee's own: where it is, and that it is not the author's."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"npformer itself failed, not this code: {type(error).__name__}: {error} "
        f"({Path(last.filename).name}, line {last.lineno}). Please report it."
    )


def _is_ours(frame: traceback.FrameSummary) -> bool:
    path = Path(frame.filename).resolve()
    return any(OURS / package in path.parents for package in REFEREE)


def _is_theirs(filename: str) -> bool:
    if (
        filename.startswith("<frozen")
        or filename in ("<doctest>", "<stdin>")
        or filename.startswith("<doctest")
    ):
        return False
    path = Path(filename).resolve()
    library = Path(os.__file__).resolve().parent
    return OURS not in path.parents and library not in path.parents and "site-packages" not in path.parts


def _limit(seconds: float) -> None:
    """End an endless loop even if the process that would have ended it is gone, and one that fills the disk.

    A write beyond the size of a file raises an OSError, since Python ignores the signal.
    """
    try:
        import resource
    except ImportError:  # not on Windows
        return
    processor = min(math.ceil(seconds * (os.cpu_count() or 1)) + 1, LONGEST)  # > `seconds` on every core
    for what, limit in ((resource.RLIMIT_CPU, processor), (resource.RLIMIT_FSIZE, LARGEST_FILE)):
        _, most = resource.getrlimit(what)
        if most == resource.RLIM_INFINITY or limit < most:
            resource.setrlimit(what, (limit, most))


def _main(request: str, answer: str) -> None:
    asked = json.loads(Path(request).read_text())
    module, _, name = asked["task"].partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
        told = {"status": "done", "value": function(asked["payload"])}
        text = json.dumps(told)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() too
        text = json.dumps({"status": "raised", "error": in_the_authors_words(error)})
    _write(answer, text)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(0)  # whatever threads they left running


if __name__ == "__main__":
    _limit(float(sys.argv[3]))
    _main(sys.argv[1], sys.argv[2])
