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
from snnlab.kernels.cpu.conv import Grid, Spikes, begins, grid_of, run, spikes_of, weigh
from snnlab.kernels.cpu.ffi import ARGUMENTS, data, option, over_blocks, register, size
from snnlab.kernels.cpu.lif_step import add_threshold, neurons_of, reset, shares_of, step_back
from snnlab.kernels.cpu.memory import NOWHERE, address_of, after_floats, get_float, get_half, named_word
from snnlab.kernels.cpu.sample import Incoming, Sample, add_spikes, incoming_of, sample_of, samples_of
from snnlab.kernels.cpu.simd import accumulate, clear, fill, load, select, store
from snnlab.kernels.cpu.sums import Sums, add_sums, clear_sums, sums_of
from snnlab.kernels.packed import LANES

_AFTER = at.NUM_OPTIONS + at.GRID  # where the grid of the next convolution begins
_AT_ONCE = 6  # steps: their sums, 16 values each, stay in the registers of a processor with 16 of 8 values


class _After(NamedTuple):
    """The convolution that the spikes go to, for one sample."""

    grid: Grid
    d_current: int  # address of the gradient of its currents, `(tile, time, 16)`
    weights: int  # `(row, column, tile, out, 16)`: from 16 units to one channel


@njit
def _after_of(frame, b, steps):
    grid = grid_of(frame, _AFTER)
    of_sample = size(frame, ARGUMENTS, at.D_SPIKES, 1) * steps * LANES if grid.size_rows else 0
    return _After(
        grid, after_floats(data(frame, ARGUMENTS, at.D_SPIKES), b * of_sample), data(frame, ARGUMENTS, at.ONWARD)
    )


@njit
def _multiply(out, d_current, weights, count, begin, end):
    """Add `d_current W^T` to 16 values at every step from `begin` to `end`; sum over `count` channels."""
    t = begin
    while t + _AT_ONCE <= end:
        place, row = t * LANES, after_floats(d_current, t * LANES)
        a, b, c = load(out, place), load(out, place + LANES), load(out, place + 2 * LANES)
        d, e, f = load(out, place + 3 * LANES), load(out, place + 4 * LANES), load(out, place + 5 * LANES)
        for o in range(count):
            w = load(weights, o * LANES)
            a = a + w * fill(get_float(row, o))
            b = b + w * fill(get_float(row, o + LANES))
            c = c + w * fill(get_float(row, o + 2 * LANES))
            d = d + w * fill(get_float(row, o + 3 * LANES))
            e = e + w * fill(get_float(row, o + 4 * LANES))
            f = f + w * fill(get_float(row, o + 5 * LANES))
        store(out, place, a)
        store(out, place + LANES, b)
        store(out, place + 2 * LANES, c)
        store(out, place + 3 * LANES, d)
        store(out, place + 4 * LANES, e)
        store(out, place + 5 * LANES, f)
        t += _AT_ONCE
    while t < end:
        a = load(out, t * LANES)
        for o in range(count):
            a = a + load(weights, o * LANES) * fill(get_float(d_current, t * LANES + o))
        store(out, t * LANES, a)
        t += 1


@njit
def _sent_back(after, cell, depth_tile, begin, end, steps, out):
    """Compute the gradient of a spike of 16 units of a cell, at every step from `begin` to `end`, or some before it.

    Returns the first step.
    """
    begin = max(0, end - (end - begin + _AT_ONCE - 1) // _AT_ONCE * _AT_ONCE)  # few steps are left over
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
                _multiply(
                    out,
                    after_floats(after.d_current, place * LANES),
                    after_floats(after.weights, weight * LANES * LANES),
                    min(LANES, grid.channels - tile * LANES),
                    begin,
                    min(end, steps - grid.delay),
                )
    return begin


class _Task(NamedTuple):
    """One sample on its way back."""

    sample: Sample
    grid: Grid
    tiles: int  # of a pixel
    spikes: Spikes
    after: _After
    incoming: Incoming
    sums: Sums


@njit
def _walk_back(task, n, tile, begin, trace, held, d_spikes, d_arriving):
    """Take 16 neurons backward to step `begin`, through what `run` left in `trace` and `held`.

    Write the gradient of what arrived to `d_arriving`. Read that of the spikes from `d_spikes`, too, if that is not 0.
    """
    sample, incoming, sums = task.sample, task.incoming, task.sums
    out, d_count, zero = tile * LANES, load(incoming.counts, tile * LANES), fill(float32(0.0))
    dv, dg, db, b, d_bias = zero, zero, zero, zero, zero
    d_a_syn, d_a, d_gain, d_th, d_reset, d_rho, d_beta = zero, zero, zero, zero, zero, zero, zero
    threshold, step = n.v_th, sample.values * LANES
    for t in range(sample.steps - 1, begin - 1, -1):
        u = load(trace, t * step)
        if incoming.states:
            dv = dv + load(incoming.states, t * sample.width + out)
        ds = add_spikes(d_count, sample, incoming, t, out)
        if d_spikes:
            ds = ds + load(d_spikes, t * LANES)
        if sample.adapts:
            b = load(trace, t * step + 2 * LANES)
            threshold, ds = n.v_th + b, ds + n.beta * db
        options = sample.value_reset, sample.detach, sample.surrogate
        change = step_back(n, u, threshold, get_half(held, t), dv, dg, ds, *options)
        dv, dg = change.dv, change.dg
        if sample.adapts:
            if sums.learns:
                d_rho, d_beta = d_rho + db * b, d_beta + select(u >= threshold, db, zero)
            db = db * n.rho - change.ds * change.h
        store(d_arriving, t * LANES, dg)
        if sums.learns:
            v_before, g_before = zero, zero
            if t > 0:
                earlier = (t - 1) * step
                g_before = load(trace, earlier + LANES)
                if sample.adapts:
                    threshold = n.v_th + load(trace, earlier + 2 * LANES)
                v_before = reset(n, load(trace, earlier), threshold, sample.value_reset)[1]
            share = shares_of(change, v_before, g_before, load(trace, t * step + LANES))
            d_bias, d_a_syn, d_a, d_gain = d_bias + dg, d_a_syn + share.a_syn, d_a + share.a, d_gain + share.gain
            d_reset, d_th = d_reset + change.jump, add_threshold(d_th, change, sample.value_reset)
    if sums.learns:
        width, totals = task.tiles * LANES, after_floats(sums.params, tile % task.tiles * LANES)
        accumulate(totals, at.BIAS * width, d_bias)
        accumulate(totals, at.DECAY_SYN * width, d_a_syn)
        accumulate(totals, at.DECAY_MEM * width, d_a)
        accumulate(totals, at.GAIN * width, d_gain)
        accumulate(totals, at.V_TH * width, d_th)
        accumulate(totals, at.V_RESET * width, d_reset)
        if sample.adapts:
            accumulate(totals, at.DECAY_ADAPT * width, d_rho)
            accumulate(totals, at.BETA * width, d_beta)


@njit
def _cell_back(task, row, column, channel_tile, values, held):
    """Take 16 channels of all pixels of a cell backward; `values` are 6 scratch rows, the first of them 0."""
    sample, grid, after, sums, steps = task.sample, task.grid, task.after, task.sums, task.sample.steps
    lane, pool, arriving = channel_tile * LANES, max(1, after.grid.pool), address_of(values)
    n = neurons_of(sample.params, task.tiles * LANES, lane)
    weights, d_weights = (
        after_floats(sample.weights, lane * sample.rows),
        after_floats(sums.weights, lane * sample.rows),
    )
    trace, scratch = after_floats(arriving, steps * LANES), after_floats(arriving, 5 * steps * LANES)
    sent = row < after.grid.rows and column < after.grid.columns  # pixels that fill no cell send nothing
    d_spikes, known = after_floats(arriving, 4 * steps * LANES) if sent else NOWHERE, steps
    for y in range(row * pool, min(grid.out_rows, (row + 1) * pool)):
        for x in range(column * pool, min(grid.out_columns, (column + 1) * pool)):
            pixel = y * grid.out_columns + x
            tile = pixel * task.tiles + channel_tile
            begin = begins(n, weigh(grid, task.spikes, pixel, weights, arriving, steps, False))
            if sums.current or sums.learns:  # all steps have a gradient, also those at rest
                begin = 0
            if begin == steps:
                continue
            if sent and begin < known:
                cell = row * after.grid.columns + column
                known = _sent_back(after, cell, channel_tile, begin, known, steps, d_spikes)
            d_arriving = after_floats(sums.current, tile * steps * LANES) if sums.current else scratch
            run(sample, n, begin, arriving, tile, NOWHERE, NOWHERE, NOWHERE, trace, address_of(held))
            _walk_back(task, n, tile, begin, trace, address_of(held), d_spikes, d_arriving)
            weigh(grid, task.spikes, pixel, d_weights, d_arriving, steps, True)


@over_blocks
def _backward(frame, block):
    steps, batch = option(frame, at.STEPS), size(frame, ARGUMENTS, at.D_COUNTS, 0)
    grid, tiles = grid_of(frame, at.NUM_OPTIONS), size(frame, ARGUMENTS, at.WEIGHTS, 0)
    clear_sums(frame, block)
    values, held = np.zeros((6, steps * LANES), np.float32), np.empty(steps, np.uint16)
    for b in samples_of(frame, block, batch):
        sample, after = sample_of(frame, b), _after_of(frame, b, steps)
        incoming, sums = incoming_of(frame, b, sample), sums_of(frame, block, b, sample)
        task = _Task(sample, grid, tiles, spikes_of(frame, b, grid), after, incoming, sums)
        pool = max(1, after.grid.pool)
        for row in range((grid.out_rows + pool - 1) // pool):
            for column in range((grid.out_columns + pool - 1) // pool):
                for tile in range(tiles):
                    _cell_back(task, row, column, tile, values, held)


@register("snnlab_conv_gradient")
def _conv_gradient(pointer):
    if _backward(pointer, named_word("snnlab_conv_gradient")):
        add_sums(pointer)
    return 0
