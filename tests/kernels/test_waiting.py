"""A call whose helper is held up waits without computing: the core is free for whoever holds up the helper."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numba import float32

from snnlab.kernels.cpu.ffi import RESULTS, data, option, over_blocks, register
from snnlab.kernels.cpu.memory import call, named_word
from snnlab.kernels.cpu.simd import fill, store

NAPS = 4000  # of 50 microseconds at least


@over_blocks
def _sleep(frame, block):
    if block == option(frame, 1):
        for _ in range(NAPS):
            call(named_word("snnlab_sleep"), named_word("snnlab_sleep_time"))
    store(data(frame, RESULTS, 0), 0, fill(float32(1.0)))


@register("snnlab_test_waiting")
def _kernel(pointer):
    _sleep(pointer, named_word("snnlab_test_waiting"))
    return 0


@pytest.mark.parametrize("sleeper", [0, 1])
def test_a_call_that_waits_for_its_helper_does_not_compute(sleeper):
    """One of two blocks sleeps, be it the caller's or the helper's: nothing computes meanwhile."""
    run = jax.jit(jax.ffi.ffi_call("snnlab_test_waiting", jax.ShapeDtypeStruct((16,), jnp.float32)))
    np.testing.assert_array_equal(run(np.int32([1, 1])), 1.0)  # compiled, and without a sleeper: there is no block 1
    for _ in range(3):
        began, computed = time.monotonic(), time.process_time()
        run(np.int32([2, sleeper])).block_until_ready()
        seconds, computed = time.monotonic() - began, time.process_time() - computed
        assert seconds >= NAPS * 50e-6 and computed < 0.5 * seconds
