"""Recurrent LIF over whole sequences on the CPU: one sample at a time, all its neurons step by step.

Forward, the weights of arriving spikes are added, from outside and from the neurons themselves, each at its time; a
silent neuron sends nothing and costs nothing. The weights between the neurons are the last rows of WEIGHTS, one per
neuron of the padded layer, so that they are laid out and their gradients summed as the others are. The equations are
those of `snnlab.kernels.reference.recurrent_lif`.

What runs for every tile at every step is compiled into its loop (`forceinline`): a call would cost a fifth of the time.
"""

import numpy as np
from numba import float32, njit, uint16

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.arrivals import arrivals
from snnlab.kernels.cpu.ffi import RESULTS, data, option, over_blocks, register, size
from snnlab.kernels.cpu.lif_step import NEVER, adapted, hold, integrate, neurons_of, reset
from snnlab.kernels.cpu.memory import (
    NOWHERE,
    address_of,
    after_floats,
    after_halves,
    after_ints,
    get_int,
    named_word,
    set_half,
    set_int,
)
from snnlab.kernels.cpu.sample import sample_of, samples_of
from snnlab.kernels.cpu.simd import accumulate, clear, fill, load, pack, select, store, trailing_zeros
from snnlab.kernels.packed import LANES

# Rows of scratch memory, a value per neuron.
_V, _G, _AGE, _COUNT, _RISE, FORWARD_ROWS = range(6)


@njit
def list_spikes(word, first, fired, count):
    """Append the neurons of a tile that fired, as rows of the weights from `first` on, to a list; return its length."""
    word = np.int64(word)
    while word:
        set_int(fired, count, first + trailing_zeros(word))
        count += 1
        word &= word - 1
    return count


@njit(forceinline=True)
def _arriving(sample, t, tile, starts, units, fired, num_fired):
    """Sum `x[t - delay] W + bias + s[t - 1] W_rec` for 16 neurons."""
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
def _step(sample, x, state, lane):
    """Take one step; return voltages before the reset, currents, rise of the thresholds, and bits: held, and fired."""
    width, zero, one = sample.width, fill(float32(0.0)), fill(float32(1.0))
    n = neurons_of(sample.params, width, lane)
    v, held = load(state, _V * width + lane), uint16(0)
    u, g = integrate(n, v, load(state, _G * width + lane), x)
    threshold, b = n.v_th, zero
    if sample.adapts:
        b = load(state, _RISE * width + lane)
        threshold = n.v_th + b
    if n.holds:
        u, age, held = hold(n, v, u, load(state, _AGE * width + lane), threshold)
        store(state, _AGE * width + lane, age)
    s, v = reset(n, u, threshold, sample.value_reset)
    if sample.adapts:
        store(state, _RISE * width + lane, adapted(n, b, s))
    store(state, _V * width + lane, v)
    store(state, _G * width + lane, g)
    accumulate(state, _COUNT * width + lane, select(s, one, zero))
    return u, g, b, held, pack(s)


@njit
def _begin(sample, state):
    """Set the neurons to rest, as if they had never fired."""
    clear(state, FORWARD_ROWS * sample.tiles)
    for lane in range(0, sample.width, LANES):
        store(state, _AGE * sample.width + lane, fill(float32(NEVER)))


@njit
def run(sample, starts, units, state, fired, bits, states, trace, words):
    """Run one sample forward; the counts stay in `state`.

    With `trace`, write the voltages before the reset, the currents and the rise of the thresholds there, and which
    neurons were held and which fired to `words`, for the way back. Without it, write spikes to `bits`, and voltages to
    `states` if that is not 0.
    """
    _begin(sample, state)
    num_fired = 0
    for t in range(sample.steps):
        before, now = after_ints(fired, sample.width * (t & 1)), after_ints(fired, sample.width * (1 - (t & 1)))
        num_now = 0
        for tile in range(sample.tiles):
            lane, place = tile * LANES, t * sample.tiles + tile
            x = _arriving(sample, t, tile, starts, units, before, num_fired)
            u, g, b, held, word = _step(sample, x, state, lane)
            num_now = list_spikes(word, sample.rows - sample.width + lane, now, num_now)
            if trace:
                set_half(words, 2 * place, held)
                set_half(words, 2 * place + 1, word)
                left = sample.values * place * LANES
                store(trace, left, u)
                store(trace, left + LANES, g)
                if sample.adapts:
                    store(trace, left + 2 * LANES, b)
            else:
                set_half(bits, tile * sample.steps + t, word)
            if states:
                store(states, t * sample.width + lane, load(state, _V * sample.width + lane))
        num_fired = num_now


@over_blocks
def _forward(frame, block):
    num_steps, wanted = option(frame, at.STEPS), option(frame, at.STATES) == 1
    batch, width = size(frame, RESULTS, 0, 0), size(frame, RESULTS, 1, 1)
    starts, fired = np.empty(num_steps + 1, np.int32), np.empty(2 * width, np.int32)
    state = np.empty(FORWARD_ROWS * width, np.float32)
    for b in samples_of(frame, block, batch):
        units, sample = arrivals(frame, b, starts), sample_of(frame, b)
        bits = after_halves(data(frame, RESULTS, 0), b * sample.tiles * num_steps)
        counts = after_floats(data(frame, RESULTS, 1), b * width)
        states = after_floats(data(frame, RESULTS, 2), b * num_steps * width) if wanted else NOWHERE
        run(sample, starts, units, address_of(state), address_of(fired), bits, states, NOWHERE, NOWHERE)
        for lane in range(0, width, LANES):
            store(counts, lane, load(address_of(state), _COUNT * width + lane))


@register("snnlab_recurrent")
def _recurrent(pointer):
    _forward(pointer, named_word("snnlab_recurrent"))
    return 0
