"""The gradient of the spikes of 16 neurons that all go to one layer: that of its currents, times its weights.

    dL/ds[t] = dL/dI[t + delay] W^T

The kernel of the neurons forms it where it is read, a few rows at once, so that it never leaves the cache.
"""

from typing import NamedTuple

from numba import njit

from snnlab.kernels.cpu.memory import after_floats, get_float
from snnlab.kernels.cpu.simd import clear, fill, load, store
from snnlab.kernels.packed import LANES

AT_ONCE = 6  # rows: their sums, 16 values each, stay in the registers of a processor with 16 of 8 values


class OfSpikes(NamedTuple):
    """Where the gradients of the spikes of a sample lie."""

    address: int  # 0 if there are none
    step: int  # from one step to the next
    tile: int  # from one tile to the next


@njit
def add_product(out, d_current, stride, weights, count, begin, end):
    """Add `d_current W^T` to 16 values in every row from `begin` to `end`; sum over `count` neurons.

    Args:
        out: `(row, 16)`.
        d_current: gradient of the currents, a row every `stride`; a row is a step, or a sample at one step.
        stride: see above.
        weights: `(count, 16)`.
        count, begin, end: see above.
    """
    r = begin
    while r + AT_ONCE <= end:
        place, row = r * LANES, after_floats(d_current, r * stride)
        a, b, c = load(out, place), load(out, place + LANES), load(out, place + 2 * LANES)
        d, e, f = load(out, place + 3 * LANES), load(out, place + 4 * LANES), load(out, place + 5 * LANES)
        for o in range(count):
            w = load(weights, o * LANES)
            a = a + w * fill(get_float(row, o))
            b = b + w * fill(get_float(row, o + stride))
            c = c + w * fill(get_float(row, o + 2 * stride))
            d = d + w * fill(get_float(row, o + 3 * stride))
            e = e + w * fill(get_float(row, o + 4 * stride))
            f = f + w * fill(get_float(row, o + 5 * stride))
        store(out, place, a)
        store(out, place + LANES, b)
        store(out, place + 2 * LANES, c)
        store(out, place + 3 * LANES, d)
        store(out, place + 4 * LANES, e)
        store(out, place + 5 * LANES, f)
        r += AT_ONCE
    while r < end:
        a = load(out, r * LANES)
        for o in range(count):
            a = a + load(weights, o * LANES) * fill(get_float(d_current, r * stride + o))
        store(out, r * LANES, a)
        r += 1


@njit
def multiply(incoming, steps, tile, begin, out):
    """Write the gradients of the spikes of one tile, `(time, 16)`, from step `begin` on."""
    weights = after_floats(incoming.onward, tile * incoming.post * LANES)
    clear(after_floats(out, begin * LANES), steps - begin)
    add_product(out, incoming.spikes, incoming.stride, weights, incoming.post, begin, steps)


@njit
def form(incoming, sample, scratch):
    """Write the gradients of the spikes to `scratch`, `(tile, time, 16)`, if they are a product."""
    if incoming.spikes and incoming.post:
        for tile in range(sample.tiles):
            multiply(incoming, sample.steps, tile, 0, after_floats(scratch, tile * sample.steps * LANES))


@njit
def of_spikes(incoming, sample, scratch):
    """Return where the gradients of the spikes lie: in `scratch` those that `form` wrote."""
    if incoming.spikes and incoming.post:
        return OfSpikes(scratch, LANES, sample.steps * LANES)
    return OfSpikes(incoming.spikes, incoming.stride, LANES)
