"""The way back of `cpu_recurrent`: the gradient of one sample at a time, all its neurons step by step.

The voltages are computed again and kept. A spike has a gradient through all that it sent a step later, and a
neuron that was silent has one too, so that this is a sum over all neurons at every step. The gradient of the weights
is added up for spikes only.
"""

from typing import NamedTuple

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
from snnlab.kernels.cpu.lif import _derivative
from snnlab.kernels.cpu.memory import address_of, get_float, get_half, get_int, named_word
from snnlab.kernels.cpu.recurrent import FORWARD_ROWS, list_spikes, neurons_of, run, sample_of
from snnlab.kernels.cpu.simd import accumulate, clear, fill, load, select, store, unpack
from snnlab.kernels.cpu.sums import SUMS_PARAMS, SUMS_WEIGHTS, add_sums, clear_sums
from snnlab.kernels.packed import LANES

# Behind the arguments of every backward kernel: the weights between the neurons with rows and columns exchanged,
# `(tile, neuron, 16)`, without padded rows.
_TRANSPOSED = at.ONWARD + 1
# Rows of scratch memory, a value per neuron; the gradient of what arrives alternates between two of them.
_D_V, _D_ARRIVING, _D_PARAMS = 0, 1, 3
_ROWS = _D_PARAMS + at.LEARNED


class _Way(NamedTuple):
    """What the way back of one sample reads and writes, besides the sample; addresses of what is not there are 0."""

    transposed: int
    neurons: int  # without padded ones
    d_spikes: int
    stride: int
    onward: int
    post: int
    d_counts: int
    d_states: int
    d_input: int
    d_weights: int
    d_params: int
    surrogate: int
    detach: bool
    learns: bool


@njit
def _way(frame, block, b, sample):
    over_time, floats = 4 * b * sample.steps * sample.width, 4 * sample.tiles * LANES
    stride = size(frame, ARGUMENTS, at.D_SPIKES, 2)
    spikes = data(frame, ARGUMENTS, at.D_SPIKES) + 4 * b * sample.steps * stride
    return _Way(
        data(frame, ARGUMENTS, _TRANSPOSED),
        size(frame, ARGUMENTS, _TRANSPOSED, 1),
        spikes if option(frame, at.SPIKES) == 1 else 0,
        stride,
        data(frame, ARGUMENTS, at.ONWARD),
        size(frame, ARGUMENTS, at.ONWARD, 0),
        data(frame, ARGUMENTS, at.D_COUNTS) + b * floats,
        data(frame, ARGUMENTS, at.D_STATES) + over_time if option(frame, at.STATES) == 1 else 0,
        data(frame, RESULTS, 2) + over_time if option(frame, at.INPUTS) == 1 else 0,
        data(frame, RESULTS, SUMS_WEIGHTS) + block * floats * sample.rows,
        data(frame, RESULTS, SUMS_PARAMS) + block * floats * at.LEARNED,
        option(frame, at.SURROGATE),
        option(frame, at.DETACH_RESET) == 1,
        option(frame, at.LEARNS) == 1,
    )


@njit(forceinline=True)
def _sent_back(transposed, place, neurons, d_arriving):
    """`d_arriving W_rec^T` for 16 neurons; four sums at once, because each waits for its last addition."""
    zero = fill(float32(0.0))
    a, b, c, d = zero, zero, zero, zero
    whole = neurons & ~3
    for m in range(0, whole, 4):
        row = place + m * LANES
        a = a + load(transposed, row) * fill(get_float(d_arriving, m))
        b = b + load(transposed, row + LANES) * fill(get_float(d_arriving, m + 1))
        c = c + load(transposed, row + 2 * LANES) * fill(get_float(d_arriving, m + 2))
        d = d + load(transposed, row + 3 * LANES) * fill(get_float(d_arriving, m + 3))
    for m in range(whole, neurons):
        a = a + load(transposed, place + m * LANES) * fill(get_float(d_arriving, m))
    return (a + b) + (c + d)


@njit(forceinline=True)
def _d_spikes(sample, way, t, tile, d_arriving):
    """The gradient of the spikes of 16 neurons: from the results, and from what they sent to each other."""
    lane = tile * LANES
    ds = load(way.d_counts, lane)
    if way.d_spikes and way.post:  # as that of the current that they make onward
        for c in range(way.post):
            d_current = fill(get_float(way.d_spikes, t * way.stride + c))
            ds = ds + d_current * load(way.onward, c * sample.width + lane)
    elif way.d_spikes:
        ds = ds + load(way.d_spikes, t * way.stride + lane)
    if t + 1 < sample.steps:
        ds = ds + _sent_back(way.transposed, lane * way.neurons, way.neurons, d_arriving)
    return ds


@njit(forceinline=True)
def _step_back(sample, way, t, tile, ds, dg, state, trace, words):
    """Neurons and synapse, one step back, as in `cpu_lif`: from the gradients of spikes and current to that of what
    arrived."""
    width, lane = sample.width, tile * LANES
    n, place = neurons_of(sample, tile), 2 * (t * sample.tiles + tile)
    earlier = place - 2 * sample.tiles
    slope, gap = load(sample.params, at.SLOPE * width + lane), n.v_th - n.v_reset
    zero, one = fill(float32(0.0)), fill(float32(1.0))
    u, dv = load(trace, place * LANES), load(state, _D_V * width + lane)
    if way.d_states:
        dv = dv + load(way.d_states, t * width + lane)
    s = unpack(get_half(words, place + 1))
    kept = select(s, zero, one) if sample.value_reset else one
    taken = zero if way.detach else (n.v_reset - u if sample.value_reset else n.v_reset - n.v_th)
    h = _derivative(u - n.v_th, slope, way.surrogate)
    du = dv * (kept + taken * h) + ds * h
    moved, left = du, du * n.a
    if n.holds:
        stuck = unpack(get_half(words, place))
        moved, left = select(stuck, zero, du), select(stuck, du, left)
    store(state, _D_V * width + lane, left)
    dg = dg * n.a_syn + moved * n.gain
    sums = state + 4 * _D_PARAMS * width
    accumulate(sums, at.BIAS * width + lane, dg)
    if way.learns:
        jump = select(s, dv, zero)
        d_th = zero - (ds + dv * taken) * h
        accumulate(sums, at.V_RESET * width + lane, jump)
        accumulate(sums, at.V_TH * width + lane, d_th if sample.value_reset else d_th - jump)
        v = n.v_rest  # before this step
        if t > 0:
            v = load(trace, earlier * LANES)
            v = select(unpack(get_half(words, earlier + 1)), n.v_reset if sample.value_reset else v - gap, v)
            accumulate(sums, at.DECAY_SYN * width + lane, dg * load(trace, (earlier + 1) * LANES))
        accumulate(sums, at.DECAY_MEM * width + lane, moved * (v - n.v_rest))
        accumulate(sums, at.GAIN * width + lane, moved * load(trace, (place + 1) * LANES))
        accumulate(sums, at.V_REST * width + lane, moved * (one - n.a))
    return dg


@njit
def _walk_back(sample, way, starts, units, state, fired, trace, words):
    """One sample backward, all tiles step by step, through what `_trace` left."""
    clear(state, _ROWS * sample.tiles)
    for t in range(sample.steps - 1, -1, -1):
        after = state + 4 * (_D_ARRIVING + (t & 1)) * sample.width
        now = state + 4 * (_D_ARRIVING + 1 - (t & 1)) * sample.width
        num_fired = 0
        for tile in range(sample.tiles if t > 0 else 0):
            word = get_half(words, 2 * ((t - 1) * sample.tiles + tile) + 1)
            num_fired = list_spikes(sample, word, tile, fired, num_fired)
        for tile in range(sample.tiles):
            lane = tile * LANES
            ds = _d_spikes(sample, way, t, tile, after)
            dg = _step_back(sample, way, t, tile, ds, load(after, lane), state, trace, words)
            store(now, lane, dg)
            if way.d_input:
                store(way.d_input, t * sample.width + lane, dg)
            for e in range(starts[t], starts[t + 1]):
                accumulate(way.d_weights, (tile * sample.rows + units[e]) * LANES, dg)
            for k in range(num_fired):
                accumulate(way.d_weights, (tile * sample.rows + get_int(fired, k)) * LANES, dg)
    sums = state + 4 * _D_PARAMS * sample.width
    for lane in range(0, sample.width, LANES):  # the sequence began at rest
        accumulate(sums, at.V_REST * sample.width + lane, load(state, _D_V * sample.width + lane))
    for k in range(0, at.LEARNED * sample.width, LANES):
        accumulate(way.d_params, k, load(sums, k))


@njit
def _backward(frame, block):
    num_steps, blocks = option(frame, at.STEPS), option(frame, at.BLOCKS)
    batch, tiles = size(frame, ARGUMENTS, at.D_COUNTS, 0), size(frame, ARGUMENTS, at.WEIGHTS, 0)
    width, nowhere = tiles * LANES, np.int64(0)  # no literal: see `ffi`
    clear_sums(frame, block)
    starts, fired = np.empty(num_steps + 1, np.int32), np.empty(2 * width, np.int32)
    state = np.empty(max(FORWARD_ROWS, _ROWS) * width, np.float32)
    trace, words = np.empty(2 * num_steps * width, np.float32), np.empty(2 * num_steps * tiles, np.uint16)
    for b in range(block * batch // blocks, (block + 1) * batch // blocks):
        units, sample = arrivals(frame, b, starts), sample_of(frame, b)
        way = _way(frame, block, b, sample)
        places = address_of(state), address_of(fired), address_of(trace), address_of(words)
        run(sample, starts, units, *places[:2], nowhere, nowhere, *places[2:])
        _walk_back(sample, way, starts, units, *places)


@register("snnlab_recurrent_gradient")
def _recurrent_gradient(pointer):
    job = open_job(pointer, named_word("snnlab_recurrent_gradient"))
    block = first_block(job)
    while block >= 0:
        _backward(frame_of(job), block)
        block = next_block(job)
    if close_job(pointer, job):
        add_sums(pointer)
    return 0
