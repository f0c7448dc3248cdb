"""The gradient of `snnlab.kernels.cpu.recurrent`: one sample at a time, all its neurons step by step.

The voltages are computed again and kept. A spike has a gradient through everything that it sent one step later, and a
silent neuron has that gradient too: so it is a sum over all neurons at every step. The gradient of the weights is
summed for spikes only.
"""

from typing import NamedTuple

import numpy as np
from numba import float32, njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.arrivals import arrivals
from snnlab.kernels.cpu.ffi import ARGUMENTS, data, option, over_blocks, register, size
from snnlab.kernels.cpu.lif_step import add_threshold, neurons_of, reset, shares_of, step_back
from snnlab.kernels.cpu.memory import NOWHERE, address_of, after_floats, get_float, get_half, get_int, named_word
from snnlab.kernels.cpu.recurrent import FORWARD_ROWS, list_spikes, run
from snnlab.kernels.cpu.onward import of_spikes
from snnlab.kernels.cpu.sample import incoming_of, sample_of, samples_of, values_of
from snnlab.kernels.cpu.simd import accumulate, clear, fill, load, select, store
from snnlab.kernels.cpu.sums import add_sums, clear_sums, sums_of
from snnlab.kernels.packed import LANES

# The argument behind those of every backward kernel: the weights between the neurons, transposed,
# `(tile, neuron, 16)`, without padded rows.
_TRANSPOSED = at.ONWARD + 1
# Rows of scratch memory, a value per neuron; the gradient of what arrives alternates between two of them.
_D_V, _D_ARRIVING, _D_RISE, _D_PARAMS = 0, 1, 3, 4
_ROWS = _D_PARAMS + at.LEARNED


class _Between(NamedTuple):
    """The weights between the neurons, for the way back."""

    transposed: int
    neurons: int  # without padded ones


@njit(forceinline=True)
def _sent_back(between, lane, d_arriving):
    """Compute `d_arriving W_rec^T` for 16 neurons; four sums side by side, because each waits for its last addition."""
    transposed, neurons, place = between.transposed, between.neurons, lane * between.neurons
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
def _step_back(sample, incoming, learns, t, tile, ds, dg, state, trace, words):
    """Go one step back: from the gradients of spikes and of the current to the gradient of what arrived."""
    width, lane = sample.width, tile * LANES
    n, place = neurons_of(sample.params, width, lane), t * sample.tiles + tile
    left, zero = sample.values * place * LANES, fill(float32(0.0))
    dv = load(state, _D_V * width + lane)
    if incoming.states:
        dv = dv + load(incoming.states, t * width + lane)
    u, held = load(trace, left), get_half(words, 2 * place)
    threshold, b, db = n.v_th, zero, zero
    if sample.adapts:
        b, db = load(trace, left + 2 * LANES), load(state, _D_RISE * width + lane)
        threshold, ds = n.v_th + b, ds + n.beta * db
    change = step_back(n, u, threshold, held, dv, dg, ds, sample.value_reset, sample.detach, sample.surrogate)
    store(state, _D_V * width + lane, change.dv)
    totals = after_floats(state, _D_PARAMS * width + lane)
    if sample.adapts:
        store(state, _D_RISE * width + lane, db * n.rho - change.ds * change.h)
        if learns:
            accumulate(totals, at.DECAY_ADAPT * width, db * b)
            accumulate(totals, at.BETA * width, select(u >= threshold, db, zero))
    accumulate(totals, at.BIAS * width, change.dg)
    if learns:
        v_before, g_before = zero, zero
        if t > 0:
            earlier = left - sample.values * sample.tiles * LANES
            g_before = load(trace, earlier + LANES)
            if sample.adapts:
                threshold = n.v_th + load(trace, earlier + 2 * LANES)
            v_before = reset(n, load(trace, earlier), threshold, sample.value_reset)[1]
        share = shares_of(change, v_before, g_before, load(trace, left + LANES))
        accumulate(totals, at.DECAY_SYN * width, share.a_syn)
        accumulate(totals, at.DECAY_MEM * width, share.a)
        accumulate(totals, at.GAIN * width, share.gain)
        accumulate(totals, at.V_TH * width, add_threshold(zero, change, sample.value_reset))
        accumulate(totals, at.V_RESET * width, change.jump)
    return change.dg


@njit
def _walk_back(sample, incoming, d_spikes, sums, between, starts, units, state, fired, trace, words):
    """Take one sample backward, all tiles step by step, through what `recurrent.run` left in `trace` and `words`."""
    clear(state, _ROWS * sample.tiles)
    for t in range(sample.steps - 1, -1, -1):
        after = after_floats(state, (_D_ARRIVING + (t & 1)) * sample.width)
        now = after_floats(state, (_D_ARRIVING + 1 - (t & 1)) * sample.width)
        num_fired = 0
        for tile in range(sample.tiles if t > 0 else 0):
            word = get_half(words, 2 * ((t - 1) * sample.tiles + tile) + 1)
            num_fired = list_spikes(word, sample.rows - sample.width + tile * LANES, fired, num_fired)
        for tile in range(sample.tiles):
            lane = tile * LANES
            ds = load(incoming.counts, lane)
            if d_spikes.address:
                ds = ds + load(d_spikes.address, tile * d_spikes.tile + t * d_spikes.step)
            if t + 1 < sample.steps:
                ds = ds + _sent_back(between, lane, after)
            dg = _step_back(sample, incoming, sums.learns, t, tile, ds, load(after, lane), state, trace, words)
            store(now, lane, dg)
            if sums.current:
                store(sums.current, t * sample.width + lane, dg)
            for e in range(starts[t], starts[t + 1]):
                accumulate(sums.weights, (tile * sample.rows + units[e]) * LANES, dg)
            for k in range(num_fired):
                accumulate(sums.weights, (tile * sample.rows + get_int(fired, k)) * LANES, dg)
    totals = after_floats(state, _D_PARAMS * sample.width)
    for k in range(0, at.LEARNED * sample.width, LANES):
        accumulate(sums.params, k, load(totals, k))


@over_blocks
def _backward(frame, block):
    num_steps, batch = option(frame, at.STEPS), size(frame, ARGUMENTS, at.D_COUNTS, 0)
    tiles = size(frame, ARGUMENTS, at.WEIGHTS, 0)
    width = tiles * LANES
    between = _Between(data(frame, ARGUMENTS, _TRANSPOSED), size(frame, ARGUMENTS, _TRANSPOSED, 1))
    clear_sums(frame, block)
    starts, fired = np.empty(num_steps + 1, np.int32), np.empty(2 * width, np.int32)
    state = np.empty(max(FORWARD_ROWS, _ROWS) * width, np.float32)
    trace, words = np.empty(values_of(frame) * num_steps * width, np.float32), np.empty(2 * num_steps * tiles, np.uint16)
    product = np.empty(num_steps * width, np.float32)
    for b in samples_of(frame, block, batch):
        units, sample = arrivals(frame, b, starts), sample_of(frame, b)
        incoming, sums = incoming_of(frame, b, sample), sums_of(frame, block, b, sample)
        d_spikes = of_spikes(incoming, sample, address_of(product))
        scratch, left = (address_of(state), address_of(fired)), (address_of(trace), address_of(words))
        run(sample, starts, units, *scratch, NOWHERE, NOWHERE, *left)
        _walk_back(sample, incoming, d_spikes, sums, between, starts, units, *scratch, *left)


@register("snnlab_recurrent_gradient")
def _recurrent_gradient(pointer):
    if _backward(pointer, named_word("snnlab_recurrent_gradient")):
        add_sums(pointer)
    return 0
