"""The gradient of the spikes of 16 neurons that all go to one layer: that of its currents, times its weights.

    dL/ds[t] = dL/dI[t + delay] W^T

The kernel of the neurons forms it where it is read, a few rows at once, so that it never leaves the cache.
"""

from typing import NamedTuple

from numba import njit

from snnlab.kernels.cpu.memory import after_floats
from snnlab.kernels.cpu.product import Matrix, add_product
from snnlab.kernels.cpu.simd import clear
from snnlab.kernels.packed import LANES


class OfSpikes(NamedTuple):
    """Where the gradients of the spikes of a sample lie."""

    address: int  # 0 if there are none
    step: int  # from one step to the next
    tile: int  # from one tile to the next


@njit
def multiply(incoming, steps, tile, begin, out):
    """Write the gradients of the spikes of one tile, `(time, 16)`, from step `begin` on."""
    clear(after_floats(out, begin * LANES), steps - begin)
    _add(incoming, steps, begin, tile, 1, out)


@njit
def form(incoming, sample, scratch):
    """Write the gradients of the spikes to `scratch`, `(tile, time, 16)`, if they are a product."""
    if incoming.spikes and incoming.post:
        clear(scratch, sample.tiles * sample.steps)
        _add(incoming, sample.steps, 0, 0, sample.tiles, scratch)


@njit
def _add(incoming, steps, begin, tile, tiles, out):
    """Add the product of the gradient of the currents and the weights of some tiles from `tile` on."""
    post = incoming.post
    weights = Matrix(after_floats(incoming.onward, tile * post * LANES), LANES, post * LANES)
    d_current = Matrix(incoming.spikes, incoming.stride, 1)
    add_product(Matrix(out, LANES, steps * LANES), d_current, weights, post, begin, steps, tiles)


@njit
def of_spikes(incoming, sample, scratch):
    """Return where the gradients of the spikes lie: in `scratch` those that `form` wrote."""
    if incoming.spikes and incoming.post:
        return OfSpikes(scratch, LANES, sample.steps * LANES)
    return OfSpikes(incoming.spikes, incoming.stride, LANES)
