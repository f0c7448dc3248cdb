"""Linear neurons over whole sequences on the CPU: one exponential filter after the other, 16 neurons at a time.

    g <- g decay_syn + x,   v <- v decay_mem + g

A leaky readout behind an exponential synapse; with a decay of 0, one filter alone. See `snnlab.kernels.cpu_lif`.
"""

import numpy as np
from numba import float32, njit

from snnlab.kernels import layout as at
from snnlab.kernels.ffi import (
    ARGUMENTS,
    RESULTS,
    close_job,
    data,
    first_block,
    frame_of,
    next_block,
    open_job,
    register,
    size,
)
from snnlab.kernels.memory import address_of, named_word
from snnlab.kernels.simd import accumulate, fill, load, store
from snnlab.kernels.sums import SUMS_PARAMS, SUMS_WEIGHTS, add_sums, clear_sums
from snnlab.kernels.trains import arrivals, option


@njit
def _run(frame, b, tile, starts, units, out, stride, trace):
    """One sample and tile, forward: `v` goes to `out`, a vector every `stride`, and with `trace` `g` goes there."""
    params, weights = data(frame, ARGUMENTS, at.PARAMS), data(frame, ARGUMENTS, at.WEIGHTS)
    tiles, num_units = size(frame, ARGUMENTS, at.WEIGHTS, 0), size(frame, ARGUMENTS, at.WEIGHTS, 1)
    num_steps, width, lane = len(starts) - 1, tiles * at.LANES, tile * at.LANES
    bias, a_syn = load(params, at.BIAS * width + lane), load(params, at.DECAY_SYN * width + lane)
    a = load(params, at.DECAY_MEM * width + lane)
    current = data(frame, ARGUMENTS, at.CURRENT) if option(frame, at.SOURCE) == at.FROM_CURRENT else 0
    v = g = fill(float32(0.0))
    for t in range(num_steps):
        x = bias
        if current:
            x = x + load(current, (b * num_steps + t) * width + lane)
        for e in range(starts[t], starts[t + 1]):
            x = x + load(weights, (tile * num_units + units[e]) * at.LANES)
        g = g * a_syn + x
        v = v * a + g
        store(out, t * stride, v)
        if trace:
            store(trace, t * at.LANES, g)


@njit
def _forward(frame, block):
    num_steps, blocks = option(frame, at.STEPS), option(frame, at.BLOCKS)
    batch, width = size(frame, RESULTS, 0, 0), size(frame, RESULTS, 0, 2)
    starts = np.empty(num_steps + 1, np.int32)
    for b in range(block * batch // blocks, (block + 1) * batch // blocks):
        units = arrivals(frame, b, starts)
        for tile in range(width // at.LANES):
            out = data(frame, RESULTS, 0) + 4 * (b * num_steps * width + tile * at.LANES)
            _run(frame, b, tile, starts, units, out, width, 0)


@njit
def _walk_back(frame, block, b, tile, starts, units, trace_v, trace_g):
    """One sample and tile, backward; with the traces of `_run` also for the decays."""
    params, d_out = data(frame, ARGUMENTS, at.PARAMS), data(frame, ARGUMENTS, at.D_OUT)
    tiles, num_units = size(frame, ARGUMENTS, at.WEIGHTS, 0), size(frame, ARGUMENTS, at.WEIGHTS, 1)
    num_steps, width, lane = len(starts) - 1, tiles * at.LANES, tile * at.LANES
    a_syn, a = load(params, at.DECAY_SYN * width + lane), load(params, at.DECAY_MEM * width + lane)
    learns = option(frame, at.LEARNS) == 1
    d_input = data(frame, RESULTS, 2) if option(frame, at.INPUTS) == 1 else 0
    d_weights = data(frame, RESULTS, SUMS_WEIGHTS) + 4 * (block * tiles + tile) * num_units * at.LANES
    dv = dg = d_bias = d_a_syn = d_a = fill(float32(0.0))
    for t in range(num_steps - 1, -1, -1):
        row = (b * num_steps + t) * width + lane
        dv = dv * a + load(d_out, row)
        dg = dg * a_syn + dv
        d_bias = d_bias + dg
        if learns and t > 0:
            d_a = d_a + dv * load(trace_v, (t - 1) * at.LANES)
            d_a_syn = d_a_syn + dg * load(trace_g, (t - 1) * at.LANES)
        for e in range(starts[t], starts[t + 1]):
            accumulate(d_weights, units[e] * at.LANES, dg)
        if d_input:
            store(d_input, row, dg)
    d_params = data(frame, RESULTS, SUMS_PARAMS) + 4 * (block * at.LEARNED * width + lane)
    accumulate(d_params, at.BIAS * width, d_bias)
    accumulate(d_params, at.DECAY_SYN * width, d_a_syn)
    accumulate(d_params, at.DECAY_MEM * width, d_a)


@njit
def _backward(frame, block):
    num_steps, blocks = option(frame, at.STEPS), option(frame, at.BLOCKS)
    batch = size(frame, ARGUMENTS, at.D_OUT, 0)
    tiles = size(frame, ARGUMENTS, at.WEIGHTS, 0)
    clear_sums(frame, block)
    starts, traces = np.empty(num_steps + 1, np.int32), np.empty(2 * num_steps * at.LANES, np.float32)
    for b in range(block * batch // blocks, (block + 1) * batch // blocks):
        units = arrivals(frame, b, starts)
        trace_v = address_of(traces)
        trace_g = trace_v + 4 * num_steps * at.LANES
        for tile in range(tiles):
            if option(frame, at.LEARNS) == 1:
                _run(frame, b, tile, starts, units, trace_v, at.LANES, trace_g)
            _walk_back(frame, block, b, tile, starts, units, trace_v, trace_g)


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
