"""Memory that nobody uses any more is kept for the next step; asked to, it goes back to the system."""

import ctypes
import os
import subprocess
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


_STEPS = """
import resource
import sys

sys.path[:0] = {path!r}
import snnlab
import jax
import jax.numpy as jnp

step = jax.jit(lambda x, y: (jnp.cos(x[:, None] * x[:1000]) @ y).sum())  # the product reads 40 MB
x, y = jnp.ones(10_000), jnp.ones((1000, 10))
step(x, y).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({steps}):
    step(x, y).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
_TAKEN = 30


def _new_pages(**environment: str) -> int:
    """What some steps take from the system that one before them had taken."""
    given = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k != "GLIBC_TUNABLES"} | environment
    code = _STEPS.format(path=sys.path, steps=_TAKEN)
    result = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True)
    return int(result.stdout)


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")
@pytest.mark.parametrize("own", [{}, {"MALLOC_ARENA_MAX": "0"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=8"}])
def test_steps_keep_their_memory_unless_the_user_has_set_it_up(own):
    of_all_steps = _TAKEN * 40_000_000 // os.sysconf("SC_PAGE_SIZE")
    assert _new_pages(**own) > 0.9 * of_all_steps if own else _new_pages() < 0.5 * of_all_steps
