"""Memory that nobody uses any more goes back to the system."""

import ctypes
import sys
from pathlib import Path

import pytest

from snnlab.support.memory import give_memory_back


def memory() -> int:
    """Of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_memory_that_was_freed_goes_back_to_the_system():
    c = ctypes.CDLL(None)
    c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [c.malloc(4096) for _ in range(50_000)]
    for block in blocks:
        ctypes.memset(block, 1, 4096)
    for block in blocks[:-1]:  # the last one keeps the heap from becoming shorter by itself
        c.free(block)
    kept = memory()
    give_memory_back()
    given_back = kept - memory()
    c.free(blocks[-1])
    assert given_back > 150e6
