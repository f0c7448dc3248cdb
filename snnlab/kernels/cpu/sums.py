"""Gradients that all samples add to: every block of samples sums apart, the sums are added in a fixed order.

So the bits of a gradient do not depend on how many threads there were, or which was the quickest.
"""

from numba import njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.ffi import ARGUMENTS, RESULTS, data, size
from snnlab.kernels.cpu.simd import accumulate, clear, load
from snnlab.kernels.packed import LANES

# Results of a backward kernel: gradients of weights, parameters and current; then the sums of the blocks.
D_WEIGHTS, D_PARAMS, D_CURRENT, SUMS_WEIGHTS, SUMS_PARAMS = range(5)


@njit
def clear_sums(frame, block):
    """Begin the sums of a block."""
    tiles, units = size(frame, ARGUMENTS, at.WEIGHTS, 0), size(frame, ARGUMENTS, at.WEIGHTS, 1)
    clear(data(frame, RESULTS, SUMS_WEIGHTS) + 4 * block * tiles * units * LANES, tiles * units)
    clear(data(frame, RESULTS, SUMS_PARAMS) + 4 * block * at.LEARNED * tiles * LANES, at.LEARNED * tiles)


@njit
def add_sums(frame):
    """Add what the blocks summed, first to last."""
    tiles, units = size(frame, ARGUMENTS, at.WEIGHTS, 0), size(frame, ARGUMENTS, at.WEIGHTS, 1)
    blocks = size(frame, RESULTS, SUMS_WEIGHTS, 0)
    _add(data(frame, RESULTS, D_WEIGHTS), data(frame, RESULTS, SUMS_WEIGHTS), tiles * units, blocks)
    _add(data(frame, RESULTS, D_PARAMS), data(frame, RESULTS, SUMS_PARAMS), tiles * at.LEARNED, blocks)


@njit
def _add(out, sums, count, blocks):
    clear(out, count)
    for block in range(blocks):
        for k in range(0, count * LANES, LANES):
            accumulate(out, k, load(sums, block * count * LANES + k))
