"""The gradient of `snnlab.kernels.cpu.conv`: 16 channels of one pixel at a time, and back through their steps.

The voltages are computed again. The gradient of the weights is summed for spikes only. A spike has a gradient through
every window of the next convolution that holds it, and a silent neuron has that gradient too, so it is a sum over those
windows at every step. It is summed here, for 16 channels of one cell, from the step at which the first of their neurons
leaves its rest: what comes before reaches no weight. It takes most of the time of a step of training.
"""

from typing import NamedTuple

import numpy as np
from numba import float32, njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.conv import Place, Spikes, arrive, begins, run, spikes_of, steady_of, weigh
from snnlab.kernels.cpu.ffi import ARGUMENTS, RESULTS, data, option, over_blocks, register, size
from snnlab.kernels.cpu.grid import Grid, grid_of
from snnlab.kernels.cpu.lif_step import add_threshold, neurons_of, reset, shares_of, step_back
from snnlab.kernels.cpu.memory import NOWHERE, address_of, after_floats, after_halves, get_half, named_word
from snnlab.kernels.cpu.onward import OfSpikes, form
from snnlab.kernels.cpu.product import AT_ONCE, Matrix, add_product
from snnlab.kernels.cpu.sample import Incoming, Sample, incoming_of, sample_of, samples_of
from snnlab.kernels.cpu.simd import Vector, accumulate, clear, fill, load, select, store
from snnlab.kernels.cpu.sums import D_CURRENT, Sums, add_sums, clear_sums, sums_of
from snnlab.kernels.packed import LANES

_AFTER = at.NUM_OPTIONS + at.GRID  # where the grid of the next convolution begins


class _After(NamedTuple):
    """The convolution that the spikes go to, for one sample; its size is 0 if it takes the sums of cells by itself."""

    grid: Grid
    d_current: int  # address of the gradient of its currents, `(tile, time, 16)`, or of the sums, `(time, cell, depth)`
    weights: int  # `(row, column, tile, out, 16)`: from 16 units to one channel


@njit
def _after_of(frame, b, steps):
    grid = grid_of(frame, _AFTER)
    of_sample = size(frame, ARGUMENTS, at.D_SPIKES, 1) * size(frame, ARGUMENTS, at.D_SPIKES, 2)
    return _After(
        grid, after_floats(data(frame, ARGUMENTS, at.D_SPIKES), b * of_sample), data(frame, ARGUMENTS, at.ONWARD)
    )


@njit
def _sent_back(after, cell, depth_tile, begin, end, steps, out):
    """Compute the gradient of a spike of 16 units of a cell, at every step from `begin` to `end`, or some before it.

    Returns the first step.
    """
    begin = max(0, end - (end - begin + AT_ONCE - 1) // AT_ONCE * AT_ONCE)  # few steps are left over
    clear(after_floats(out, begin * LANES), end - begin)
    grid = after.grid
    tiles, depth_tiles = (grid.channels + LANES - 1) // LANES, grid.depth // LANES
    row, column = cell // grid.columns + grid.padding_rows, cell % grid.columns + grid.padding_columns
    for i in range(min(grid.size_rows, row + 1)):
        for j in range(min(grid.size_columns, column + 1)):
            y, x = (row - i) // grid.stride_rows, (column - j) // grid.stride_columns
            if (row - i) % grid.stride_rows or (column - j) % grid.stride_columns:
                continue
            if y >= grid.out_rows or x >= grid.out_columns:
                continue
            for tile in range(tiles):
                place = ((y * grid.out_columns + x) * tiles + tile) * steps + grid.delay  # a spike arrives later
                weight = ((i * grid.size_columns + j) * depth_tiles + depth_tile) * tiles + tile
                d_current = Matrix(after_floats(after.d_current, place * LANES), LANES, 1)
                weights = Matrix(after_floats(after.weights, weight * LANES * LANES), LANES, LANES)
                neurons, last = min(LANES, grid.channels - tile * LANES), min(end, steps - grid.delay)
                add_product(Matrix(out, LANES, LANES), d_current, weights, neurons, begin, last, 1)
    return begin


class _Task(NamedTuple):
    """One sample on its way back."""

    sample: Sample
    grid: Grid
    tiles: int  # of a pixel
    spikes: Spikes
    steady: int  # address of the currents, if they are steady
    d_steady: int  # address of their gradient
    after: _After
    incoming: Incoming
    sums: Sums


class _Gradients(NamedTuple):
    """Gradients of voltage, current and rise of the threshold before a step; sums of those of the parameters."""

    v: Vector
    g: Vector
    rise: Vector
    bias: Vector
    a_syn: Vector
    a: Vector
    gain: Vector
    v_th: Vector
    v_reset: Vector
    rho: Vector
    beta: Vector


@njit(forceinline=True)
def _step_back(task, n, d, place, d_count, d_spikes, d_arriving, t):
    """Take one step back, through what `run` left at a place; write the gradient of what arrived to `d_arriving`."""
    sample, incoming, out = task.sample, task.incoming, place.tile * LANES
    step, zero = sample.values * LANES, fill(float32(0.0))
    dv, u, threshold, rise = d.v, load(place.trace, t * step), n.v_th, zero
    if incoming.states:
        dv = dv + load(incoming.states, t * sample.width + out)
    ds = d_count
    if d_spikes.address:
        ds = ds + load(d_spikes.address, t * d_spikes.step)
    if sample.adapts:
        rise = load(place.trace, t * step + 2 * LANES)
        threshold, ds = n.v_th + rise, ds + n.beta * d.rise
    held, options = get_half(place.held, t), (sample.value_reset, sample.detach, sample.surrogate)
    change = step_back(n, u, threshold, held, dv, d.g, ds, *options)
    d_rise = d.rise * n.rho - change.ds * change.h if sample.adapts else zero
    store(d_arriving, t * LANES, change.dg)
    if not task.sums.learns:
        sums = d.bias, d.a_syn, d.a, d.gain, d.v_th, d.v_reset, d.rho, d.beta
        return _Gradients(change.dv, change.dg, d_rise, *sums)
    rho, beta = d.rho, d.beta
    if sample.adapts:
        rho, beta = rho + d.rise * rise, beta + select(u >= threshold, d.rise, zero)
    v_before = g_before = zero
    if t > 0:
        before = n.v_th + load(place.trace, (t - 1) * step + 2 * LANES) if sample.adapts else n.v_th
        g_before = load(place.trace, (t - 1) * step + LANES)
        v_before = reset(n, load(place.trace, (t - 1) * step), before, sample.value_reset)[1]
    share = shares_of(change, v_before, g_before, load(place.trace, t * step + LANES))
    v_th, v_reset = add_threshold(d.v_th, change, sample.value_reset), d.v_reset + change.jump
    own = d.bias + change.dg, d.a_syn + share.a_syn, d.a + share.a, d.gain + share.gain
    return _Gradients(change.dv, change.dg, d_rise, *own, v_th, v_reset, rho, beta)


@njit
def _walk_back(task, n, begin, one, two, both, spikes_one, spikes_two, d_one, d_two):
    """Take the neurons of a place, or of both side by side, backward to step `begin`.

    Read the gradients of their spikes from `spikes_one` and `spikes_two`, besides those of the counts.
    """
    zero, counts = fill(float32(0.0)), task.incoming.counts
    a = b = _Gradients(zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero)
    count_a, count_b = load(counts, one.tile * LANES), zero
    if both:
        count_b = load(counts, two.tile * LANES)
        for t in range(task.sample.steps - 1, begin - 1, -1):
            a = _step_back(task, n, a, one, count_a, spikes_one, d_one, t)
            b = _step_back(task, n, b, two, count_b, spikes_two, d_two, t)
    else:
        for t in range(task.sample.steps - 1, begin - 1, -1):
            a = _step_back(task, n, a, one, count_a, spikes_one, d_one, t)
    width, totals = task.tiles * LANES, after_floats(task.sums.params, one.tile % task.tiles * LANES)
    accumulate(totals, at.BIAS * width, a.bias + b.bias)
    accumulate(totals, at.DECAY_SYN * width, a.a_syn + b.a_syn)
    accumulate(totals, at.DECAY_MEM * width, a.a + b.a)
    accumulate(totals, at.GAIN * width, a.gain + b.gain)
    accumulate(totals, at.V_TH * width, a.v_th + b.v_th)
    accumulate(totals, at.V_RESET * width, a.v_reset + b.v_reset)
    if task.sample.adapts:
        accumulate(totals, at.DECAY_ADAPT * width, a.rho + b.rho)
        accumulate(totals, at.BETA * width, a.beta + b.beta)


# Rows of scratch memory for one sequence: of each of two places what arrives, three of a trace, and the gradient of
# what arrives; and the gradient of spikes, which the pixels of a cell share if a convolution follows.
_ARRIVING, _TRACE, _D_ARRIVING, _D_SPIKES, _ROWS = 0, 2, 8, 10, 12


@njit
def _to_others(task, place, begin, out):
    """Return where the gradients of the spikes of a place lie that go to no convolution."""
    incoming = task.incoming
    if not incoming.spikes:
        return OfSpikes(NOWHERE, 0, 0)
    if not incoming.post:
        return OfSpikes(after_floats(incoming.spikes, place.tile * LANES), incoming.stride, 0)
    form(incoming, task.sample.steps, place.tile, 1, begin, out)
    return OfSpikes(out, LANES, 0)


@njit
def _add_over_time(grid, tile, d_arriving, steps, out):
    """Write the gradient of a steady current: the sum of those at the steps at which it arrives."""
    total = fill(float32(0.0))
    for t in range(grid.delay, steps):
        total = total + load(d_arriving, t * LANES)
    store(out, tile * LANES, total)


@njit
def _pair_back(task, pixel, both, channel_tile, cell, known, values, held):
    """Take 16 channels of a pixel, or also of the next one, backward.

    Args:
        task: the sample.
        pixel, both, channel_tile: where the neurons are.
        cell: of the next convolution, or -1 for none.
        known: the step from which on the gradient of their spikes is known.
        values, held: scratch memory.

    Returns:
        The step from which on it is known now.
    """
    sample, grid, sums, steps = task.sample, task.grid, task.sums, task.sample.steps
    lane, row = channel_tile * LANES, steps * LANES
    n, weights = neurons_of(sample.params, task.tiles * LANES, lane), after_floats(sample.weights, lane * sample.rows)
    scratch, words, tile = address_of(values), address_of(held), pixel * task.tiles + channel_tile
    one = Place(tile, scratch, NOWHERE, after_floats(scratch, _TRACE * row), words)
    traces = after_floats(scratch, (_TRACE + 3) * row), after_halves(words, steps)
    two = Place(tile + task.tiles, after_floats(scratch, row), NOWHERE, *traces)
    begin = arrive(grid, task.spikes, task.steady, one.tile, pixel, weights, one.arriving, steps)
    if both:
        second = arrive(grid, task.spikes, task.steady, two.tile, pixel + 1, weights, two.arriving, steps)
        begin = min(begin, second)
    begin = begins(n, begin)
    d_one, d_two = after_floats(scratch, _D_ARRIVING * row), after_floats(scratch, (_D_ARRIVING + 1) * row)
    if sums.current:
        d_one, d_two = after_floats(sums.current, tile * row), after_floats(sums.current, two.tile * row)
    if sums.current or sums.learns or task.steady:  # all steps have a gradient, also those at rest
        begin = 0
    if begin == steps:
        return known
    d_spikes = after_floats(scratch, _D_SPIKES * row)
    after = task.after
    if cell >= 0 and after.grid.size_rows == 0:
        of_step = after.grid.rows * after.grid.columns * after.grid.depth
        of_cell = after_floats(after.d_current, cell * after.grid.depth + lane)
        spikes_one = spikes_two = OfSpikes(of_cell, of_step, 0)
    elif cell >= 0:
        if begin < known:
            known = _sent_back(after, cell, channel_tile, begin, known, steps, d_spikes)
        spikes_one = spikes_two = OfSpikes(d_spikes, LANES, 0)
    else:
        spikes_one = spikes_two = _to_others(task, one, begin, d_spikes)
        if both:
            spikes_two = _to_others(task, two, begin, after_floats(d_spikes, row))
    run(sample, n, begin, one, two, both, NOWHERE, NOWHERE)
    _walk_back(task, n, begin, one, two, both, spikes_one, spikes_two, d_one, d_two)
    if task.steady:
        _add_over_time(grid, one.tile, d_one, steps, task.d_steady)
        if both:
            _add_over_time(grid, two.tile, d_two, steps, task.d_steady)
        return known
    weights = after_floats(sums.weights, lane * sample.rows)
    weigh(grid, task.spikes, pixel, weights, d_one, steps, True)
    if both:
        weigh(grid, task.spikes, pixel + 1, weights, d_two, steps, True)
    return known


@njit
def _cell_back(task, row, column, high, wide, channel_tile, values, held):
    """Take 16 channels of all pixels of a cell of `high x wide` backward, two at once."""
    grid, after = task.grid, task.after.grid
    sent = row < after.rows and column < after.columns  # pixels that fill no cell send nothing
    cell, known = row * after.columns + column if sent else -1, task.sample.steps
    end = min(grid.out_columns, (column + 1) * wide)
    for y in range(row * high, min(grid.out_rows, (row + 1) * high)):
        for x in range(column * wide, end, 2):
            pixel = y * grid.out_columns + x
            known = _pair_back(task, pixel, x + 1 < end, channel_tile, cell, known, values, held)


@over_blocks
def _backward(frame, block):
    steps, batch = option(frame, at.STEPS), size(frame, ARGUMENTS, at.D_COUNTS, 0)
    grid, tiles = grid_of(frame, at.NUM_OPTIONS), size(frame, ARGUMENTS, at.WEIGHTS, 0)
    clear_sums(frame, block)
    values, held = np.zeros((_ROWS, steps * LANES), np.float32), np.empty(2 * steps, np.uint16)
    for b in samples_of(frame, block, batch):
        sample, after = sample_of(frame, b), _after_of(frame, b, steps)
        incoming, sums = incoming_of(frame, b, sample), sums_of(frame, block, b, sample)
        steady, d_steady = steady_of(frame, b, sample), NOWHERE
        if steady:
            d_steady = after_floats(data(frame, RESULTS, D_CURRENT), b * sample.width)
        task = _Task(sample, grid, tiles, spikes_of(frame, b, grid), steady, d_steady, after, incoming, sums)
        high, wide = (after.grid.pool, after.grid.pool) if after.grid.pool else (1, 2)
        for row in range((grid.out_rows + high - 1) // high):
            for column in range((grid.out_columns + wide - 1) // wide):
                for tile in range(tiles):
                    _cell_back(task, row, column, high, wide, tile, values, held)


@register("snnlab_conv_gradient")
def _conv_gradient(pointer):
    if _backward(pointer, named_word("snnlab_conv_gradient")):
        add_sums(pointer)
    return 0
