"""Threads: Python's for the lanes of a step, one for each BLAS call.

Two Python threads that each call a BLAS of two threads make four on two cores, and nearly halve the speed.
So the lanes get the cores, and BLAS one thread. The commands say so in the environment before NumPy loads; a
program that has NumPy already needs threadpoolctl for it. NumPy and SciPy may each carry a BLAS, with its own
pool of threads.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator

# Kept in step with npformer.cli, which must set them before anything here can be imported.
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
            "BLAS may use several threads, which slows down training and can change its last bits: set "
            "OPENBLAS_NUM_THREADS=1, or install threadpoolctl (npformer[speed])",
            RuntimeWarning,
            stacklevel=3,
        )
        yield
        return
    import scipy.linalg  # noqa: F401 - a pool can be limited once its library is loaded

    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield
