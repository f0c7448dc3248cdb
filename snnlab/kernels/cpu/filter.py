"""Linear neurons over whole sequences on the CPU: one exponential filter after the other, 16 neurons at a time.

    g <- g decay_syn + x,   v <- v decay_mem + g

A leaky readout behind an exponential synapse; with a decay of 0, one filter alone. See `snnlab.kernels.cpu.lif`.
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
from snnlab.kernels.cpu.memory import address_of, named_word
from snnlab.kernels.cpu.simd import accumulate, fill, load, select, store
from snnlab.kernels.cpu.sums import D_CURRENT, SUMS_PARAMS, SUMS_WEIGHTS, add_sums, clear_sums
from snnlab.kernels.packed import LANES


@njit
def _run(frame, b, tile, starts, units, trace_v, stride, trace_g):
    """One sample and tile, forward; returns the maximum of `v` over time.

    Where they are not 0, `v` goes to `trace_v`, a vector every `stride`, and `g` to `trace_g`.
    """
    params, weights = data(frame, ARGUMENTS, at.PARAMS), data(frame, ARGUMENTS, at.WEIGHTS)
    tiles, num_units = size(frame, ARGUMENTS, at.WEIGHTS, 0), size(frame, ARGUMENTS, at.WEIGHTS, 1)
    num_steps, width, lane = len(starts) - 1, tiles * LANES, tile * LANES
    bias, a_syn = load(params, at.BIAS * width + lane), load(params, at.DECAY_SYN * width + lane)
    a = load(params, at.DECAY_MEM * width + lane)
    current = data(frame, ARGUMENTS, at.CURRENT) if option(frame, at.SOURCE) == at.FROM_CURRENT else 0
    v = g = fill(float32(0.0))
    peak = fill(float32(-np.inf))
    for t in range(num_steps):
        x = bias
        if current:
            x = x + load(current, (b * num_steps + t) * width + lane)
        for e in range(starts[t], starts[t + 1]):
            x = x + load(weights, (tile * num_units + units[e]) * LANES)
        g = g * a_syn + x
        v = v * a + g
        peak = select(peak >= v, peak, v)
        if trace_v:
            store(trace_v, t * stride, v)
        if trace_g:
            store(trace_g, t * LANES, g)
    return peak


@njit
def _forward(frame, block):
    num_steps, blocks = option(frame, at.STEPS), option(frame, at.BLOCKS)
    batch, width = size(frame, RESULTS, 1, 0), size(frame, RESULTS, 1, 1)
    states = data(frame, RESULTS, 0) if option(frame, at.STATES) == 1 else 0
    starts, nowhere = np.empty(num_steps + 1, np.int32), np.int64(0)  # no literal: see `ffi`
    for b in range(block * batch // blocks, (block + 1) * batch // blocks):
        units = arrivals(frame, b, starts)
        for lane in range(0, width, LANES):
            out = states + 4 * (b * num_steps * width + lane) if states else 0
            peak = _run(frame, b, lane // LANES, starts, units, out, width, nowhere)
            store(data(frame, RESULTS, 1), b * width + lane, peak)


@njit
def _share(frame, b, width, lane, trace_v, peak, num_steps):
    """The gradient of the maximum over time, shared out evenly among the steps where it is reached."""
    zero, one = fill(float32(0.0)), fill(float32(1.0))
    ties = zero
    for t in range(num_steps):
        ties = ties + select(load(trace_v, t * LANES) >= peak, one, zero)
    return load(data(frame, ARGUMENTS, at.D_PEAK), b * width + lane) / ties


@njit
def _walk_back(frame, block, b, tile, starts, units, trace_v, trace_g, peak):
    """One sample and tile, backward; from the traces of `_run`, where the peak or the decays need them."""
    params, d_trace = data(frame, ARGUMENTS, at.PARAMS), data(frame, ARGUMENTS, at.D_TRACE)
    tiles, num_units = size(frame, ARGUMENTS, at.WEIGHTS, 0), size(frame, ARGUMENTS, at.WEIGHTS, 1)
    num_steps, width, lane = len(starts) - 1, tiles * LANES, tile * LANES
    a_syn, a = load(params, at.DECAY_SYN * width + lane), load(params, at.DECAY_MEM * width + lane)
    learns, states = option(frame, at.LEARNS) == 1, option(frame, at.STATES) == 1
    peaks = option(frame, at.PEAKS) == 1
    d_input = data(frame, RESULTS, D_CURRENT) if option(frame, at.INPUTS) == 1 else 0
    d_weights = data(frame, RESULTS, SUMS_WEIGHTS) + 4 * (block * tiles + tile) * num_units * LANES
    dv = dg = d_bias = d_a_syn = d_a = zero = fill(float32(0.0))
    share = _share(frame, b, width, lane, trace_v, peak, num_steps) if peaks else zero
    for t in range(num_steps - 1, -1, -1):
        row = (b * num_steps + t) * width + lane
        dv = dv * a
        if states:
            dv = dv + load(d_trace, row)
        if peaks:
            dv = dv + select(load(trace_v, t * LANES) >= peak, share, zero)
        dg = dg * a_syn + dv
        d_bias = d_bias + dg
        if learns and t > 0:
            d_a = d_a + dv * load(trace_v, (t - 1) * LANES)
            d_a_syn = d_a_syn + dg * load(trace_g, (t - 1) * LANES)
        for e in range(starts[t], starts[t + 1]):
            accumulate(d_weights, units[e] * LANES, dg)
        if d_input:
            store(d_input, row, dg)
    d_params = data(frame, RESULTS, SUMS_PARAMS) + 4 * (block * at.LEARNED * width + lane)
    accumulate(d_params, at.BIAS * width, d_bias)
    accumulate(d_params, at.DECAY_SYN * width, d_a_syn)
    accumulate(d_params, at.DECAY_MEM * width, d_a)


@njit
def _backward(frame, block):
    num_steps, blocks = option(frame, at.STEPS), option(frame, at.BLOCKS)
    batch, tiles = size(frame, ARGUMENTS, at.D_PEAK, 0), size(frame, ARGUMENTS, at.WEIGHTS, 0)
    again = option(frame, at.LEARNS) == 1 or option(frame, at.PEAKS) == 1
    clear_sums(frame, block)
    starts, traces = np.empty(num_steps + 1, np.int32), np.empty(2 * num_steps * LANES, np.float32)
    for b in range(block * batch // blocks, (block + 1) * batch // blocks):
        units = arrivals(frame, b, starts)
        trace_v = address_of(traces)
        trace_g = trace_v + 4 * num_steps * LANES
        for tile in range(tiles):
            peak = fill(float32(0.0))
            if again:
                peak = _run(frame, b, tile, starts, units, trace_v, np.int64(LANES), trace_g)
            _walk_back(frame, block, b, tile, starts, units, trace_v, trace_g, peak)


@register("snnlab_filter")
def _filter(pointer):
    job = open_job(pointer, named_word("snnlab_filter"))
    block = first_block(job)
    while block >= 0:
        _forward(frame_of(job), block)
        block = next_block(job)
    close_job(pointer, job)
    return 0


@register("snnlab_filter_gradient")
def _filter_gradient(pointer):
    job = open_job(pointer, named_word("snnlab_filter_gradient"))
    block = first_block(job)
    while block >= 0:
        _backward(frame_of(job), block)
        block = next_block(job)
    if close_job(pointer, job):
        add_sums(pointer)
    return 0
