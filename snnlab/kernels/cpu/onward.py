"""The gradient of the spikes of 16 neurons that all go to one layer: that of its currents, times its weights.

    dL/ds[t] = dL/dI[t + delay] W^T

The kernel of the neurons forms it where it is read, a few rows at once, so that it never leaves the cache.
"""

from typing import NamedTuple

from llvmlite.binding import get_host_cpu_features
from numba import njit

from snnlab.kernels.cpu.memory import after_floats, get_float
from snnlab.kernels.cpu.simd import clear, fill, load, store
from snnlab.kernels.packed import LANES

AT_ONCE = 6  # rows: their sums, 16 values each, stay in the registers of a processor with 16 of 8 values
IN_PAIRS = bool(get_host_cpu_features().get("avx512f"))  # 32 registers of 16 values hold the sums of two tiles


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
def _add_to_pair(out, steps, d_current, stride, weights, count):
    """Add `d_current W^T` to two tiles, `(2, time, 16)`, which together read `d_current` once; return the rows done.

    The rest, fewer than `AT_ONCE` rows, is left to `add_product`.
    """
    second = after_floats(weights, count * LANES)
    r = 0
    while r + AT_ONCE <= steps:
        row, place, other = after_floats(d_current, r * stride), r * LANES, (steps + r) * LANES
        a, a2 = load(out, place), load(out, other)
        b, b2 = load(out, place + LANES), load(out, other + LANES)
        c, c2 = load(out, place + 2 * LANES), load(out, other + 2 * LANES)
        d, d2 = load(out, place + 3 * LANES), load(out, other + 3 * LANES)
        e, e2 = load(out, place + 4 * LANES), load(out, other + 4 * LANES)
        f, f2 = load(out, place + 5 * LANES), load(out, other + 5 * LANES)
        for o in range(count):
            w, w2 = load(weights, o * LANES), load(second, o * LANES)
            x = fill(get_float(row, o))
            a, a2 = a + w * x, a2 + w2 * x
            x = fill(get_float(row, o + stride))
            b, b2 = b + w * x, b2 + w2 * x
            x = fill(get_float(row, o + 2 * stride))
            c, c2 = c + w * x, c2 + w2 * x
            x = fill(get_float(row, o + 3 * stride))
            d, d2 = d + w * x, d2 + w2 * x
            x = fill(get_float(row, o + 4 * stride))
            e, e2 = e + w * x, e2 + w2 * x
            x = fill(get_float(row, o + 5 * stride))
            f, f2 = f + w * x, f2 + w2 * x
        store(out, place, a)
        store(out, other, a2)
        store(out, place + LANES, b)
        store(out, other + LANES, b2)
        store(out, place + 2 * LANES, c)
        store(out, other + 2 * LANES, c2)
        store(out, place + 3 * LANES, d)
        store(out, other + 3 * LANES, d2)
        store(out, place + 4 * LANES, e)
        store(out, other + 4 * LANES, e2)
        store(out, place + 5 * LANES, f)
        store(out, other + 5 * LANES, f2)
        r += AT_ONCE
    return r


@njit
def multiply(incoming, steps, tile, begin, out):
    """Write the gradients of the spikes of one tile, `(time, 16)`, from step `begin` on."""
    weights = after_floats(incoming.onward, tile * incoming.post * LANES)
    clear(after_floats(out, begin * LANES), steps - begin)
    add_product(out, incoming.spikes, incoming.stride, weights, incoming.post, begin, steps)


@njit
def form(incoming, sample, scratch):
    """Write the gradients of the spikes to `scratch`, `(tile, time, 16)`, if they are a product."""
    if not (incoming.spikes and incoming.post):
        return
    steps, tile_size = sample.steps, incoming.post * LANES
    clear(scratch, sample.tiles * steps)
    done = 0  # rows of this tile that were formed with the tile before
    for tile in range(sample.tiles):
        out, weights = after_floats(scratch, tile * steps * LANES), after_floats(incoming.onward, tile * tile_size)
        if tile % 2 == 0:
            paired = IN_PAIRS and tile + 1 < sample.tiles
            done = _add_to_pair(out, steps, incoming.spikes, incoming.stride, weights, incoming.post) if paired else 0
        add_product(out, incoming.spikes, incoming.stride, weights, incoming.post, done, steps)


@njit
def of_spikes(incoming, sample, scratch):
    """Return where the gradients of the spikes lie: in `scratch` those that `form` wrote."""
    if incoming.spikes and incoming.post:
        return OfSpikes(scratch, LANES, sample.steps * LANES)
    return OfSpikes(incoming.spikes, incoming.stride, LANES)
