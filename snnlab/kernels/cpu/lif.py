"""LIF over whole sequences on the CPU: 16 neurons at a time, their state in registers from the first step to the last.

Forward, for one sample and 16 neurons, the weights of the spikes that arrive are added at their times; nothing but
spikes (one bit each) and counts leaves the processor. Backward computes the voltages again, into the cache, and
walks back through them. The equations are those of `snnlab.dynamics.lif_step`.
"""

import numpy as np
from numba import float32, njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.arrivals import arrivals
from snnlab.kernels.cpu.ffi import (
    ARGUMENTS,
    RESULTS,
    close_job,
    data,
    first_block,
    frame_of,
    next_block,
    open_job,
    option,
    register,
    size,
)
from snnlab.kernels.cpu.memory import address_of, get_float, get_half, named_word, set_half
from snnlab.kernels.cpu.simd import absolute, accumulate, exp, fill, load, pack, select, store, unpack
from snnlab.kernels.cpu.sums import SUMS_PARAMS, SUMS_WEIGHTS, add_sums, clear_sums
from snnlab.kernels.packed import LANES

_NEVER = 1e9  # steps since the last spike of a neuron that has not fired yet


@njit
def _derivative(x, slope, kind):
    """The surrogate derivative number `kind` of `snnlab.surrogate.SURROGATES`."""
    one, y = fill(float32(1.0)), slope * x
    if kind == 0:  # inv_square
        d = one + absolute(y)
        return one / (d * d)
    if kind == 1:  # arctan
        return one / (one + y * y)
    if kind == 2:  # sigmoid
        q = one / (one + exp(fill(float32(0.0)) - y))
        return fill(float32(4.0)) * q * (one - q)
    if kind == 3:  # triangular
        d = one - absolute(y)
        return select(fill(float32(0.0)) >= d, fill(float32(0.0)), d)  # NaN stays NaN
    return exp(fill(float32(-0.5)) * y * y)  # gaussian


@njit
def _run(frame, b, tile, starts, units, trace, held):
    """One sample and tile, forward. With `trace`, the voltages before the reset and the currents go there, and which
    neurons were held to `held`, for the way back; without, spikes, counts and voltages go to the results."""
    params, weights = data(frame, ARGUMENTS, at.PARAMS), data(frame, ARGUMENTS, at.WEIGHTS)
    tiles, num_units, num_steps = (
        size(frame, ARGUMENTS, at.WEIGHTS, 0),
        size(frame, ARGUMENTS, at.WEIGHTS, 1),
        len(starts) - 1,
    )
    width, lane = tiles * LANES, tile * LANES
    bias, a_syn = load(params, at.BIAS * width + lane), load(params, at.DECAY_SYN * width + lane)
    a, gain = load(params, at.DECAY_MEM * width + lane), load(params, at.GAIN * width + lane)
    v_rest, v_th = load(params, at.V_REST * width + lane), load(params, at.V_TH * width + lane)
    v_reset, hold = load(params, at.V_RESET * width + lane), load(params, at.HOLD * width + lane)
    value_reset, holds = option(frame, at.VALUE_RESET) == 1, pack(hold >= fill(float32(1.0))) != 0
    current = data(frame, ARGUMENTS, at.CURRENT) if option(frame, at.SOURCE) == at.FROM_CURRENT else 0
    bits = 0 if trace else data(frame, RESULTS, 0) + 2 * (b * tiles + tile) * num_steps
    states = data(frame, RESULTS, 2) if not trace and option(frame, at.STATES) == 1 else 0
    gap, zero, one = v_th - v_reset, fill(float32(0.0)), fill(float32(1.0))
    pull = v_rest - v_rest * a
    v, g, age, count = v_rest, zero, fill(float32(_NEVER)), zero
    for t in range(num_steps):
        x, row = bias, (b * num_steps + t) * width + lane
        if current:
            x = x + load(current, row)
        for e in range(starts[t], starts[t + 1]):
            x = x + load(weights, (tile * num_units + units[e]) * LANES)
        g = g * a_syn + x
        u = v * a + (pull + gain * g)
        if holds:
            age = age + one
            stuck = age <= hold
            u = select(stuck, v, u)
            if trace:
                set_half(held, t, pack(stuck))
        s = u >= v_th
        if holds:
            age = select(s, zero, age)
        v = select(s, v_reset if value_reset else u - gap, u)
        if trace:
            store(trace, 2 * t * LANES, u)
            store(trace, (2 * t + 1) * LANES, g)
        else:
            count = count + select(s, one, zero)
            set_half(bits, t, pack(s))
            if states:
                store(states, row, v)
    if not trace:
        store(data(frame, RESULTS, 1), b * width + lane, count)


@njit
def _forward(frame, block):
    num_steps, blocks = option(frame, at.STEPS), option(frame, at.BLOCKS)
    batch, tiles = size(frame, RESULTS, 0, 0), size(frame, RESULTS, 0, 1)
    starts, nowhere = np.empty(num_steps + 1, np.int32), np.int64(0)  # no literal: see `ffi`
    for b in range(block * batch // blocks, (block + 1) * batch // blocks):
        units = arrivals(frame, b, starts)
        for tile in range(tiles):
            _run(frame, b, tile, starts, units, nowhere, nowhere)


@njit
def _walk_back(frame, block, b, tile, starts, units, trace, held):
    """One sample and tile, backward through what `_run` left in `trace` and `held`."""
    params, d_counts = data(frame, ARGUMENTS, at.PARAMS), data(frame, ARGUMENTS, at.D_COUNTS)
    tiles, num_units, num_steps = (
        size(frame, ARGUMENTS, at.WEIGHTS, 0),
        size(frame, ARGUMENTS, at.WEIGHTS, 1),
        len(starts) - 1,
    )
    width, lane = tiles * LANES, tile * LANES
    a_syn, a = load(params, at.DECAY_SYN * width + lane), load(params, at.DECAY_MEM * width + lane)
    gain, v_rest = load(params, at.GAIN * width + lane), load(params, at.V_REST * width + lane)
    v_th, v_reset = load(params, at.V_TH * width + lane), load(params, at.V_RESET * width + lane)
    slope, gap = load(params, at.SLOPE * width + lane), v_th - v_reset
    value_reset, detach = option(frame, at.VALUE_RESET) == 1, option(frame, at.DETACH_RESET) == 1
    holds = pack(load(params, at.HOLD * width + lane) >= fill(float32(1.0))) != 0
    learns, kind = option(frame, at.LEARNS) == 1, option(frame, at.SURROGATE)
    d_spikes = data(frame, ARGUMENTS, at.D_SPIKES) if option(frame, at.SPIKES) == 1 else 0
    onward, post = data(frame, ARGUMENTS, at.ONWARD) + 4 * lane, size(frame, ARGUMENTS, at.ONWARD, 0)
    stride = size(frame, ARGUMENTS, at.D_SPIKES, 2)
    d_states = data(frame, ARGUMENTS, at.D_STATES) if option(frame, at.STATES) == 1 else 0
    d_input = data(frame, RESULTS, 2) if option(frame, at.INPUTS) == 1 else 0
    d_weights = data(frame, RESULTS, SUMS_WEIGHTS) + 4 * (block * tiles + tile) * num_units * LANES
    zero, one = fill(float32(0.0)), fill(float32(1.0))
    d_count = load(d_counts, b * width + lane)
    dv, dg = zero, zero
    d_bias, d_a_syn, d_a, d_gain, d_rest, d_th, d_reset = zero, zero, zero, zero, zero, zero, zero
    for t in range(num_steps - 1, -1, -1):
        row = (b * num_steps + t) * width + lane
        u = load(trace, 2 * t * LANES)
        s, ds = u >= v_th, d_count
        if d_states:
            dv = dv + load(d_states, row)
        if d_spikes:
            if post:
                for c in range(post):
                    d_current = get_float(d_spikes, (b * num_steps + t) * stride + c)
                    ds = ds + fill(d_current) * load(onward, c * width)
            else:
                ds = ds + load(d_spikes, row)
        # The reset: what is left of v, and what a spike takes from it.
        kept = select(s, zero, one) if value_reset else one
        taken = zero if detach else (v_reset - u if value_reset else v_reset - v_th)
        h = _derivative(u - v_th, slope, kind)
        du = dv * (kept + taken * h) + ds * h  # in this order only one operation waits for the step after
        if learns:
            jump = select(s, dv, zero)
            d_reset = d_reset + jump
            d_th = d_th - (ds + dv * taken) * h
            if not value_reset:
                d_th = d_th - jump
        moved = du
        dv = du * a
        if holds:
            stuck = unpack(get_half(held, t))
            moved = select(stuck, zero, du)
            dv = select(stuck, du, dv)
        if learns:
            before = load(trace, 2 * (t - 1) * LANES) if t > 0 else v_rest
            if t > 0:
                after = v_reset if value_reset else before - gap
                before = select(before >= v_th, after, before)
            d_a = d_a + moved * (before - v_rest)
            d_gain = d_gain + moved * load(trace, (2 * t + 1) * LANES)
            d_rest = d_rest + moved * (one - a)
        dg = dg * a_syn + moved * gain
        d_bias = d_bias + dg
        if learns and t > 0:
            d_a_syn = d_a_syn + dg * load(trace, (2 * t - 1) * LANES)
        for e in range(starts[t], starts[t + 1]):
            place = units[e] * LANES
            store(d_weights, place, load(d_weights, place) + dg)
        if d_input:
            store(d_input, row, dg)
    d_params = data(frame, RESULTS, SUMS_PARAMS) + 4 * (block * at.LEARNED * width + lane)
    accumulate(d_params, at.BIAS * width, d_bias)
    accumulate(d_params, at.DECAY_SYN * width, d_a_syn)
    accumulate(d_params, at.DECAY_MEM * width, d_a)
    accumulate(d_params, at.GAIN * width, d_gain)
    accumulate(d_params, at.V_REST * width, d_rest + dv)
    accumulate(d_params, at.V_TH * width, d_th)
    accumulate(d_params, at.V_RESET * width, d_reset)


@njit
def _backward(frame, block):
    num_steps, blocks = option(frame, at.STEPS), option(frame, at.BLOCKS)
    batch, tiles = size(frame, ARGUMENTS, at.D_COUNTS, 0), size(frame, ARGUMENTS, at.WEIGHTS, 0)
    clear_sums(frame, block)
    starts, held = np.empty(num_steps + 1, np.int32), np.empty(num_steps, np.uint16)
    trace = np.empty(2 * num_steps * LANES, np.float32)
    for b in range(block * batch // blocks, (block + 1) * batch // blocks):
        units = arrivals(frame, b, starts)
        for tile in range(tiles):
            _run(frame, b, tile, starts, units, address_of(trace), address_of(held))
            _walk_back(frame, block, b, tile, starts, units, address_of(trace), address_of(held))


@register("snnlab_lif")
def _lif(pointer):
    job = open_job(pointer, named_word("snnlab_lif"))
    block = first_block(job)
    while block >= 0:
        _forward(frame_of(job), block)
        block = next_block(job)
    close_job(pointer, job)
    return 0


@register("snnlab_lif_gradient")
def _lif_gradient(pointer):
    job = open_job(pointer, named_word("snnlab_lif_gradient"))
    block = first_block(job)
    while block >= 0:
        _backward(frame_of(job), block)
        block = next_block(job)
    if close_job(pointer, job):
        add_sums(pointer)
    return 0
