"""The bridge from XLA to functions compiled by numba: no copy, no Python, no interpreter lock.

XLA calls a C function with a *call frame*, a C structure that points to the argument and result buffers (typed FFI,
`xla/ffi/api/c_api.h` in jaxlib's include folder). The functions here read that structure as an array of 64-bit
words, inside code that numba compiles, so that a kernel sees ordinary arrays.
"""

import ctypes

import jax
import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

# Where things are, in words of 8 bytes. Frame: size, extension, api, context, stage, then arguments and results,
# each as: size, extension, count, types, pointers. Buffer: size, extension, type, data, rank, dimensions.
_EXTENSION, _ARGUMENTS, _RESULTS = 1, 9, 14
_DATA, _DIMENSIONS = 3, 5
_METADATA_TYPE = 1
_API_VERSION = (0, 3)  # major, minor: of the structures as read here


@intrinsic
def _pointer(_context, _address):
    """An address as a pointer, which numba has no word for."""

    def generate(_ctx, builder, _signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


@njit(inline="always")
def _words(address, count):
    return carray(_pointer(address), count, np.int64)


@njit
def is_query(frame):
    """XLA asks, once, which version of its interface this is; answer, and say that there is nothing to compute."""
    extension = frame[_EXTENSION]
    if extension == 0 or (_words(extension, 2)[1] & 0xFFFFFFFF) != _METADATA_TYPE:
        return False
    metadata = _words(extension, 4)[3]
    version = carray(_pointer(metadata + 24), 2, np.int32)  # behind three sizes and pointers
    version[0], version[1] = _API_VERSION
    return True


@njit(inline="always")
def _buffer(frame, kind, k):
    return _words(_words(frame[kind], k + 1)[k], 6)


@njit
def int32_2d(frame, k):
    """Argument `k` as a matrix of int32."""
    buffer = _buffer(frame, _ARGUMENTS, k)
    shape = _words(buffer[_DIMENSIONS], 2)
    return carray(_pointer(buffer[_DATA]), (shape[0], shape[1]), np.int32)


@njit
def float32_2d(frame, k):
    """Argument `k` as a matrix of float32."""
    buffer = _buffer(frame, _ARGUMENTS, k)
    shape = _words(buffer[_DIMENSIONS], 2)
    return carray(_pointer(buffer[_DATA]), (shape[0], shape[1]), np.float32)


@njit
def float32_3d(frame, k):
    """Argument `k` as a float32 array of three axes."""
    buffer = _buffer(frame, _ARGUMENTS, k)
    shape = _words(buffer[_DIMENSIONS], 3)
    return carray(_pointer(buffer[_DATA]), (shape[0], shape[1], shape[2]), np.float32)


@njit
def result_2d(frame):
    """The only result as a matrix of float32."""
    buffer = _buffer(frame, _RESULTS, 0)
    shape = _words(buffer[_DIMENSIONS], 2)
    return carray(_pointer(buffer[_DATA]), (shape[0], shape[1]), np.float32)


@njit
def result_3d(frame):
    """The only result as a float32 array of three axes."""
    buffer = _buffer(frame, _RESULTS, 0)
    shape = _words(buffer[_DIMENSIONS], 3)
    return carray(_pointer(buffer[_DATA]), (shape[0], shape[1], shape[2]), np.float32)


def register(name: str):
    """Decorator: make a function `frame -> 0` an XLA target on the CPU, under that name."""

    def decorate(handler):
        compiled = cfunc(types.int64(types.CPointer(types.int64)), cache=True)(handler)
        capsule = jax.ffi.pycapsule(ctypes.c_void_p(compiled.address))
        jax.ffi.register_ffi_target(name, capsule, platform="cpu")
        return compiled  # kept alive by the module: XLA holds only its address

    return decorate
