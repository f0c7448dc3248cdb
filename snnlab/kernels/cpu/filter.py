"""Linear neurons over whole sequences on the CPU: two exponential filters in a row, 16 neurons at a time.

    g <- g decay_syn + x
    v <- v decay_mem + g

This is a leaky readout behind an exponential synapse; a decay of 0 removes one of the two filters.
"""

from typing import NamedTuple

import numpy as np
from numba import float32, njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.arrivals import arrivals
from snnlab.kernels.cpu.ffi import ARGUMENTS, RESULTS, data, option, over_blocks, register, size
from snnlab.kernels.cpu.memory import NOWHERE, address_of, after_floats, named_word
from snnlab.kernels.cpu.sample import sample_of, samples_of
from snnlab.kernels.cpu.simd import accumulate, fill, load, select, store
from snnlab.kernels.cpu.sums import add_sums, clear_sums, sums_of
from snnlab.kernels.packed import LANES


@njit
def _run(sample, tile, starts, units, trace_v, stride, trace_g):
    """Run one sample and tile forward; return the maximum of `v` over time.

    Write `v` to `trace_v`, a vector every `stride`, and `g` to `trace_g`, unless the address is 0.
    """
    width, lane = sample.width, tile * LANES
    bias, a_syn = load(sample.params, at.BIAS * width + lane), load(sample.params, at.DECAY_SYN * width + lane)
    a, weights = load(sample.params, at.DECAY_MEM * width + lane), after_floats(sample.weights, lane * sample.rows)
    v = g = fill(float32(0.0))
    peak = fill(float32(-np.inf))
    for t in range(sample.steps):
        x = bias
        if sample.current:
            x = x + load(sample.current, t * width + lane)
        for e in range(starts[t], starts[t + 1]):
            x = x + load(weights, units[e] * LANES)
        g = g * a_syn + x
        v = v * a + g
        peak = select(peak >= v, peak, v)
        if trace_v:
            store(trace_v, t * stride, v)
        if trace_g:
            store(trace_g, t * LANES, g)
    return peak


@over_blocks
def _forward(frame, block):
    batch, width = size(frame, RESULTS, 1, 0), size(frame, RESULTS, 1, 1)
    num_steps, wanted = option(frame, at.STEPS), option(frame, at.STATES) == 1
    starts = np.empty(num_steps + 1, np.int32)
    for b in samples_of(frame, block, batch):
        units, sample = arrivals(frame, b, starts), sample_of(frame, b)
        for tile in range(sample.tiles):
            lane = tile * LANES
            trace = after_floats(data(frame, RESULTS, 0), b * num_steps * width + lane) if wanted else NOWHERE
            peak = _run(sample, tile, starts, units, trace, width, NOWHERE)
            store(data(frame, RESULTS, 1), b * width + lane, peak)


class _Incoming(NamedTuple):
    """Gradients of what a sample put out; an address of something that is absent is 0."""

    trace: int
    peak: int


@njit
def _incoming(frame, b, sample):
    row, traced = b * sample.steps * sample.width, option(frame, at.STATES) == 1
    return _Incoming(
        after_floats(data(frame, ARGUMENTS, at.D_TRACE), row) if traced else 0,
        after_floats(data(frame, ARGUMENTS, at.D_PEAK), b * sample.width) if option(frame, at.PEAKS) == 1 else 0,
    )


@njit
def _share(d_peak, lane, trace_v, peak, num_steps):
    """Share the gradient of the maximum over time evenly among the steps that reach it."""
    zero, one = fill(float32(0.0)), fill(float32(1.0))
    ties = zero
    for t in range(num_steps):
        ties = ties + select(load(trace_v, t * LANES) >= peak, one, zero)
    return load(d_peak, lane) / ties


@njit
def _walk_back(sample, incoming, sums, tile, starts, units, trace_v, trace_g, peak):
    """Take one sample and tile backward, through the traces of `_run` where the peak or the decays need them."""
    width, lane = sample.width, tile * LANES
    a_syn, a = load(sample.params, at.DECAY_SYN * width + lane), load(sample.params, at.DECAY_MEM * width + lane)
    weights = after_floats(sums.weights, lane * sample.rows)
    dv = dg = d_bias = d_a_syn = d_a = zero = fill(float32(0.0))
    share = _share(incoming.peak, lane, trace_v, peak, sample.steps) if incoming.peak else zero
    for t in range(sample.steps - 1, -1, -1):
        row = t * width + lane
        dv = dv * a
        if incoming.trace:
            dv = dv + load(incoming.trace, row)
        if incoming.peak:
            dv = dv + select(load(trace_v, t * LANES) >= peak, share, zero)
        dg = dg * a_syn + dv
        d_bias = d_bias + dg
        if sums.learns and t > 0:
            d_a = d_a + dv * load(trace_v, (t - 1) * LANES)
            d_a_syn = d_a_syn + dg * load(trace_g, (t - 1) * LANES)
        for e in range(starts[t], starts[t + 1]):
            accumulate(weights, units[e] * LANES, dg)
        if sums.current:
            store(sums.current, row, dg)
    accumulate(sums.params, at.BIAS * width + lane, d_bias)
    accumulate(sums.params, at.DECAY_SYN * width + lane, d_a_syn)
    accumulate(sums.params, at.DECAY_MEM * width + lane, d_a)


@over_blocks
def _backward(frame, block):
    num_steps, batch = option(frame, at.STEPS), size(frame, ARGUMENTS, at.D_PEAK, 0)
    again = option(frame, at.LEARNS) == 1 or option(frame, at.PEAKS) == 1
    clear_sums(frame, block)
    starts, traces = np.empty(num_steps + 1, np.int32), np.empty(2 * num_steps * LANES, np.float32)
    for b in samples_of(frame, block, batch):
        units, sample = arrivals(frame, b, starts), sample_of(frame, b)
        incoming, sums = _incoming(frame, b, sample), sums_of(frame, block, b, sample)
        trace_v, trace_g = address_of(traces), after_floats(address_of(traces), num_steps * LANES)
        for tile in range(sample.tiles):
            peak = fill(float32(0.0))
            if again:
                peak = _run(sample, tile, starts, units, trace_v, np.int64(LANES), trace_g)
            _walk_back(sample, incoming, sums, tile, starts, units, trace_v, trace_g, peak)


@register("snnlab_filter")
def _filter(pointer):
    _forward(pointer, named_word("snnlab_filter"))
    return 0


@register("snnlab_filter_gradient")
def _filter_gradient(pointer):
    if _backward(pointer, named_word("snnlab_filter_gradient")):
        add_sums(pointer)
    return 0
