"""Gradients that sum over all samples: each block sums its own, and the sums are added in a fixed order.

So the bits of a gradient depend neither on the number of threads nor on which of them is fastest. The order is that of
a tree: in pairs, then pairs of these. If several devices have as many blocks each, a power of two, they add their own
branch each, and `snnlab_add` adds the branches: to the same bits.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.ffi import ARGUMENTS, RESULTS, data, option, over_blocks, register, size
from snnlab.kernels.cpu.memory import address_of, after_floats, named_word
from snnlab.kernels.cpu.simd import clear, load, store
from snnlab.kernels.packed import LANES

# Results of a backward kernel: gradients of weights, parameters and current; then the sums of the blocks.
_D_WEIGHTS, _D_PARAMS, D_CURRENT, _SUMS_WEIGHTS, _SUMS_PARAMS = range(5)


class Sums(NamedTuple):
    """Where the gradients of a sample go: addresses, 0 if the gradient is not wanted."""

    weights: int
    params: int
    current: int
    learns: bool  # are gradients of other parameters than the bias wanted?


@njit
def sums_of(frame, block, b, sample):
    """Return where the gradients of sample `b` go: to the sums of its block, that of the current to the result."""
    # The kernel of a convolution sums the gradient of a steady current by itself.
    wanted = option(frame, at.INPUTS) == 1 and option(frame, at.SOURCE) != at.FROM_STEADY
    row = b * sample.steps * sample.width
    width = size(frame, ARGUMENTS, at.PARAMS, 1)  # in a convolution, less than that of a sample
    return Sums(
        after_floats(data(frame, RESULTS, _SUMS_WEIGHTS), block * width * sample.rows),
        after_floats(data(frame, RESULTS, _SUMS_PARAMS), block * width * at.LEARNED),
        after_floats(data(frame, RESULTS, D_CURRENT), row) if wanted else 0,
        option(frame, at.LEARNS) == 1,
    )


@njit
def clear_sums(frame, block):
    """Set the sums of a block to 0."""
    tiles, units = size(frame, ARGUMENTS, at.WEIGHTS, 0), size(frame, ARGUMENTS, at.WEIGHTS, 1)
    clear(after_floats(data(frame, RESULTS, _SUMS_WEIGHTS), block * tiles * units * LANES), tiles * units)
    clear(after_floats(data(frame, RESULTS, _SUMS_PARAMS), block * at.LEARNED * tiles * LANES), at.LEARNED * tiles)


@njit
def add_sums(frame):
    """Add the sums of the blocks."""
    tiles, units = size(frame, ARGUMENTS, at.WEIGHTS, 0), size(frame, ARGUMENTS, at.WEIGHTS, 1)
    blocks = size(frame, RESULTS, _SUMS_WEIGHTS, 0)
    add_blocks(data(frame, RESULTS, _D_WEIGHTS), data(frame, RESULTS, _SUMS_WEIGHTS), tiles * units, blocks)
    add_blocks(data(frame, RESULTS, _D_PARAMS), data(frame, RESULTS, _SUMS_PARAMS), tiles * at.LEARNED, blocks)


@njit
def add_blocks(out, sums, count, blocks):
    """Add `blocks` sums of `count` vectors, which lie one after the other, in pairs; they are written over."""
    for k in range(0, count * LANES, LANES):
        apart = 1
        while apart < blocks:
            for block in range(0, blocks - apart, 2 * apart):
                first, second = block * count * LANES + k, (block + apart) * count * LANES + k
                store(sums, first, load(sums, first) + load(sums, second))
            apart *= 2
        store(out, k, load(sums, k))


@over_blocks
def _add_parts(frame, block):
    """Add arrays along their first axis; the argument is not written over."""
    parts, length = size(frame, ARGUMENTS, 1, 0), option(frame, 1)
    sums = np.empty(parts * LANES, np.float32)
    given, out = data(frame, ARGUMENTS, 1), data(frame, RESULTS, 0)
    for k in range(0, length, LANES):
        for part in range(parts):
            store(address_of(sums), part * LANES, load(given, part * length + k))
        add_blocks(after_floats(out, k), address_of(sums), 1, parts)


@register("snnlab_add")
def _kernel(pointer):
    _add_parts(pointer, named_word("snnlab_add"))
    return 0
