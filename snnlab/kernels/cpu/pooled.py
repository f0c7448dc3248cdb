"""Packed spikes as images, whose pixels are summed to cells: what a dense convolution reads."""

from numba import float32, njit

from snnlab.kernels.cpu.ffi import ARGUMENTS, RESULTS, data, option, over_blocks, register, size
from snnlab.kernels.cpu.memory import after_floats, after_halves, get_half, named_word
from snnlab.kernels.cpu.simd import fill, select, store, unpack
from snnlab.kernels.packed import LANES

_COLUMNS, _POOL = 1, 2  # options, behind the number of blocks: pixels in a row of the layer, pixels along a cell
_BITS = 1  # argument, `(batch, tile, time)`; the result is `(batch, time, row, column, channel)`


@njit
def _sum_of_cell(words, columns, pool, tiles, steps, out, apart):
    """Add 16 channels of all pixels of a cell at every step; write them `apart`."""
    one, zero = fill(float32(1.0)), fill(float32(0.0))
    for t in range(steps):
        total = zero
        for y in range(pool):
            for x in range(pool):
                total = total + select(unpack(get_half(words, (y * columns + x) * tiles * steps + t)), one, zero)
        store(out, t * apart, total)


@over_blocks
def _pooled(frame, block):
    blocks, columns, pool = option(frame, 0), option(frame, _COLUMNS), option(frame, _POOL)
    batch, steps = size(frame, RESULTS, 0, 0), size(frame, RESULTS, 0, 1)
    rows, cells, depth = size(frame, RESULTS, 0, 2), size(frame, RESULTS, 0, 3), size(frame, RESULTS, 0, 4)
    tiles, apart = depth // LANES, rows * cells * depth
    for b in range(block * batch // blocks, (block + 1) * batch // blocks):
        of_sample = after_halves(data(frame, ARGUMENTS, _BITS), b * size(frame, ARGUMENTS, _BITS, 1) * steps)
        image = after_floats(data(frame, RESULTS, 0), b * steps * apart)
        for cell in range(rows * cells):
            pixel = (cell // cells * columns + cell % cells) * pool
            for tile in range(tiles):
                words = after_halves(of_sample, (pixel * tiles + tile) * steps)
                out = after_floats(image, cell * depth + tile * LANES)
                _sum_of_cell(words, columns, pool, tiles, steps, out, apart)


@register("snnlab_pooled")
def _kernel(pointer):
    _pooled(pointer, named_word("snnlab_pooled"))
    return 0
