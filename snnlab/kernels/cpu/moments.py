"""Sums over all steps and places of what arrives at neurons or channels, and of its square or of its products.

`snnlab_products` reads numbers. `snnlab_moments` has a convolution of spikes: what arrives is added event by event, 16
channels of one pixel at a time, as in `snnlab.kernels.cpu.conv`; a pixel that nothing reaches costs nothing, and no
array over time is written. Its way back adds it again: the gradient of both sums

    dL/dI[t] = d_sum + 2 I[t] d_square

goes to the weights of all spikes, and is added to the gradient that came from the neurons.
"""

import numpy as np
from numba import float32, njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.conv import spikes_of, weigh
from snnlab.kernels.cpu.ffi import ARGUMENTS, RESULTS, data, option, over_blocks, register, size
from snnlab.kernels.cpu.grid import grid_of
from snnlab.kernels.cpu.memory import address_of, after_floats, named_word
from snnlab.kernels.cpu.sample import sample_of, samples_of
from snnlab.kernels.cpu.simd import clear, fill, load, store
from snnlab.kernels.cpu.sums import add_sums, clear_sums, sums_of
from snnlab.kernels.packed import LANES

# Rows of PARAMS of the way back: what the gradient from the neurons is multiplied by, and the gradients of both sums.
FACTOR, D_SUM, D_SQUARE, ROWS = range(4)


@over_blocks
def _forward(frame, block):
    steps, batch = option(frame, at.STEPS), size(frame, RESULTS, 0, 0)
    grid, tiles = grid_of(frame, at.NUM_OPTIONS), size(frame, ARGUMENTS, at.WEIGHTS, 0)
    values, zero = np.zeros(steps * LANES, np.float32), fill(float32(0.0))
    for b in samples_of(frame, block, batch):
        sample, spikes, arriving = sample_of(frame, b), spikes_of(frame, b, grid), address_of(values)
        out = after_floats(data(frame, RESULTS, 0), b * 2 * tiles * LANES)
        for tile in range(tiles):
            weights = after_floats(sample.weights, tile * LANES * sample.rows)
            total = squares = zero
            for pixel in range(grid.out_rows * grid.out_columns):
                of_pixel = squares_of_pixel = zero  # few numbers are added to many: so are fewer digits lost
                for t in range(weigh(grid, spikes, pixel, weights, arriving, steps, False), steps):
                    x = load(arriving, t * LANES)
                    store(arriving, t * LANES, zero)
                    of_pixel, squares_of_pixel = of_pixel + x, squares_of_pixel + x * x
                total, squares = total + of_pixel, squares + squares_of_pixel
            store(out, tile * LANES, total)
            store(out, (tiles + tile) * LANES, squares)


@register("snnlab_moments")
def _moments(pointer):
    _forward(pointer, named_word("snnlab_moments"))
    return 0


@njit
def _constants(params, width, lane):
    """Return the rows of PARAMS for 16 channels; the derivative of a square is twice its root."""
    d_square = load(params, D_SQUARE * width + lane)
    return load(params, FACTOR * width + lane), load(params, D_SUM * width + lane), d_square + d_square


@over_blocks
def _backward(frame, block):
    steps, batch = option(frame, at.STEPS), max(size(frame, ARGUMENTS, at.TIMES, 0), size(frame, ARGUMENTS, at.BITS, 0))
    grid, tiles = grid_of(frame, at.NUM_OPTIONS), size(frame, ARGUMENTS, at.WEIGHTS, 0)
    row, from_neurons = steps * LANES, option(frame, at.SPIKES) == 1
    clear_sums(frame, block)
    values = np.zeros(row, np.float32)
    for b in samples_of(frame, block, batch):
        sample, spikes, change = sample_of(frame, b), spikes_of(frame, b, grid), address_of(values)
        sums = sums_of(frame, block, b, sample)
        given = after_floats(data(frame, ARGUMENTS, at.D_SPIKES), b * sample.tiles * row)
        for tile in range(tiles):
            lane = tile * LANES
            weights = after_floats(sample.weights, lane * sample.rows)
            d_weights = after_floats(sums.weights, lane * sample.rows)
            factor, d_sum, d_square = _constants(sample.params, tiles * LANES, lane)
            for pixel in range(grid.out_rows * grid.out_columns):
                first = weigh(grid, spikes, pixel, weights, change, steps, False)
                for t in range(first, steps):
                    store(change, t * LANES, d_sum + d_square * load(change, t * LANES))
                weigh(grid, spikes, pixel, d_weights, change, steps, True)
                if sums.current:
                    place = (pixel * tiles + tile) * row
                    for t in range(steps):
                        x = d_sum if t < first else load(change, t * LANES)
                        if from_neurons:
                            x = x + factor * load(given, place + t * LANES)
                        store(sums.current, place + t * LANES, x)
                clear(after_floats(change, first * LANES), steps - first)


@register("snnlab_moments_gradient")
def _moments_gradient(pointer):
    if _backward(pointer, named_word("snnlab_moments_gradient")):
        add_sums(pointer)
    return 0


@over_blocks
def _of_numbers(frame, block):
    blocks, samples = option(frame, 0), size(frame, ARGUMENTS, 1, 0)
    rows, width = size(frame, ARGUMENTS, 1, 1), size(frame, ARGUMENTS, 1, 2)
    zero = fill(float32(0.0))
    for b in range(block * samples // blocks, (block + 1) * samples // blocks):
        first = after_floats(data(frame, ARGUMENTS, 1), b * rows * width)
        second = after_floats(data(frame, ARGUMENTS, 2), b * rows * width)
        out = after_floats(data(frame, RESULTS, 0), b * 2 * width)
        for lane in range(0, width, LANES):
            x_middle, y_middle = load(data(frame, ARGUMENTS, 3), lane), load(data(frame, ARGUMENTS, 3), width + lane)
            total = products = zero
            for row in range(rows):
                x, y = load(first, row * width + lane) - x_middle, load(second, row * width + lane) - y_middle
                total, products = total + x, products + x * y
            store(out, lane, total)
            store(out, width + lane, products)


@register("snnlab_products")
def _products(pointer):
    _of_numbers(pointer, named_word("snnlab_products"))
    return 0
