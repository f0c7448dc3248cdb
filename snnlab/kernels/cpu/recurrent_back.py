"""The gradient of `snnlab.kernels.cpu.recurrent`: a group of samples at a time, all their neurons step by step.

The voltages are computed again and kept. A spike has a gradient through everything that it sent one step later, and a
silent neuron has that gradient too: so it is a sum over all neurons at every step, which takes most of the time. The
samples of a group are summed side by side, because the weights between the neurons do not fit into the fastest cache.
The gradient of the weights is summed for spikes only.
"""

from typing import NamedTuple

import numpy as np
from numba import float32, njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.arrivals import arrivals
from snnlab.kernels.cpu.ffi import ARGUMENTS, data, option, over_blocks, register, size
from snnlab.kernels.cpu.lif_step import add_threshold, neurons_of, reset, shares_of, step_back
from snnlab.kernels.cpu.memory import NOWHERE, address_of, after_floats, after_halves, get_half, get_int, named_word
from snnlab.kernels.cpu.onward import form, of_spikes
from snnlab.kernels.cpu.product import AT_ONCE, Matrix, add_product
from snnlab.kernels.cpu.recurrent import list_spikes, run
from snnlab.kernels.cpu.sample import incoming_of, sample_of, samples_of, values_of
from snnlab.kernels.cpu.simd import accumulate, clear, fill, load, select, store
from snnlab.kernels.cpu.sums import add_sums, clear_sums, sums_of
from snnlab.kernels.packed import LANES

# The argument behind those of every backward kernel: the weights between the neurons, transposed,
# `(tile, neuron, 16)`, without padded rows.
_TRANSPOSED = at.ONWARD + 1
# Rows of scratch memory, a value per neuron (`recurrent.run` needs fewer); the gradient of what arrives alternates
# between two of them.
_D_V, _D_ARRIVING, _D_RISE, _D_PARAMS = 0, 1, 3, 4
_ROWS = _D_PARAMS + at.LEARNED


class _Scratch(NamedTuple):
    """Addresses of scratch memory: of one sample, or of the first of a group, which follow each other."""

    state: int  # `(_ROWS, neuron)`
    trace: int  # what `recurrent.run` leaves
    words: int  # the same
    product: int  # see `onward.form`


@njit
def _scratch_of(scratch, sample, k):
    """Return the memory of sample `k` of a group."""
    values = sample.steps * sample.width
    return _Scratch(
        after_floats(scratch.state, k * _ROWS * sample.width),
        after_floats(scratch.trace, k * sample.values * values),
        after_halves(scratch.words, k * 2 * sample.steps * sample.tiles),
        after_floats(scratch.product, k * values),
    )


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
def _send_back(frame, state, after, sent):
    """Compute `d_arriving W_rec^T` of a group of samples, `(tile, sample, 16)`: together they read the weights once."""
    transposed, neurons = data(frame, ARGUMENTS, _TRANSPOSED), size(frame, ARGUMENTS, _TRANSPOSED, 1)
    tiles = size(frame, ARGUMENTS, at.WEIGHTS, 0)
    width, d_arriving = tiles * LANES, after_floats(state, after * tiles * LANES)
    clear(sent, tiles * AT_ONCE)
    weights, out = Matrix(transposed, LANES, neurons * LANES), Matrix(sent, LANES, AT_ONCE * LANES)
    add_product(out, Matrix(d_arriving, _ROWS * width, 1), weights, neurons, 0, AT_ONCE, tiles)


@njit
def _member_of(frame, block, number, scratch, k):
    """Return what belongs to sample `k` of a group: itself, what comes in, where its sums are, and its memory."""
    sample = sample_of(frame, number)
    incoming, own = incoming_of(frame, number, sample), _scratch_of(scratch, sample, k)
    return sample, incoming, of_spikes(incoming, sample, 0, own.product), sums_of(frame, block, number, sample), own


@njit
def _sample_back(sample, incoming, d_spikes, sums, own, starts, units, t, sent, fired):
    """Take all neurons of one sample a step back, through what `recurrent.run` left.

    `sent` is the gradient of their spikes through what these sent to the neurons, a vector for every tile of the group.
    """
    after = after_floats(own.state, (_D_ARRIVING + (t & 1)) * sample.width)
    now = after_floats(own.state, (_D_ARRIVING + 1 - (t & 1)) * sample.width)
    num_fired = 0
    for tile in range(sample.tiles if t > 0 else 0):
        word = get_half(own.words, 2 * ((t - 1) * sample.tiles + tile) + 1)
        num_fired = list_spikes(word, sample.rows - sample.width + tile * LANES, fired, num_fired)
    for tile in range(sample.tiles):
        lane = tile * LANES
        ds = load(incoming.counts, lane) + load(sent, tile * AT_ONCE * LANES)
        if d_spikes.address:
            ds = ds + load(d_spikes.address, tile * d_spikes.tile + t * d_spikes.step)
        dg = _step_back(sample, incoming, sums.learns, t, tile, ds, load(after, lane), own.state, own.trace, own.words)
        store(now, lane, dg)
        if sums.current:
            store(sums.current, t * sample.width + lane, dg)
        for e in range(starts[t], starts[t + 1]):
            accumulate(sums.weights, (tile * sample.rows + units[e]) * LANES, dg)
        for k in range(num_fired):
            accumulate(sums.weights, (tile * sample.rows + get_int(fired, k)) * LANES, dg)


@njit
def _group_back(frame, block, first, count, starts, units, scratch, sent, fired):
    """Take `count` samples from `first` on backward, step by step, one beside the other."""
    num_steps = option(frame, at.STEPS)
    clear(scratch.state, AT_ONCE * _ROWS * size(frame, ARGUMENTS, at.WEIGHTS, 0))
    group = [_member_of(frame, block, first + k, scratch, k) for k in range(count)]
    for t in range(num_steps - 1, -1, -1):
        _send_back(frame, scratch.state, _D_ARRIVING + (t & 1), sent)
        for k in range(count):
            _sample_back(*group[k], starts[k], units[k], t, after_floats(sent, k * LANES), fired)
    for sample, _, _, sums, own in group:
        totals = after_floats(own.state, _D_PARAMS * sample.width)
        for lane in range(0, at.LEARNED * sample.width, LANES):
            accumulate(sums.params, lane, load(totals, lane))


@over_blocks
def _backward(frame, block):
    num_steps, tiles = option(frame, at.STEPS), size(frame, ARGUMENTS, at.WEIGHTS, 0)
    width, of_block = tiles * LANES, samples_of(frame, block, size(frame, ARGUMENTS, at.D_COUNTS, 0))
    clear_sums(frame, block)
    starts, fired = np.empty((AT_ONCE, num_steps + 1), np.int32), np.empty(2 * width, np.int32)
    state, sent = np.empty(AT_ONCE * _ROWS * width, np.float32), np.empty(AT_ONCE * width, np.float32)
    trace = np.empty(AT_ONCE * values_of(frame) * num_steps * width, np.float32)
    words, product = (
        np.empty(AT_ONCE * 2 * num_steps * tiles, np.uint16),
        np.empty(AT_ONCE * num_steps * width, np.float32),
    )
    units = [np.empty(0, np.int32) for _ in range(AT_ONCE)]
    for first in range(of_block.start, of_block.stop, AT_ONCE):
        count = min(AT_ONCE, of_block.stop - first)
        scratch = _Scratch(address_of(state), address_of(trace), address_of(words), address_of(product))
        for k in range(count):
            units[k], sample = arrivals(frame, first + k, starts[k]), sample_of(frame, first + k)
            own = _scratch_of(scratch, sample, k)
            form(incoming_of(frame, first + k, sample), num_steps, 0, tiles, 0, own.product)
            run(sample, starts[k], units[k], own.state, address_of(fired), NOWHERE, NOWHERE, own.trace, own.words)
        _group_back(frame, block, first, count, starts, units, scratch, address_of(sent), address_of(fired))


@register("snnlab_recurrent_gradient")
def _recurrent_gradient(pointer):
    if _backward(pointer, named_word("snnlab_recurrent_gradient")):
        add_sums(pointer)
    return 0
