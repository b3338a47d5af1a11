"""Threads: Python's for the lanes of a step and the micro-batches of an inference, one for each BLAS call.

Two Python threads that each call a BLAS of two threads make four on two cores, and nearly halve the speed.
So Python's threads get the cores, and BLAS one thread. The commands say so in the environment before NumPy
loads, which is why nothing here imports it; a program that has NumPy already needs threadpoolctl for it.
SciPy may carry a BLAS of its own, which nothing here calls.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator

BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold every BLAS at one thread, as far as that is possible; otherwise warn (Python shows it once)."""
    if available_cores() == 1 or all(os.environ.get(name) == "1" for name in BLAS_VARIABLES):
        yield
        return
    try:
        import threadpoolctl
    except ImportError:
        warnings.warn(
            "BLAS may use several threads, which slows down Python's and can change the last bits: set "
            "OPENBLAS_NUM_THREADS=1, or install threadpoolctl (npformer[speed])",
            RuntimeWarning,
            stacklevel=3,
        )
        yield
        return
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield
