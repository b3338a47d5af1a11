"""Memory that is freed stays with the process, for training and inference.

A training step, or a batch to encode, frees and takes the same gigabytes over and over. glibc gives large
blocks back to the system at once, which then clears every page of the next one: thousands of page faults a
step. Told to keep them, it hands out again what it has. With one arena for all threads, what one thread
frees serves the other.
"""

from __future__ import annotations

import ctypes
import sys

# from glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
NEVER = 2**31 - 1  # bytes


def keep_freed_memory() -> bool:
    """Tell the C library's allocator to keep what is freed; return whether it can be told (glibc can).

    It holds for the whole process from then on. Call it before the threads that work are started.

    Examples
    --------
    >>> keep_freed_memory() in (True, False)
    True
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    # No block has a mapping of its own. (Older glibc refuses an M_MMAP_THRESHOLD that is above 32 MB.)
    taken = [mallopt(M_ARENA_MAX, 1), mallopt(M_MMAP_MAX, 0), mallopt(M_TRIM_THRESHOLD, NEVER)]
    return all(taken)
