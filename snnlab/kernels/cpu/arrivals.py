"""Sort the spikes of one sample by their arrival, whatever form they came in.

The units that arrive at step `t` are `units[starts[t] : starts[t + 1]]`. Spikes out of range, in
time or in unit, are dropped.
"""

import numpy as np
from numba import njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.ffi import ARGUMENTS, data, option, size
from snnlab.kernels.cpu.memory import after_halves, after_ints, get_half, get_int
from snnlab.kernels.cpu.simd import count_ones, trailing_zeros
from snnlab.kernels.packed import LANES


@njit
def sort_events(times, units, count, delay, num_units, starts):
    """Sort `count` events by counting; fill `starts` and return the units. Two of one unit at one step both count."""
    num_steps = len(starts) - 1
    when, who = np.empty(count, np.int32), np.empty(count, np.int32)
    total = 0
    for e in range(count):  # keep the events that exist, without a branch: half of all pixels are dark
        t, u = get_int(times, e), get_int(units, e)
        when[total], who[total] = t + delay, u
        total += (t >= 0) & (t < num_steps - delay) & (u >= 0) & (u < num_units)
    for t in range(num_steps + 1):
        starts[t] = 0
    for e in range(total):
        starts[when[e]] += 1
    first = 0
    for t in range(num_steps):
        arriving = starts[t]
        starts[t] = first
        first += arriving
    found = np.empty(total, np.int32)
    for e in range(total):
        t = when[e]
        found[starts[t]] = who[e]
        starts[t] += 1
    for t in range(num_steps, 0, -1):  # each start has moved to the place of the next
        starts[t] = starts[t - 1]
    starts[0] = 0
    return found


@njit
def sort_bits(bits, tiles, delay, starts):
    """Do the same for packed spikes `(tile, time)`, 16 units a word."""
    num_steps = len(starts) - 1
    total = 0
    for k in range(tiles * num_steps):
        total += count_ones(np.int64(get_half(bits, k)))
    found = np.empty(total, np.int32)
    for t in range(min(delay, num_steps)):
        starts[t] = 0
    k = 0
    for t in range(delay, num_steps):
        starts[t] = k
        for tile in range(tiles):
            word = np.int64(get_half(bits, tile * num_steps + t - delay))
            while word:
                found[k] = tile * LANES + trailing_zeros(word)
                k += 1
                word &= word - 1
    starts[num_steps] = k
    return found


@njit
def arrivals(frame, b, starts):
    """Return the spikes of sample `b` of a call and fill `starts`; there are none if a current drives the neurons."""
    source, delay = option(frame, at.SOURCE), option(frame, at.DELAY)
    if source == at.FROM_EVENTS:
        count, rows = size(frame, ARGUMENTS, at.TIMES, 1), size(frame, ARGUMENTS, at.UNITS, 0)
        times = after_ints(data(frame, ARGUMENTS, at.TIMES), b * count)
        units = after_ints(data(frame, ARGUMENTS, at.UNITS), min(b, rows - 1) * count)
        return sort_events(times, units, count, delay, size(frame, ARGUMENTS, at.WEIGHTS, 1), starts)
    if source == at.FROM_BITS:
        tiles = size(frame, ARGUMENTS, at.BITS, 1)
        bits = after_halves(data(frame, ARGUMENTS, at.BITS), b * tiles * (len(starts) - 1))
        return sort_bits(bits, tiles, delay, starts)
    for t in range(len(starts)):
        starts[t] = 0
    return np.empty(0, np.int32)
