"""LIF behind a convolution on the CPU: 16 channels of one pixel at a time, from the first step to the last.

For every pixel, the weights of the spikes in its window are added at their times to a sequence of 16 values, which then
drives the neurons, with their state in registers. A spike costs 16 additions in each window that holds it; a pixel that
nothing reaches costs nothing. Spikes are sorted by the unit that they come from, in the order cell, channel: so those
in one row of a window stand one behind the other, as their weights do.

The equations are those of `snnlab.kernels.cpu.lif_step`.
"""

from typing import NamedTuple

import numpy as np
from numba import float32, njit, uint16

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.ffi import ARGUMENTS, RESULTS, data, option, over_blocks, register, size
from snnlab.kernels.cpu.grid import grid_of
from snnlab.kernels.cpu.lif_step import NEVER, adapted, hold, integrate, neurons_of, reset
from snnlab.kernels.cpu.memory import (
    NOWHERE,
    address_of,
    after_floats,
    after_halves,
    after_ints,
    get_half,
    get_int,
    named_word,
    set_half,
)
from snnlab.kernels.cpu.sample import sample_of, samples_of
from snnlab.kernels.cpu.simd import Vector, accumulate, count_ones, fill, load, pack, select, store, trailing_zeros
from snnlab.kernels.packed import LANES


@njit
def _list_events(times, units, count, delay, steps, num_units):
    """List the events that exist: their times of arrival and their units."""
    when, what = np.empty(count, np.int32), np.empty(count, np.int32)
    total = 0
    for e in range(count):
        t, u = get_int(times, e), get_int(units, e)
        when[total], what[total] = t + delay, u
        total += (t >= 0) & (t < steps - delay) & (u >= 0) & (u < num_units)
    return when, what, total


@njit
def _list_bits(bits, first_units, tiles, delay, steps):
    """Do the same for packed spikes; `first_units` has the first unit of each tile, -1 where spikes go nowhere."""
    total = 0
    for k in range(tiles * steps):
        total += count_ones(np.int64(get_half(bits, k)))
    when, what = np.empty(total, np.int32), np.empty(total, np.int32)
    total = 0
    for tile in range(tiles):
        first = get_int(first_units, tile)
        for t in range(0 if first < 0 else delay, 0 if first < 0 else steps):
            word = np.int64(get_half(bits, tile * steps + t - delay))
            while word:
                when[total], what[total] = t, first + trailing_zeros(word)
                total += 1
                word &= word - 1
    return when, what, total


class Spikes(NamedTuple):
    """The spikes of one sample, sorted by unit: those of unit `u` are `starts[u] .. starts[u + 1]`."""

    starts: np.ndarray
    when: np.ndarray  # step at which it arrives
    what: np.ndarray  # unit


@njit
def _sort(when, what, total, num_units):
    """Sort spikes by unit, by counting; those of one unit stay in their order."""
    starts = np.zeros(num_units + 2, np.int32)  # one behind: counting, then placing, moves every start to its place
    for e in range(total):
        starts[what[e] + 2] += 1
    for u in range(2, num_units + 2):
        starts[u] += starts[u - 1]
    sorted_when, sorted_what = np.empty(total, np.int32), np.empty(total, np.int32)
    for e in range(total):
        place = starts[what[e] + 1]
        sorted_when[place], sorted_what[place] = when[e], what[e]
        starts[what[e] + 1] = place + 1
    return Spikes(starts, sorted_when, sorted_what)


@njit
def spikes_of(frame, b, grid):
    """Return the spikes that arrive in sample `b` of a call."""
    steps, num_units = option(frame, at.STEPS), grid.rows * grid.columns * grid.depth
    if option(frame, at.SOURCE) == at.FROM_STEADY:  # none
        return Spikes(np.zeros(1, np.int32), np.empty(0, np.int32), np.empty(0, np.int32))
    units, delay = data(frame, ARGUMENTS, at.UNITS), min(option(frame, at.DELAY), steps)
    if option(frame, at.SOURCE) == at.FROM_BITS:
        tiles = size(frame, ARGUMENTS, at.BITS, 1)
        bits = after_halves(data(frame, ARGUMENTS, at.BITS), b * tiles * steps)
        when, what, total = _list_bits(bits, units, tiles, delay, steps)
    else:
        count, rows = size(frame, ARGUMENTS, at.TIMES, 1), size(frame, ARGUMENTS, at.UNITS, 0)
        times = after_ints(data(frame, ARGUMENTS, at.TIMES), b * count)
        units = after_ints(units, min(b, rows - 1) * count)
        when, what, total = _list_events(times, units, count, delay, steps, num_units)
    return _sort(when, what, total, num_units)


@njit
def weigh(grid, spikes, pixel, weights, values, steps, back):
    """Add the weights of the spikes in the window of a pixel to `values`, 16 a step; return the first step of any.

    With `back`, add the values at the steps of the spikes to the weights instead.
    """
    top = (pixel // grid.out_columns) * grid.stride_rows - grid.padding_rows
    left = (pixel % grid.out_columns) * grid.stride_columns - grid.padding_columns
    begin, end = max(0, -left), min(grid.size_columns, grid.columns - left)
    first = steps
    for row in range(max(0, -top), min(grid.size_rows, grid.rows - top)):
        unit = ((top + row) * grid.columns + left + begin) * grid.depth
        to_weight = (row * grid.size_columns + begin) * grid.depth - unit
        for e in range(spikes.starts[unit], spikes.starts[unit + (end - begin) * grid.depth]):
            t = np.int64(spikes.when[e])
            weight = (spikes.what[e] + to_weight) * LANES
            if back:
                accumulate(weights, weight, load(values, t * LANES))
            else:
                accumulate(values, t * LANES, load(weights, weight))
                first = min(first, t)
    return first


@njit
def steady_of(frame, b, sample):
    """Return the address of the steady currents of sample `b`, which has no spikes then; else 0."""
    if option(frame, at.SOURCE) != at.FROM_STEADY:
        return NOWHERE
    return after_floats(data(frame, ARGUMENTS, at.CURRENT), b * sample.width)


@njit
def arrive(grid, spikes, steady, tile, pixel, weights, values, steps):
    """Write what arrives at 16 channels of a pixel to `values`; return the first step at which anything does.

    With `steady`, it is the current of their tile, at every step from the delay on.
    """
    if not steady:
        return weigh(grid, spikes, pixel, weights, values, steps, False)
    zero, current = fill(float32(0.0)), load(steady, tile * LANES)
    if pack(current >= zero) & pack(zero >= current) == 0xFFFF:
        return steps
    for t in range(grid.delay, steps):
        store(values, t * LANES, current)
    return min(grid.delay, steps)


@njit
def begins(n, first):
    """Return the first step at which 16 neurons do anything, if nothing arrives before step `first`."""
    zero = fill(float32(0.0))
    u, g = integrate(n, zero, zero, n.bias)
    still = pack(u >= zero) & pack(zero >= u) & pack(g >= zero) & pack(zero >= g)
    return first if still == 0xFFFF and pack(u >= n.v_th) == 0 else 0


class Place(NamedTuple):
    """16 neurons, and addresses of what they read and write: what arrives; their spikes or, for the way back, voltages
    before the reset, currents and the rise of thresholds, and which of them were held."""

    tile: int
    arriving: int
    bits: int
    trace: int
    held: int


class _State(NamedTuple):
    v: Vector
    g: Vector
    rise: Vector  # of the threshold
    age: Vector
    count: Vector


@njit(forceinline=True)
def _step(sample, n, state, place, states, t):
    """Take one step of 16 neurons; set what arrives to 0 for the next ones."""
    u, g = integrate(n, state.v, state.g, n.bias + load(place.arriving, t * LANES))
    store(place.arriving, t * LANES, fill(float32(0.0)))
    age, count, rise, threshold = state.age, state.count, state.rise, n.v_th
    if sample.adapts:
        threshold = n.v_th + rise
    if n.holds:
        u, age, word = hold(n, state.v, u, age, threshold)
        if place.trace:
            set_half(place.held, t, word)
    s, v = reset(n, u, threshold, sample.value_reset)
    if place.trace:
        left = sample.values * t * LANES
        store(place.trace, left, u)
        store(place.trace, left + LANES, g)
        if sample.adapts:
            store(place.trace, left + 2 * LANES, rise)
    else:
        count = count + select(s, fill(float32(1.0)), fill(float32(0.0)))
        set_half(place.bits, t, pack(s))
        if states:
            store(states, t * sample.width + place.tile * LANES, v)
    if sample.adapts:
        rise = adapted(n, rise, s)
    return _State(v, g, rise, age, count)


@njit
def _rest(sample, place, states, begin):
    """Write what neurons that rest until step `begin` put out."""
    for t in range(begin):
        set_half(place.bits, t, uint16(0))
        if states:
            store(states, t * sample.width + place.tile * LANES, fill(float32(0.0)))


@njit
def run(sample, n, begin, one, two, both, counts, states):
    """Run the neurons of a place, or of both, forward from step `begin`, until which they are at rest.

    A step waits for the one before, so two places side by side take hardly longer than one. Without traces, write
    spikes, their number to `counts`, and voltages to `states` if that is not 0.
    """
    zero = fill(float32(0.0))
    a = b = _State(zero, zero, zero, fill(float32(NEVER)), zero)
    if both:
        for t in range(begin, sample.steps):
            a = _step(sample, n, a, one, states, t)
            b = _step(sample, n, b, two, states, t)
    else:
        for t in range(begin, sample.steps):
            a = _step(sample, n, a, one, states, t)
    if not one.trace:
        _rest(sample, one, states, begin)
        store(counts, one.tile * LANES, a.count)
        if both:
            _rest(sample, two, states, begin)
            store(counts, two.tile * LANES, b.count)


@over_blocks
def _forward(frame, block):
    steps, batch, wanted = option(frame, at.STEPS), size(frame, RESULTS, 0, 0), option(frame, at.STATES) == 1
    grid, tiles = grid_of(frame, at.NUM_OPTIONS), size(frame, ARGUMENTS, at.WEIGHTS, 0)
    width, pixels = tiles * LANES, grid.out_rows * grid.out_columns
    arriving = np.zeros((2, steps * LANES), np.float32)
    for b in samples_of(frame, block, batch):
        spikes, sample = spikes_of(frame, b, grid), sample_of(frame, b)
        steady = steady_of(frame, b, sample)
        counts = after_floats(data(frame, RESULTS, 1), b * sample.width)
        states = after_floats(data(frame, RESULTS, 2), b * steps * sample.width) if wanted else NOWHERE
        bits = after_halves(data(frame, RESULTS, 0), b * sample.tiles * steps)
        for pixel in range(0, pixels, 2):  # and the next one
            for channel_tile in range(tiles):
                lane, both = channel_tile * LANES, pixel + 1 < pixels
                n, weights = neurons_of(sample.params, width, lane), after_floats(sample.weights, lane * sample.rows)
                first, second = address_of(arriving), after_floats(address_of(arriving), steps * LANES)
                tile = pixel * tiles + channel_tile
                begin = arrive(grid, spikes, steady, tile, pixel, weights, first, steps)
                if both:
                    begin = min(begin, arrive(grid, spikes, steady, tile + tiles, pixel + 1, weights, second, steps))
                one = Place(tile, first, after_halves(bits, tile * steps), NOWHERE, NOWHERE)
                tile += tiles
                two = Place(tile, second, after_halves(bits, tile * steps), NOWHERE, NOWHERE)
                run(sample, n, begins(n, begin), one, two, both, counts, states)


@register("snnlab_conv")
def _conv(pointer):
    _forward(pointer, named_word("snnlab_conv"))
    return 0
