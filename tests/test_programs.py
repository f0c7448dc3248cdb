"""What compiling leaves behind."""

import ctypes
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from snnlab.programs import tidy_after_compiling


def memory() -> int:
    """Of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def compile_for_a_while() -> None:
    def deep(x):
        for k in range(400):
            x = jnp.sin(x) + k
        return x

    jax.jit(deep).lower(jnp.zeros(3)).compile()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_memory_that_was_freed_goes_back_when_something_was_compiled():
    tidy_after_compiling()
    compile_for_a_while()  # what the compiler itself needs is there from now on
    c = ctypes.CDLL(None)
    c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [c.malloc(4096) for _ in range(50_000)]
    for block in blocks:
        ctypes.memset(block, 1, 4096)
    for block in blocks[:-1]:  # the last one keeps the heap from becoming shorter by itself
        c.free(block)
    kept = memory()
    compile_for_a_while()
    given_back = kept - memory()
    c.free(blocks[-1])
    assert given_back > 150e6
