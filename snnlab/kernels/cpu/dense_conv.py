"""Convolutions of real numbers, as products of matrices whose sums stay in registers.

A product has a row for each place of the window in one row of an image. What the window holds at the next place stands
a fixed distance further, so nothing is copied but the image itself, into a frame of zeros. Channels of the output are
padded to whole tiles of 16; for the way back to the image, so are its own.

Each image is computed by itself, in the same order on any number of cores; see `sums` for the gradient of the weights.
"""

import numpy as np
from numba import njit

from snnlab.kernels.cpu.ffi import ARGUMENTS, RESULTS, data, option, over_blocks, register, size
from snnlab.kernels.cpu.grid import grid_of
from snnlab.kernels.cpu.memory import address_of, after_floats, get_float, named_word, set_float
from snnlab.kernels.cpu.product import Matrix, add_product
from snnlab.kernels.cpu.simd import clear
from snnlab.kernels.cpu.sums import add_blocks
from snnlab.kernels.packed import LANES

GRID = 1  # where the grid begins in the options, behind the number of blocks
_IMAGES, _WEIGHTS = 1, 2  # arguments, with the options before them; on the way to the images, `_IMAGES` are outputs
_OUTPUTS = 2  # argument on the way to the weights


@njit
def _images_of(frame, block):
    """Return the range of images in a block."""
    blocks, images = option(frame, 0), size(frame, ARGUMENTS, _IMAGES, 0)
    return range(block * images // blocks, (block + 1) * images // blocks)


@njit
def _framed(grid, depth):
    """Return columns and number of values of an image of some depth in its frame of zeros."""
    columns = grid.columns + 2 * grid.padding_columns
    return columns, (grid.rows + 2 * grid.padding_rows) * columns * depth


@njit
def _copy(grid, image, framed, depth, back):
    """Copy an image into its frame, or with `back` out of it."""
    columns, _ = _framed(grid, depth)
    for row in range(grid.rows):
        inside = after_floats(framed, ((row + grid.padding_rows) * columns + grid.padding_columns) * depth)
        own = after_floats(image, row * grid.columns * depth)
        to, origin = (own, inside) if back else (inside, own)
        for k in range(grid.columns * depth):
            set_float(to, k, get_float(origin, k))


@over_blocks
def _forward(frame, block):
    grid, width = grid_of(frame, GRID), size(frame, ARGUMENTS, _WEIGHTS, 1)
    columns, count = _framed(grid, grid.depth)
    of_row, pixels = grid.size_columns * grid.depth, grid.out_rows * grid.out_columns
    framed, tiles, images = np.zeros(count, np.float32), width // LANES, data(frame, ARGUMENTS, _IMAGES)
    for b in _images_of(frame, block):
        values = address_of(framed)
        _copy(grid, after_floats(images, b * grid.rows * grid.columns * grid.depth), values, grid.depth, False)
        for y in range(grid.out_rows):
            out = after_floats(data(frame, RESULTS, 0), (b * pixels + y * grid.out_columns) * width)
            clear(out, grid.out_columns * tiles)
            for i in range(grid.size_rows):
                seen = after_floats(values, (y * grid.stride_rows + i) * columns * grid.depth)
                seen = Matrix(seen, grid.stride_columns * grid.depth, 1)
                weights = Matrix(after_floats(data(frame, ARGUMENTS, _WEIGHTS), i * of_row * width), width, LANES)
                add_product(Matrix(out, width, LANES), seen, weights, of_row, 0, grid.out_columns, tiles)


@over_blocks
def _to_images(frame, block):
    grid, width = grid_of(frame, GRID), size(frame, ARGUMENTS, _IMAGES, 2)
    depth = size(frame, ARGUMENTS, _WEIGHTS, 2)  # padded
    columns, count = _framed(grid, depth)
    framed, pixels = np.zeros(count, np.float32), grid.out_rows * grid.out_columns
    for b in _images_of(frame, block):
        values = address_of(framed)
        clear(values, count // LANES)
        for k in range(grid.size_rows * grid.size_columns):
            i, j = k // grid.size_columns, k % grid.size_columns
            weights = Matrix(after_floats(data(frame, ARGUMENTS, _WEIGHTS), k * grid.channels * depth), depth, LANES)
            for y in range(grid.out_rows):
                out = after_floats(values, ((y * grid.stride_rows + i) * columns + j) * depth)
                given = after_floats(data(frame, ARGUMENTS, _IMAGES), (b * pixels + y * grid.out_columns) * width)
                out = Matrix(out, grid.stride_columns * depth, LANES)
                add_product(out, Matrix(given, width, 1), weights, grid.channels, 0, grid.out_columns, depth // LANES)
        _copy(grid, after_floats(data(frame, RESULTS, 0), b * grid.rows * grid.columns * depth), values, depth, True)


@over_blocks
def _to_weights(frame, block):
    grid, width = grid_of(frame, GRID), size(frame, ARGUMENTS, _OUTPUTS, 2)
    depth, fan_in = grid.depth, grid.size_rows * grid.size_columns * grid.depth
    columns, count = _framed(grid, depth)
    framed, pixels, tiles = np.zeros(count, np.float32), grid.out_rows * grid.out_columns, width // LANES
    sums = after_floats(data(frame, RESULTS, 1), block * fan_in * width)
    clear(sums, fan_in * tiles)
    images, outputs = data(frame, ARGUMENTS, _IMAGES), data(frame, ARGUMENTS, _OUTPUTS)
    for b in _images_of(frame, block):
        values = address_of(framed)
        _copy(grid, after_floats(images, b * grid.rows * grid.columns * depth), values, depth, False)
        for k in range(grid.size_rows * grid.size_columns):
            i, j = k // grid.size_columns, k % grid.size_columns
            out = Matrix(after_floats(sums, k * depth * width), width, LANES)
            for y in range(grid.out_rows):
                seen = after_floats(values, ((y * grid.stride_rows + i) * columns + j) * depth)
                given = after_floats(outputs, (b * pixels + y * grid.out_columns) * width)
                seen, given = Matrix(seen, 1, grid.stride_columns * depth), Matrix(given, width, LANES)
                add_product(out, seen, given, grid.out_columns, 0, depth, tiles)


@register("snnlab_dense_conv")
def _dense_conv(pointer):
    _forward(pointer, named_word("snnlab_dense_conv"))
    return 0


@register("snnlab_dense_conv_to_images")
def _dense_conv_to_images(pointer):
    _to_images(pointer, named_word("snnlab_dense_conv_to_images"))
    return 0


@register("snnlab_dense_conv_to_weights")
def _dense_conv_to_weights(pointer):
    if _to_weights(pointer, named_word("snnlab_dense_conv_to_weights")):
        vectors = size(pointer, RESULTS, 0, 0) * size(pointer, RESULTS, 0, 1) // LANES
        add_blocks(data(pointer, RESULTS, 0), data(pointer, RESULTS, 1), vectors, option(pointer, 0))
    return 0
