"""Recurrent LIF over whole sequences on the CPU: one sample at a time, all its neurons step by step.

Forward, the weights of the spikes that arrive are added, from outside and from the neurons themselves, each at its
time; a silent neuron sends nothing and costs nothing. The weights between the neurons are the last rows of WEIGHTS, one
per neuron of the padded layer: so they are laid out, added to and summed up as the others are. The equations are those
of `snnlab.kernels.reference.recurrent_lif`.

What runs for every tile at every step is compiled into its loop (`forceinline`): a call would cost a fifth of the time.
"""

from typing import NamedTuple

import numpy as np
from numba import float32, njit, uint16

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
from snnlab.kernels.cpu.lif import _NEVER
from snnlab.kernels.cpu.memory import address_of, get_int, named_word, set_half, set_int
from snnlab.kernels.cpu.simd import accumulate, clear, fill, load, pack, select, store, trailing_zeros
from snnlab.kernels.packed import LANES

# Rows of scratch memory, a value per neuron.
_V, _G, _AGE, _COUNT, FORWARD_ROWS = range(5)


class Sample(NamedTuple):
    """Where everything of one sample lies; addresses of what is not there are 0."""

    steps: int
    tiles: int
    width: int
    rows: int  # of weights: units outside, then neurons
    params: int
    weights: int
    current: int
    value_reset: bool


class Neurons(NamedTuple):
    """Parameters of 16 neurons."""

    a_syn: float
    a: float
    gain: float
    v_rest: float
    v_th: float
    v_reset: float
    hold: float
    holds: bool  # is any of them ever refractory?


@njit
def sample_of(frame, b):
    """Sample `b` of a call."""
    steps, tiles = option(frame, at.STEPS), size(frame, ARGUMENTS, at.WEIGHTS, 0)
    width, from_current = tiles * LANES, option(frame, at.SOURCE) == at.FROM_CURRENT
    return Sample(
        steps,
        tiles,
        width,
        size(frame, ARGUMENTS, at.WEIGHTS, 1),
        data(frame, ARGUMENTS, at.PARAMS),
        data(frame, ARGUMENTS, at.WEIGHTS),
        data(frame, ARGUMENTS, at.CURRENT) + 4 * b * steps * width if from_current else 0,
        option(frame, at.VALUE_RESET) == 1,
    )


@njit
def neurons_of(sample, tile):
    """The parameters of the neurons of a tile."""
    params, width, lane = sample.params, sample.width, tile * LANES
    hold = load(params, at.HOLD * width + lane)
    return Neurons(
        load(params, at.DECAY_SYN * width + lane),
        load(params, at.DECAY_MEM * width + lane),
        load(params, at.GAIN * width + lane),
        load(params, at.V_REST * width + lane),
        load(params, at.V_TH * width + lane),
        load(params, at.V_RESET * width + lane),
        hold,
        pack(hold >= fill(float32(1.0))) != 0,
    )


@njit
def list_spikes(sample, word, tile, fired, count):
    """Append the neurons of a tile that fired, as rows of the weights, to a list; its new length."""
    word, first = np.int64(word), sample.rows - sample.width + tile * LANES
    while word:
        set_int(fired, count, first + trailing_zeros(word))
        count += 1
        word &= word - 1
    return count


@njit(forceinline=True)
def _arriving(sample, t, tile, starts, units, fired, num_fired):
    """`x[t - delay] W + bias + s[t - 1] W_rec` of 16 neurons."""
    lane = tile * LANES
    x = load(sample.params, at.BIAS * sample.width + lane)
    if sample.current:
        x = x + load(sample.current, t * sample.width + lane)
    for e in range(starts[t], starts[t + 1]):
        x = x + load(sample.weights, (tile * sample.rows + units[e]) * LANES)
    for k in range(num_fired):
        x = x + load(sample.weights, (tile * sample.rows + get_int(fired, k)) * LANES)
    return x


@njit(forceinline=True)
def _step(sample, tile, x, state):
    """Synapse and neurons, one step: which were held, the voltage before the reset, the current, the spikes."""
    width, lane = sample.width, tile * LANES
    n, zero = neurons_of(sample, tile), fill(float32(0.0))
    v, g = load(state, _V * width + lane), load(state, _G * width + lane) * n.a_syn + x
    u = v * n.a + ((n.v_rest - n.v_rest * n.a) + n.gain * g)
    held = uint16(0)
    if n.holds:
        age = load(state, _AGE * width + lane) + fill(float32(1.0))
        stuck = age <= n.hold
        u, held = select(stuck, v, u), pack(stuck)
        store(state, _AGE * width + lane, select(u >= n.v_th, zero, age))
    s = u >= n.v_th
    v = select(s, n.v_reset if sample.value_reset else u - (n.v_th - n.v_reset), u)
    store(state, _V * width + lane, v)
    store(state, _G * width + lane, g)
    accumulate(state, _COUNT * width + lane, select(s, fill(float32(1.0)), zero))
    return held, u, g, pack(s)


@njit
def _begin(sample, state):
    """At rest, never having fired."""
    clear(state, FORWARD_ROWS * sample.tiles)
    for lane in range(0, sample.width, LANES):
        store(state, _V * sample.width + lane, load(sample.params, at.V_REST * sample.width + lane))
        store(state, _AGE * sample.width + lane, fill(float32(_NEVER)))


@njit
def run(sample, starts, units, state, fired, bits, states, trace, words):
    """One sample forward. With `trace`, the voltages before the reset and the currents go there, and which neurons were
    held and which fired to `words`, for the way back; without, spikes go to `bits`, and voltages to `states` unless
    that is 0. The counts stay in `state`."""
    _begin(sample, state)
    num_fired = 0
    for t in range(sample.steps):
        before, now = fired + 4 * sample.width * (t & 1), fired + 4 * sample.width * (1 - (t & 1))
        num_now = 0
        for tile in range(sample.tiles):
            x = _arriving(sample, t, tile, starts, units, before, num_fired)
            held, u, g, word = _step(sample, tile, x, state)
            num_now = list_spikes(sample, word, tile, now, num_now)
            lane, place = tile * LANES, 2 * (t * sample.tiles + tile)
            if trace:
                set_half(words, place, held)
                set_half(words, place + 1, word)
                store(trace, place * LANES, u)
                store(trace, (place + 1) * LANES, g)
            else:
                set_half(bits, tile * sample.steps + t, word)
            if states:
                store(states, t * sample.width + lane, load(state, _V * sample.width + lane))
        num_fired = num_now


@njit
def _forward(frame, block):
    num_steps, blocks = option(frame, at.STEPS), option(frame, at.BLOCKS)
    batch, tiles = size(frame, RESULTS, 0, 0), size(frame, RESULTS, 0, 1)
    width, wanted = tiles * LANES, option(frame, at.STATES) == 1
    starts, fired = np.empty(num_steps + 1, np.int32), np.empty(2 * width, np.int32)
    state, nowhere = np.empty(FORWARD_ROWS * width, np.float32), np.int64(0)  # no literal: see `ffi`
    for b in range(block * batch // blocks, (block + 1) * batch // blocks):
        units = arrivals(frame, b, starts)
        bits = data(frame, RESULTS, 0) + 2 * b * tiles * num_steps
        counts = data(frame, RESULTS, 1) + 4 * b * width
        states = data(frame, RESULTS, 2) + 4 * b * num_steps * width if wanted else nowhere
        run(sample_of(frame, b), starts, units, address_of(state), address_of(fired), bits, states, nowhere, nowhere)
        for lane in range(0, width, LANES):
            store(counts, lane, load(address_of(state), _COUNT * width + lane))


@register("snnlab_recurrent")
def _recurrent(pointer):
    job = open_job(pointer, named_word("snnlab_recurrent"))
    block = first_block(job)
    while block >= 0:
        _forward(frame_of(job), block)
        block = next_block(job)
    close_job(pointer, job)
    return 0
