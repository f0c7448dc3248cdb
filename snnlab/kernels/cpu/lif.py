"""LIF over whole sequences on the CPU: 16 neurons at a time, their state in registers from the first step to the last.

Forward, for one sample and 16 neurons, the weights of arriving spikes are added at their times; only spikes (one bit
each) and counts leave the processor. Backward computes the voltages again, keeps them in the cache, and walks back
through them. The equations are those of `snnlab.kernels.cpu.lif_step`.
"""

import numpy as np
from numba import float32, njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.arrivals import arrivals
from snnlab.kernels.cpu.ffi import ARGUMENTS, RESULTS, data, option, over_blocks, register, size
from snnlab.kernels.cpu.grid import grid_of
from snnlab.kernels.cpu.lif_step import (
    NEVER,
    adapted,
    add_threshold,
    hold,
    integrate,
    neurons_of,
    reset,
    shares_of,
    step_back,
)
from snnlab.kernels.cpu.memory import (
    NOWHERE,
    address_of,
    after_floats,
    after_halves,
    get_half,
    named_word,
    set_half,
)
from snnlab.kernels.cpu.onward import form, of_cells, of_spikes
from snnlab.kernels.cpu.sample import incoming_of, sample_of, samples_of, values_of
from snnlab.kernels.cpu.simd import accumulate, fill, load, pack, select, store
from snnlab.kernels.cpu.sums import add_sums, clear_sums, sums_of
from snnlab.kernels.packed import LANES

_GROUP = 8  # samples that a tile of a wide layer sees before the next tile does, so that its weights stay in the cache
_CACHED = 1 << 21  # bytes of weights and of their gradient that stay there anyway: then a sample stays instead


@njit
def _run(sample, tile, starts, units, bits, counts, states, trace, held):
    """Run one sample and tile forward.

    With `trace`, write the voltages before the reset, the currents and the rise of the thresholds there, and which
    neurons were held to `held`, for the way back. Without it, write spikes to `bits`, their number to `counts`, and
    voltages to `states` if that is not 0.
    """
    lane = tile * LANES
    n, weights = neurons_of(sample.params, sample.width, lane), after_floats(sample.weights, lane * sample.rows)
    zero, one = fill(float32(0.0)), fill(float32(1.0))
    v, g, b, age, count = zero, zero, zero, fill(float32(NEVER)), zero
    threshold = n.v_th
    for t in range(sample.steps):
        x, row = n.bias, t * sample.width + lane
        if sample.current:
            x = x + load(sample.current, row)
        for e in range(starts[t], starts[t + 1]):
            x = x + load(weights, units[e] * LANES)
        u, g = integrate(n, v, g, x)
        if sample.adapts:
            threshold = n.v_th + b
        if n.holds:
            u, age, word = hold(n, v, u, age, threshold)
            if trace:
                set_half(held, t, word)
        s, v = reset(n, u, threshold, sample.value_reset)
        if trace:
            place = sample.values * t * LANES
            store(trace, place, u)
            store(trace, place + LANES, g)
            if sample.adapts:
                store(trace, place + 2 * LANES, b)
        else:
            count = count + select(s, one, zero)
            set_half(bits, t, pack(s))
            if states:
                store(states, row, v)
        if sample.adapts:
            b = adapted(n, b, s)
    if not trace:
        store(counts, lane, count)


@njit
def _group_of(frame):
    """Return how many samples a tile sees before the next tile does."""
    weights = size(frame, ARGUMENTS, at.WEIGHTS, 0) * size(frame, ARGUMENTS, at.WEIGHTS, 1) * LANES
    return 1 if 2 * 4 * weights <= _CACHED else _GROUP


@over_blocks
def _forward(frame, block):
    wanted, num_steps, group = option(frame, at.STATES) == 1, option(frame, at.STEPS), _group_of(frame)
    starts, units = np.empty((group, num_steps + 1), np.int32), [np.empty(0, np.int32) for _ in range(group)]
    of_block = samples_of(frame, block, size(frame, RESULTS, 0, 0))
    for first in range(of_block.start, of_block.stop, group):
        count = min(group, of_block.stop - first)
        for k in range(count):
            units[k] = arrivals(frame, first + k, starts[k])
        for tile in range(sample_of(frame, first).tiles):
            for k in range(count):
                b, sample = first + k, sample_of(frame, first + k)
                counts = after_floats(data(frame, RESULTS, 1), b * sample.width)
                states = after_floats(data(frame, RESULTS, 2), b * sample.steps * sample.width) if wanted else NOWHERE
                bits = after_halves(data(frame, RESULTS, 0), (b * sample.tiles + tile) * sample.steps)
                _run(sample, tile, starts[k], units[k], bits, counts, states, NOWHERE, NOWHERE)


@njit
def _walk_back(sample, incoming, d_spikes, sums, tile, starts, units, trace, held):
    """Take one sample and tile backward, through what `_run` left in `trace` and `held`."""
    lane, width = tile * LANES, sample.width
    n, weights = neurons_of(sample.params, width, lane), after_floats(sums.weights, lane * sample.rows)
    d_count, zero = load(incoming.counts, lane), fill(float32(0.0))
    dv, dg, db, b, d_bias = zero, zero, zero, zero, zero
    d_a_syn, d_a, d_gain, d_th, d_reset, d_rho, d_beta = zero, zero, zero, zero, zero, zero, zero
    threshold, step = n.v_th, sample.values * LANES
    for t in range(sample.steps - 1, -1, -1):
        row, u, ds = t * width + lane, load(trace, t * step), d_count
        if incoming.states:
            dv = dv + load(incoming.states, row)
        if d_spikes.address:
            ds = ds + load(d_spikes.address, tile * d_spikes.tile + t * d_spikes.step)
        if sample.adapts:
            b = load(trace, t * step + 2 * LANES)
            threshold, ds = n.v_th + b, ds + n.beta * db
        options = sample.value_reset, sample.detach, sample.surrogate
        change = step_back(n, u, threshold, get_half(held, t), dv, dg, ds, *options)
        dv, dg = change.dv, change.dg
        if sample.adapts:
            if sums.learns:
                d_rho, d_beta = d_rho + db * b, d_beta + select(u >= threshold, db, zero)
            db = db * n.rho - change.ds * change.h
        d_bias = d_bias + dg
        if sums.learns:
            v_before, g_before = zero, zero
            if t > 0:
                earlier = (t - 1) * step
                g_before = load(trace, earlier + LANES)
                if sample.adapts:
                    threshold = n.v_th + load(trace, earlier + 2 * LANES)
                v_before = reset(n, load(trace, earlier), threshold, sample.value_reset)[1]
            share = shares_of(change, v_before, g_before, load(trace, t * step + LANES))
            d_a_syn, d_a, d_gain = d_a_syn + share.a_syn, d_a + share.a, d_gain + share.gain
            d_reset, d_th = d_reset + change.jump, add_threshold(d_th, change, sample.value_reset)
        for e in range(starts[t], starts[t + 1]):
            accumulate(weights, units[e] * LANES, dg)
        if sums.current:
            store(sums.current, row, dg)
    accumulate(sums.params, at.BIAS * width + lane, d_bias)
    accumulate(sums.params, at.DECAY_SYN * width + lane, d_a_syn)
    accumulate(sums.params, at.DECAY_MEM * width + lane, d_a)
    accumulate(sums.params, at.GAIN * width + lane, d_gain)
    accumulate(sums.params, at.V_TH * width + lane, d_th)
    accumulate(sums.params, at.V_RESET * width + lane, d_reset)
    if sample.adapts:
        accumulate(sums.params, at.DECAY_ADAPT * width + lane, d_rho)
        accumulate(sums.params, at.BETA * width + lane, d_beta)


@over_blocks
def _backward(frame, block):
    num_steps, tiles, group = option(frame, at.STEPS), size(frame, ARGUMENTS, at.WEIGHTS, 0), _group_of(frame)
    of_block, after = samples_of(frame, block, size(frame, ARGUMENTS, at.D_COUNTS, 0)), grid_of(frame, at.NUM_OPTIONS)
    clear_sums(frame, block)
    starts, units = np.empty((group, num_steps + 1), np.int32), [np.empty(0, np.int32) for _ in range(group)]
    trace, held = np.empty(values_of(frame) * num_steps * LANES, np.float32), np.empty(num_steps, np.uint16)
    product = np.empty(2 * num_steps * LANES, np.float32)
    for first in range(of_block.start, of_block.stop, group):
        count = min(group, of_block.stop - first)
        for k in range(count):
            units[k] = arrivals(frame, first + k, starts[k])
        for tile in range(0, tiles, 2):  # a product of two tiles takes less than twice the time of one
            for k in range(count):
                sample = sample_of(frame, first + k)
                incoming, sums = incoming_of(frame, first + k, sample), sums_of(frame, block, first + k, sample)
                end = min(tile + 2, tiles)
                form(incoming, num_steps, tile, end - tile, 0, address_of(product))
                d_spikes = of_spikes(incoming, sample, tile, address_of(product))
                if after.pool:
                    d_spikes = of_cells(frame, first + k, after, num_steps, tile, end - tile, address_of(product))
                for now in range(tile, end):
                    left = address_of(trace), address_of(held)
                    _run(sample, now, starts[k], units[k], NOWHERE, NOWHERE, NOWHERE, *left)
                    _walk_back(sample, incoming, d_spikes, sums, now, starts[k], units[k], *left)


@register("snnlab_lif")
def _lif(pointer):
    _forward(pointer, named_word("snnlab_lif"))
    return 0


@register("snnlab_lif_gradient")
def _lif_gradient(pointer):
    if _backward(pointer, named_word("snnlab_lif_gradient")):
        add_sums(pointer)
    return 0
