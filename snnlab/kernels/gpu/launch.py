"""Launch a kernel of `cuda/lif.cu`, through a call that XLA for NVIDIA's GPUs has by itself.

XLA reads PTX text and the shape of the launch from the program (`xla/service/gpu/kernel_call.cc`), and passes pointers
to all arguments, then to all results. Nothing of ours runs when the kernel is launched, no Python, no compiler. The
name of the call promises nothing to other programs, so `trial.works` tries it before a network runs on it.
"""

import functools
from collections.abc import Sequence

import jax
import numpy as np

from snnlab.kernels.axes import spread, varying
from snnlab.kernels.gpu.cuda import PTX

THREADS = 128
"""Most threads of a block of neurons that do not hear each other: four warps, which hide each other's waiting."""

MOST_THREADS = 1024
"""Most threads of any block, on every GPU."""

SHARED = 48 * 1024
"""Bytes of memory that the threads of a block share, on every GPU and without asking for more."""

MOST_BLOCKS = 65_535
"""Blocks along the second axis of a grid."""

_WARP = 32


@functools.cache
def _text() -> str:
    return PTX.read_text(encoding="ascii")


def launch(
    name: str,
    results: Sequence[jax.ShapeDtypeStruct],
    rows: int,
    neurons: int,
    shared: int,
    *arguments,
    most: int = THREADS,
):
    """Run a kernel for every row (a sample, or an input unit) and neuron; return its results.

    Args:
        name: of the kernel.
        results: their shapes and types.
        rows: number of blocks along the first axis of the grid.
        neurons: threads for every row.
        shared: bytes of shared memory, at most `SHARED`.
        *arguments: arrays, in the order of the kernel's arguments.
        most: threads of a block, at most.
    """
    threads = min(most, -(-neurons // _WARP) * _WARP)
    shape = {"grid_x": rows, "grid_y": -(-neurons // threads), "grid_z": 1}
    shape |= {"block_x": threads, "block_y": 1, "block_z": 1, "shared_mem_bytes": shared}
    call = jax.ffi.ffi_call("__gpu$xla.gpu.ptx", results, vmap_method="sequential")
    text = {"name": name, "kernel_type": "ptx", "kernel_data": _text()}
    found = call(*arguments, **text, **{key: np.int32(value) for key, value in shape.items()})
    axes = varying(arguments)
    return spread(found, axes) if axes else found
