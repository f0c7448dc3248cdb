"""The bridge from XLA to functions compiled by numba: no copy, no Python, no interpreter lock, all cores.

XLA calls a C function with a *call frame*, a C structure that points to the argument and result buffers (typed FFI,
`xla/ffi/api/c_api.h` in jaxlib's include folder). The functions here read that structure as 64-bit words, inside
code that numba compiles.

A kernel works through independent *blocks* (of samples) and shares them out among the threads of XLA's own pool:
no second pool, nothing to configure, and any number of Python threads may call it at once. Its first argument is a
vector of int32 whose first entry is the number of blocks.

    @register("name")
    def _kernel(pointer):
        job = open_job(pointer, named_word("name"))
        block = first_block(job)
        while block >= 0:
            compute(frame_of(job), block)
            block = next_block(job)
        close_job(pointer, job)
        return 0
"""

import ctypes
import functools
import hashlib
from pathlib import Path

import jax
import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import cfunc, config, int64, njit
from numba.extending import intrinsic

from snnlab.kernels.cpu.memory import (
    WORD,
    address_of,
    atomic_add,
    call,
    follow,
    free,
    get_int,
    get_word,
    malloc,
    set_int,
    set_word,
)
from snnlab.support.files import cache_folder, writable

# Where things are, in words of 8 bytes. Frame: size, extension, api, context, stage, then arguments and results,
# each as: size, extension, count, types, pointers. Buffer: size, extension, type, data, rank, dimensions.
_EXTENSION, _API, _CONTEXT, ARGUMENTS, RESULTS = 1, 2, 3, 9, 14
_DATA, _DIMENSIONS = 3, 5
_METADATA_TYPE = 1
_MAJOR, _MINOR = 0, 3  # version of the structures as read here
_SCHEDULE, _NUM_THREADS = 17, 18  # functions in the api structure

# Words of a job: what the threads that work on one call share. A frame begins with its size, never with this mark.
_MARK, _FRAME, _NEXT, _DONE, _USERS, _BLOCKS, _WORDS = 0, 1, 2, 3, 4, 5, 6
_JOB = 0x736E6E6C6162


# Intrinsics, because numba would compile a function anew for every constant argument.


@intrinsic
def data(_typing, _frame, _kind, _k):
    """Where the data begin of argument or result `k` (`kind` is ARGUMENTS or RESULTS)."""

    def generate(_context, builder, _signature, arguments):
        return follow(builder, *arguments, _DATA)

    return int64(int64, int64, int64), generate


@intrinsic
def size(_typing, _frame, _kind, _k, _axis):
    """Length of an axis of argument or result `k`."""

    def generate(_context, builder, _signature, arguments):
        return follow(builder, *arguments[:3], _DIMENSIONS, arguments[3])

    return int64(int64, int64, int64, int64), generate


@intrinsic
def option(_typing, _frame, _k):
    """Entry `k` of the first argument, a vector of int32."""

    def generate(_context, builder, _signature, arguments):
        options = follow(builder, arguments[0], ARGUMENTS, 0, _DATA)
        entry = builder.gep(builder.inttoptr(options, ir.IntType(32).as_pointer()), [arguments[1]])
        return builder.sext(builder.load(entry), WORD)

    return int64(int64, int64), generate


@njit
def _is_query(frame):
    """XLA asks, once, which version of its interface this is; answer, and say that there is nothing to compute."""
    extension = get_word(frame, _EXTENSION)
    if extension == 0 or get_word(extension, 1) & 0xFFFFFFFF != _METADATA_TYPE:
        return False
    version = get_word(extension, 3) + 24  # behind three sizes and pointers
    set_int(version, 0, _MAJOR)
    set_int(version, 1, _MINOR)
    return True


@njit
def _threads(frame, blocks):
    """How many threads may work on a call; one where the interface is not the version that we know."""
    api = get_word(frame, _API)
    version = api + 32  # behind four sizes and pointers
    if get_int(version, 0) != _MAJOR or get_int(version, 1) != _MINOR:
        return 1
    request = np.empty(5, np.int64)  # size, extension, context, where to write, and the place for it
    at = address_of(request)
    request[0], request[1], request[2], request[3], request[4] = 32, 0, get_word(frame, _CONTEXT), at + 32, 1
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
            atomic_add(job + 8 * _USERS, -1)


@njit
def open_job(pointer, function):
    """The job that a call is about: a new one if XLA calls, the shared one in a helping thread, 0 if there is none."""
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
def first_block(job):
    """A block that nobody works on yet; -1 if there is none."""
    if job == 0:
        return -1
    block = atomic_add(job + 8 * _NEXT, 1)
    return block if block < get_word(job, _BLOCKS) else -1


@njit
def next_block(job):
    """As `first_block`, when the one before is done."""
    atomic_add(job + 8 * _DONE, 1)
    return first_block(job)


@njit
def close_job(pointer, job):
    """End of a kernel; true in the thread that XLA called, when all blocks are done. It waits for those that others
    still work on, but not for threads that have not begun (they will find no block left): calls never wait for each
    other, however full the pool."""
    caller = job != 0 and pointer != job
    if caller:
        while atomic_add(job + 8 * _DONE, 0) < get_word(job, _BLOCKS):
            pass
    if job != 0 and atomic_add(job + 8 * _USERS, -1) == 1:
        free(job)
    return caller


@njit
def frame_of(job):
    """The call frame that a job belongs to."""
    return get_word(job, _FRAME)


@functools.cache
def _code_folder() -> str | None:
    """Where compiled kernels are kept: apart for every version of their source, of which numba would check one file.

    None where nothing can be written.
    """
    source = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    folder = cache_folder() / "kernels" / hashlib.sha256(source).hexdigest()[:16]
    return str(folder) if writable(folder) else None


def _compile(kernel):
    """Compile, or find compiled; our folder is in force for this one function, not for what else the user compiles."""
    before, config.CACHE_DIR = config.CACHE_DIR, _code_folder() or ""
    try:
        return cfunc("int64(int64)", cache=_code_folder() is not None)(kernel)
    finally:
        config.CACHE_DIR = before


def register(name: str):
    """Decorator: make a function `address of a frame -> 0` an XLA target on the CPU, under that name."""
    cell = ctypes.c_int64()  # holds the function's own address, for the threads that help
    llvm.add_symbol(name, ctypes.addressof(cell))

    def decorate(kernel):
        compiled = _compile(kernel)
        cell.value = compiled.address
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(ctypes.c_void_p(compiled.address)), platform="cpu")
        compiled.cell = cell  # kept alive by the module, as the code is: XLA and LLVM hold addresses only
        return compiled

    return decorate
