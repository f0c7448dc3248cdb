"""A call shares its blocks with other threads; while one of those is held up, it waits without computing."""

import os
import re
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numba import float32

from snnlab.kernels.cpu import ffi
from snnlab.kernels.cpu.ffi import RESULTS, data, option, over_blocks, register
from snnlab.kernels.cpu.memory import after_words, atomic_add, call, named_word
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


@over_blocks
def _meet(frame, _block):
    here, met = data(frame, RESULTS, 0), after_words(data(frame, RESULTS, 0), 1)
    atomic_add(here, 1)
    for _ in range(NAPS):
        if atomic_add(here, 0) == 2:
            atomic_add(met, 1)
            break
        call(named_word("snnlab_sleep"), named_word("snnlab_sleep_time"))


@register("snnlab_test_meeting")
def _meeting(pointer):
    _meet(pointer, named_word("snnlab_test_meeting"))
    return 0


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_two_blocks_are_computed_at_the_same_time():
    """Each waits for the other to begin: in one thread, the first waits in vain."""
    run = jax.ffi.ffi_call("snnlab_test_meeting", jax.ShapeDtypeStruct((2, 2), jnp.int32), input_output_aliases={1: 0})
    here, met = np.asarray(jax.jit(run)(np.int32([2]), np.zeros((2, 2), np.int32))).view(np.int64).ravel()
    assert (here, met) == (2, 2)


def test_the_words_of_the_interface_are_those_of_the_header_that_jaxlib_brings():
    text = (Path(jax.ffi.include_dir()) / "xla/ffi/api/c_api.h").read_text()
    major, minor = (int(re.search(rf"XLA_FFI_API_{name} (\d+)", text)[1]) for name in ("MAJOR", "MINOR"))
    assert major == ffi._MAJOR and minor >= ffi._MINOR
    functions = re.findall(r"STRUCT_FIELD\(XLA_FFI_(\w+)\)", text.partition("struct XLA_FFI_Api {")[2])
    before = 2 + 3 + 1  # size and extension, the version (as long as three words), the internal interface
    assert functions[ffi._SCHEDULE - before] == "ThreadPool_Schedule"
    assert functions[ffi._NUM_THREADS - before] == "ThreadPool_NumThreads"
