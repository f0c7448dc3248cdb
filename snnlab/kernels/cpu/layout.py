"""The order of the arguments, options and parameters of a kernel on the CPU.

Neurons come in *tiles* of 16. Arrays over time are `(batch, time, neuron)` here, padded to whole tiles, so that each
sample is contiguous. Weights are `(tile, unit, 16)`; packed spikes are `(batch, tile, time)`, 16 neurons a uint16.

In a convolution the 16 neurons of a tile are 16 channels at one pixel; the tiles of a pixel follow each other. All
pixels share PARAMS and WEIGHTS, which have a tile for every 16 channels. UNITS are units of cells, `cell DEPTH +
channel`; with BITS they are the first of each tile of the input. The gradient of the current, and D_SPIKES where it is
that of a convolution, are `(batch, tile, time, 16)`, so that a tile is contiguous. A steady CURRENT and its gradient
are `(batch, 1, neuron)`, as they are the same at every step.

PARAMS has the rows of `snnlab.kernels.rows`, padded to whole tiles.
"""

from snnlab.kernels.rows import (  # noqa: F401 (a part of this table)
    BETA,
    BIAS,
    DECAY_ADAPT,
    DECAY_MEM,
    DECAY_SYN,
    GAIN,
    HOLD,
    LEARNED,
    NUM_PARAMS,
    PEAK,
    SLOPE,
    V_RESET,
    V_TH,
)

# Arguments of every kernel.
OPTIONS, PARAMS, WEIGHTS, TIMES, UNITS, BITS, CURRENT = range(7)
# Further arguments of a backward kernel.
# D_SPIKES is the gradient of each spike or, if ONWARD is not empty, that of the current that the spikes cause through
# the weights ONWARD `(tile, post, 16)` of the next layer, which then has no product of the two to write and read.
D_SPIKES, D_COUNTS, D_STATES, ONWARD = 7, 8, 9, 10
# Further arguments of the backward filter.
D_TRACE, D_PEAK = 7, 8

# Entries of OPTIONS (int32); flags are 0 or 1.
(
    BLOCKS,  # independent parts of the batch
    STEPS,  # length of the sequence
    SOURCE,  # where the input comes from, one of the four below
    DELAY,  # steps that a spike travels
    SURROGATE,  # index in `snnlab.surrogate.SURROGATES`
    VALUE_RESET,
    DETACH_RESET,
    ADAPTS,  # a spike raises the threshold
    STATES,  # forward: also write voltages or traces; backward: they have a gradient
    SPIKES,  # backward: single spikes have a gradient, besides their counts
    PEAKS,  # backward: the maximum over time has a gradient
    LEARNS,  # backward: gradients of the parameters are wanted
    INPUTS,  # backward: the gradient of the current is wanted
    PIXELS,  # places at which a convolution has neurons; 1 in other layers
    NUM_OPTIONS,
) = range(15)
FROM_EVENTS, FROM_BITS, FROM_CURRENT, FROM_STEADY = range(4)  # the last one in a convolution only

# A convolution appends its own grid to OPTIONS. Backward, that of the layer after it follows, in every layer of spikes;
# all is 0 if there is none. Where the layer after only takes the sums of cells, SIZE_ROWS is 0, OUT are the places of
# the neurons before it, and D_SPIKES is the gradient of the sums, `(batch, time, cell, DEPTH)`.
(
    ROWS,  # cells of the input over which the window slides
    COLUMNS,
    DEPTH,  # units of a cell
    POOL,  # pixels of the input are summed to cells of POOL x POOL
    SIZE_ROWS,  # of the window
    SIZE_COLUMNS,
    STRIDE_ROWS,
    STRIDE_COLUMNS,
    PADDING_ROWS,
    PADDING_COLUMNS,
    OUT_ROWS,  # places of the window
    OUT_COLUMNS,
    OUT_CHANNELS,  # without padding
    GRID_DELAY,  # steps that a spike travels
    GRID,
) = range(15)
