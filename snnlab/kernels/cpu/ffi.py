"""Call functions compiled by numba from XLA: no copies, no Python, no interpreter lock, all cores.

XLA calls a C function with a *call frame*, a C structure that points to the argument and result buffers (typed FFI,
`xla/ffi/api/c_api.h` in jaxlib's include folder). The functions here read that structure as 64-bit words, inside
code that numba compiles.

A kernel computes independent *blocks* (of samples), which the threads of XLA's own pool share: there is no second
pool and nothing to configure, and any number of Python threads may call a kernel at once. Its first argument is a
vector of int32 whose first entry is the number of blocks.

    @over_blocks
    def _compute(frame, block):
        ...

    @register("name")
    def _kernel(pointer):
        _compute(pointer, named_word("name"))  # all blocks
        return 0
"""

import ctypes
import sys

import jax
import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import int64, njit
from numba.extending import intrinsic

from snnlab.kernels.cpu.kept import compile_or_load
from snnlab.kernels.cpu.memory import (
    WORD,
    address_of,
    after_words,
    atomic_add,
    call,
    follow,
    free,
    get_int,
    get_word,
    malloc,
    named_word,
    set_int,
    set_word,
)

# Offsets in words of 8 bytes. Frame: size, extension, api, context, stage, then arguments and results,
# each as: size, extension, count, types, pointers. Buffer: size, extension, type, data, rank, dimensions.
_EXTENSION, _API, _CONTEXT, ARGUMENTS, RESULTS = 1, 2, 3, 9, 14
_DATA, _DIMENSIONS = 3, 5
_METADATA_TYPE = 1
_MAJOR, _MINOR = 0, 3  # version of the structures that this file reads; a later minor one only adds to them
_SCHEDULE, _NUM_THREADS = 17, 18  # functions in the api structure

# Words of a job, which the threads that work on one call share. A frame begins with its size, never with this mark.
_MARK, _FRAME, _NEXT, _DONE, _USERS, _BLOCKS, _WORDS = 0, 1, 2, 3, 4, 5, 6
_JOB = 0x736E6E6C6162

_SPINS = 20_000  # turns, some 0.2 ms: longer than a block takes, unless the thread that works on it was interrupted
_REST = 50  # microseconds


def _sleeper() -> tuple[int, int]:
    """Return the address of a C function that lets a thread sleep, and the number to call it with."""
    if sys.platform == "win32":
        return ctypes.cast(ctypes.windll.kernel32.Sleep, ctypes.c_void_p).value or 0, 1  # milliseconds
    return ctypes.cast(ctypes.CDLL(None).usleep, ctypes.c_void_p).value or 0, _REST


_sleep, _sleep_time = (ctypes.c_int64(word) for word in _sleeper())  # words that kernels read by the names below
llvm.add_symbol("snnlab_sleep", ctypes.addressof(_sleep))
llvm.add_symbol("snnlab_sleep_time", ctypes.addressof(_sleep_time))


# These are intrinsics because numba would compile a function again for every constant argument.


@intrinsic
def data(_typing, _frame, _kind, _k):
    """Return the address of the data of argument or result `k` (`kind` is ARGUMENTS or RESULTS)."""

    def generate(_context, builder, _signature, arguments):
        return follow(builder, *arguments, _DATA)

    return int64(int64, int64, int64), generate


@intrinsic
def size(_typing, _frame, _kind, _k, _axis):
    """Return the length of an axis of argument or result `k`."""

    def generate(_context, builder, _signature, arguments):
        return follow(builder, *arguments[:3], _DIMENSIONS, arguments[3])

    return int64(int64, int64, int64, int64), generate


@intrinsic
def option(_typing, _frame, _k):
    """Return entry `k` of the first argument, a vector of int32."""

    def generate(_context, builder, _signature, arguments):
        options = follow(builder, arguments[0], ARGUMENTS, 0, _DATA)
        entry = builder.gep(builder.inttoptr(options, ir.IntType(32).as_pointer()), [arguments[1]])
        return builder.sext(builder.load(entry), WORD)

    return int64(int64, int64), generate


@njit
def _is_query(frame):
    """Answer XLA if it asks, as it does once, for the version of this interface; return whether it did."""
    extension = get_word(frame, _EXTENSION)
    if extension == 0 or get_word(extension, 1) & 0xFFFFFFFF != _METADATA_TYPE:
        return False
    version = after_words(get_word(extension, 3), 3)  # behind three sizes and pointers
    set_int(version, 0, _MAJOR)
    set_int(version, 1, _MINOR)
    return True


@njit
def _threads(frame, blocks):
    """Return how many threads may work on a call: one if this file does not know the interface's version."""
    api = get_word(frame, _API)
    version = after_words(api, 4)  # behind four sizes and pointers
    if get_int(version, 0) != _MAJOR or get_int(version, 1) < _MINOR:
        return 1
    request = np.empty(5, np.int64)  # size, extension, context, where to write, and room for what is written
    at = address_of(request)
    request[0], request[1], request[2] = 32, 0, get_word(frame, _CONTEXT)
    request[3], request[4] = after_words(at, 4), 1
    if call(get_word(api, _NUM_THREADS), at) != 0:
        return 1
    return max(1, min(request[4], blocks))


@njit
def _call_helpers(frame, job, function):
    """Ask XLA's pool to run `function(job)` in its other threads."""
    schedule = get_word(get_word(frame, _API), _SCHEDULE)
    request = np.empty(5, np.int64)
    request[0], request[1], request[2], request[3], request[4] = 40, 0, get_word(frame, _CONTEXT), function, job
    for _ in range(get_word(job, _USERS) - 1):
        if call(schedule, address_of(request)) != 0:
            atomic_add(after_words(job, _USERS), -1)


@njit
def _open_job(pointer, function):
    """Return the job of a call: a new one if XLA calls, the shared one in a helping thread, 0 if there is none."""
    if get_word(pointer, _MARK) == _JOB:
        return pointer
    if _is_query(pointer):
        return 0
    blocks = option(pointer, 0)
    job = malloc(8 * _WORDS)
    set_word(job, _MARK, _JOB)
    set_word(job, _FRAME, pointer)
    set_word(job, _NEXT, 0)
    set_word(job, _DONE, 0)
    set_word(job, _USERS, _threads(pointer, blocks))
    set_word(job, _BLOCKS, blocks)
    if get_word(job, _USERS) > 1:
        _call_helpers(pointer, job, function)
    return job


@njit
def _close_job(pointer, job):
    """End the work of a thread on a job; return True, once all blocks are done, in the thread that XLA called.

    That thread waits for blocks that others still work on, but not for threads that have not begun (they will find
    no block left): so calls never wait for each other, however full the pool. If it waits for long, the system has
    given the core of another thread to something else: then it sleeps, so that this thread can have its own core.
    """
    caller = pointer != job
    if caller:
        turns = 0
        while atomic_add(after_words(job, _DONE), 0) < get_word(job, _BLOCKS):
            turns += 1
            if turns > _SPINS:
                call(named_word("snnlab_sleep"), named_word("snnlab_sleep_time"))
    if atomic_add(after_words(job, _USERS), -1) == 1:
        free(job)
    return caller


def over_blocks(compute):
    """Decorate `compute(frame, block)`: make it a numba function that runs it for all blocks of a call.

    The new function takes what the kernel was called with (a frame by XLA, a job in a helping thread) and the address
    of the kernel, for the threads that help. Each thread runs the blocks that no other thread has taken. It returns
    True once all blocks are done, in the thread that XLA called; False in all others, and if there was no work.
    """
    name, compute = f"{compute.__module__}.{compute.__qualname__}", njit(compute)

    def work(pointer, function):
        job = _open_job(pointer, function)
        if job == 0:
            return False
        block = atomic_add(after_words(job, _NEXT), 1)
        while block < get_word(job, _BLOCKS):
            compute(get_word(job, _FRAME), block)
            atomic_add(after_words(job, _DONE), 1)
            block = atomic_add(after_words(job, _NEXT), 1)
        return _close_job(pointer, job)

    # LLVM takes functions of one name for one function. numba numbers them, but from 1 in every process: kernels that
    # two processes compiled, and a third loads, are told apart by this name alone.
    work.__qualname__ = f"over_blocks.{name}"
    return njit(work)


def register(name: str):
    """Decorate a function `address of a frame -> 0`: compile it and register it with XLA as a target on the CPU."""
    cell = ctypes.c_int64()  # holds the function's own address, for the threads that help
    llvm.add_symbol(name, ctypes.addressof(cell))

    def decorate(kernel):
        compiled = compile_or_load(kernel)
        cell.value = compiled.address
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(ctypes.c_void_p(compiled.address)), platform="cpu")
        compiled.cell = cell  # the module keeps it alive with the code: XLA and LLVM hold addresses only
        return compiled

    return decorate
