"""One BLAS thread: by the environment, by threadpoolctl, or with a warning. Work shared among threads."""

from __future__ import annotations

import builtins
import contextlib
import os
import subprocess
import sys
import threading
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from npformer import _threads as threads
from npformer.models import Encoder, EncoderConfig, inference
from npformer.training.trainer import workers

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def several(monkeypatch):
    monkeypatch.setattr(threads, "available_cores", lambda: 4)
    for name in threads.BLAS_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_no_warning_where_the_environment_says_one(several):
    for name in threads.BLAS_VARIABLES:
        several.setenv(name, "1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with threads.one_blas_thread() as held:
            assert held


def test_a_warning_and_one_thread_without_threadpoolctl(several):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "threadpoolctl":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    several.setattr(builtins, "__import__", without)
    told = "set OPENBLAS_NUM_THREADS, OMP_NUM_THREADS and MKL_NUM_THREADS to 1 .* or install threadpoolctl"
    with pytest.warns(RuntimeWarning, match=told):  # noqa: SIM117
        with threads.one_blas_thread() as held:
            assert not held
    with pytest.warns(RuntimeWarning, match=told):  # noqa: SIM117
        with workers(4, 4) as executor:
            assert executor is None


@pytest.mark.extra
def test_the_pools_are_limited_by_threadpoolctl():
    pytest.importorskip("threadpoolctl", reason="threadpoolctl: not installed")
    if threads.available_cores() == 1:
        pytest.skip("one core: BLAS has one thread anyway")
    environment = {k: v for k, v in os.environ.items() if k not in threads.BLAS_VARIABLES}
    program = (
        "import threadpoolctl, numpy\n"
        "from npformer._threads import one_blas_thread\n"
        "pools = lambda: [i for i in threadpoolctl.threadpool_info() if i['user_api'] == 'blas']\n"
        "counts = lambda: [i['num_threads'] for i in pools()]\n"
        "before = counts()\n"
        "with one_blas_thread():\n"
        "    inside = counts()\n"
        "print(max(before) > 1, len(inside) >= 1, set(inside) == {1}, max(counts()) > 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True"] * 4


def test_the_limit_holds_until_the_last_of_several_threads_has_finished():
    limits = [2]

    @contextlib.contextmanager
    def to_one():  # as threadpoolctl does: what was before comes back
        before, limits[0] = limits[0], 1
        yield
        limits[0] = before

    shared = threads._Shared()
    first, second = (shared.held(1, to_one) for _ in range(2))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert limits == [1]
    second.__exit__(None, None, None)
    assert limits == [2]
    with pytest.raises(ArithmeticError, match="True"), shared.held(1, to_one):  # and again
        raise ArithmeticError(limits.copy() == [1])
    assert limits == [2]


@pytest.mark.parametrize("environment", ["1", None], ids=["held_by_the_environment", "held_by_threadpoolctl"])
def test_blas_is_not_at_one_thread_while_others_hold_it_at_two(several, environment):
    limits = []

    @contextlib.contextmanager
    def limit(n, user_api):
        limits.append(n)
        yield
        limits.pop()

    several.setitem(sys.modules, "threadpoolctl", types.SimpleNamespace(threadpool_limits=limit))
    for name in threads.BLAS_VARIABLES if environment else ():
        several.setenv(name, environment)
    with threads.blas_threads(2):
        with pytest.warns(RuntimeWarning, match="held at 2 threads"):  # noqa: SIM117
            with threads.one_blas_thread() as held:
                assert (held, limits) == (False, [2])
        with pytest.warns(RuntimeWarning, match="held at 2 threads"):  # noqa: SIM117
            with workers(4, 4) as executor:
                assert executor is None
    with threads.one_blas_thread() as held:
        assert held
        with threads.blas_threads(2):  # the first of those in it at once decides
            assert 2 not in limits


@pytest.fixture
def executor():
    with ThreadPoolExecutor(3) as executor:
        yield executor


@pytest.mark.parametrize("size", [0, 1, 5, 6, 7, 23, 24, 25, 1000])
def test_pieces_cover_the_range_in_order(size, executor):
    pieces = threads.in_pieces(lambda start, stop: list(range(start, stop)), size, executor, unit=6, worth=6)
    assert sum(pieces, []) == list(range(size))
    assert len(pieces) <= 4
    assert all(piece[0] % 6 == 0 for piece in pieces if piece)


def test_an_error_in_a_piece_is_raised(executor):
    def fails(start, stop):
        if start:
            raise ArithmeticError("in a thread")

    with pytest.raises(ArithmeticError, match="in a thread"):
        threads.in_pieces(fails, 100, executor, unit=1, worth=1)


@pytest.mark.extra
def test_blas_gets_as_many_as_asked_for_and_then_what_it_had():
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl: not installed")
    import numpy  # noqa: F401 - whose BLAS it is

    def counts():
        return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}

    before = counts()
    with threads.blas_threads(2):
        assert counts() == {2}
        with threads.blas_threads(1):  # the first of those in it at once decides
            assert counts() == {2}
    with threads.blas_threads(None):
        assert counts() == before
    assert counts() == before


def test_where_blas_is_not_held_inference_has_one_thread(monkeypatch):
    @contextlib.contextmanager
    def not_held():
        yield False

    found = set()
    real = inference._vectors

    def vectors(*arguments):
        found.add(threading.current_thread().name)
        return real(*arguments)

    monkeypatch.setattr(inference, "one_blas_thread", not_held)
    monkeypatch.setattr(inference, "_vectors", vectors)
    model = Encoder(EncoderConfig(10, d_model=8, n_heads=2, d_ff=16, n_layers=1, max_positions=8))
    inference.encode(model, [[2, 3]] * 9, threads=4, micro_tokens=4)
    assert found == {threading.current_thread().name}
