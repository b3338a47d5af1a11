import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest

from npformer import _allocator as allocator

PROGRAM = """
import resource, sys
import numpy as np
from npformer._allocator import keep_freed_memory

if sys.argv[1] == "keep" and not keep_freed_memory():
    print(-1)
    sys.exit()

def work():
    for _ in range(3):
        a = np.ones(5 * 2**20)  # 40 MB
        b = a + 1

work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how):
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="no module resource on Windows")
def test_freed_memory_is_used_again_without_a_page_fault():
    kept = page_faults("keep")
    if kept < 0:
        pytest.skip("the C library has no mallopt")
    assert kept < 100
    assert page_faults("plain") > 1000  # so there is something that it prevents


def test_an_older_glibc_takes_what_it_is_told(monkeypatch):
    told = {}

    def mallopt(option, value):
        if option == -3 and value > 2**25:  # M_MMAP_THRESHOLD; any option given stops its growing by itself
            return 0
        told[option] = value
        return 1

    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    assert allocator.keep_freed_memory()
    assert told[-4] == 0  # M_MMAP_MAX: no large block is given back when it is freed


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    assert not allocator.keep_freed_memory()
