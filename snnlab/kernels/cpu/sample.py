"""What the kernels of neurons read of one sample: shapes, options, and addresses behind the call frame.

An address of something that is absent is 0.
"""

from typing import NamedTuple

from numba import njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.ffi import ARGUMENTS, data, option, size
from snnlab.kernels.cpu.memory import after_floats
from snnlab.kernels.packed import LANES


class Sample(NamedTuple):
    """One sample of a call."""

    steps: int
    tiles: int
    width: int  # of a row with a value per neuron
    rows: int  # of weights: one per unit, and in the recurrent kernel one per neuron
    params: int
    weights: int
    current: int
    value_reset: bool
    detach: bool
    surrogate: int
    adapts: bool
    values: int  # vectors that a step leaves for the way back: voltage, current and, if the threshold adapts, its rise


@njit
def samples_of(frame, block, batch):
    """Return the range of samples in a block."""
    blocks = option(frame, at.BLOCKS)
    return range(block * batch // blocks, (block + 1) * batch // blocks)


@njit
def values_of(frame):
    """Return `Sample.values` of all samples of a call."""
    return 3 if option(frame, at.ADAPTS) == 1 else 2


@njit
def sample_of(frame, b):
    """Return sample `b` of a call."""
    steps, tiles = option(frame, at.STEPS), size(frame, ARGUMENTS, at.WEIGHTS, 0) * option(frame, at.PIXELS)
    width, from_current = tiles * LANES, option(frame, at.SOURCE) == at.FROM_CURRENT
    return Sample(
        steps,
        tiles,
        width,
        size(frame, ARGUMENTS, at.WEIGHTS, 1),
        data(frame, ARGUMENTS, at.PARAMS),
        data(frame, ARGUMENTS, at.WEIGHTS),
        after_floats(data(frame, ARGUMENTS, at.CURRENT), b * steps * width) if from_current else 0,
        option(frame, at.VALUE_RESET) == 1,
        option(frame, at.DETACH_RESET) == 1,
        option(frame, at.SURROGATE),
        option(frame, at.ADAPTS) == 1,
        values_of(frame),
    )


class Incoming(NamedTuple):
    """Gradients of what a sample of LIF neurons put out."""

    counts: int
    states: int
    spikes: int  # of each spike or, where `post` is not 0, of the current that the spikes make onward
    stride: int  # from one step of `spikes` to the next
    onward: int  # weights of the layer after, `(tile, post, 16)`
    post: int  # its neurons


@njit
def incoming_of(frame, b, sample):
    """Return the gradients that come in for sample `b`."""
    over_time, stride = b * sample.steps * sample.width, size(frame, ARGUMENTS, at.D_SPIKES, 2)
    states, spikes = option(frame, at.STATES) == 1, option(frame, at.SPIKES) == 1
    return Incoming(
        after_floats(data(frame, ARGUMENTS, at.D_COUNTS), b * sample.width),
        after_floats(data(frame, ARGUMENTS, at.D_STATES), over_time) if states else 0,
        after_floats(data(frame, ARGUMENTS, at.D_SPIKES), b * sample.steps * stride) if spikes else 0,
        stride,
        data(frame, ARGUMENTS, at.ONWARD),
        size(frame, ARGUMENTS, at.ONWARD, 1),
    )
