"""The gradient of the spikes of 16 neurons that all go to one layer: that of its currents, times its weights.

    dL/ds[t] = dL/dI[t + delay] W^T

The kernel of the neurons forms it where it is read, a few rows at once, so that it never leaves the cache.
"""

from typing import NamedTuple

from numba import njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.ffi import ARGUMENTS, data
from snnlab.kernels.cpu.memory import after_floats
from snnlab.kernels.cpu.product import Matrix, add_product
from snnlab.kernels.cpu.simd import clear, load, store
from snnlab.kernels.packed import LANES


class OfSpikes(NamedTuple):
    """Where the gradients of the spikes of a sample lie."""

    address: int  # 0 if there are none
    step: int  # from one step to the next
    tile: int  # from one tile to the next


@njit
def form(incoming, steps, tile, tiles, begin, out):
    """Write the gradients of the spikes of some tiles from `tile` on, from step `begin` on; nothing if they are given.

    `out` is `(tile, time, 16)`.
    """
    post = incoming.post
    if not (incoming.spikes and post):
        return
    for k in range(tiles):
        clear(after_floats(out, (k * steps + begin) * LANES), steps - begin)
    weights = Matrix(after_floats(incoming.onward, tile * post * LANES), LANES, post * LANES)
    d_current = Matrix(incoming.spikes, incoming.stride, 1)
    add_product(Matrix(out, LANES, steps * LANES), d_current, weights, post, begin, steps, tiles)


@njit
def of_spikes(incoming, sample, tile, scratch):
    """Return where the gradients of the spikes lie: in `scratch` those that `form` wrote for tiles from `tile` on."""
    if incoming.spikes and incoming.post:
        apart = sample.steps * LANES
        return OfSpikes(after_floats(scratch, -tile * apart), LANES, apart)
    return OfSpikes(incoming.spikes, incoming.stride, LANES)


@njit
def of_cells(frame, b, grid, steps, tile, tiles, out):
    """Write the gradients of the spikes of some tiles from `tile` on, of which a layer takes the sums of cells.

    Return where they lie; `out` is `(tile, time, 16)`.
    """
    of_pixel, of_step = grid.depth // LANES, grid.rows * grid.columns * grid.depth
    given = after_floats(data(frame, ARGUMENTS, at.D_SPIKES), b * steps * of_step)
    for k in range(tiles):
        pixel, part, own = (tile + k) // of_pixel, (tile + k) % of_pixel, after_floats(out, k * steps * LANES)
        row, column = pixel // grid.out_columns // grid.pool, pixel % grid.out_columns // grid.pool
        if row >= grid.rows or column >= grid.columns:  # it is in no cell
            clear(own, steps)
            continue
        cell = after_floats(given, (row * grid.columns + column) * grid.depth + part * LANES)
        for t in range(steps):
            store(own, t * LANES, load(cell, t * of_step))
    return OfSpikes(after_floats(out, -tile * steps * LANES), LANES, steps * LANES)
