"""The kernel of LIF behind a convolution as a JAX function, as in `calls`; the input are spikes, or steady currents.

Steady currents are convolved once, in XLA; the kernel applies the result at every step.

If all spikes of a layer go to one convolution, their gradient is a convolution of the gradient of its currents with its
weights. `calls.SentBack` hands both to the kernel of the first layer, which convolves by itself, where it has to.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlab.dynamics import LifParams
from snnlab.encode import SpikeTimes, Steady
from snnlab.errors import ArgumentError
from snnlab.kernels.axes import alike
from snnlab.kernels.cpu import calls, conv, conv_back  # noqa: F401 (both register targets of the FFI)
from snnlab.kernels.cpu import layout as at
from snnlab.kernels.devices import whole
from snnlab.kernels.drive import Drive
from snnlab.kernels.packed import LANES, Packed, from_tiles, pad, to_tiles
from snnlab.kernels.perturbed import Static, values
from snnlab.kernels.window import Window


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _conv(window: Window, options: calls.Options, steps: int, params, weights, source: calls.Source):
    """As `calls.fire`."""
    return calls.fire("snnlab_conv", options, steps, params, weights, source)


def _forward(window, options, steps, params, weights, source):
    arguments = values((params, weights, source))
    return _conv(window, options, steps, *arguments), (*arguments, Static(params.perturbed))


def _backward(window, options, steps, saved, cotangents):
    factors = calls.sent_back.take(cotangents[0], lambda factors: not factors.grid or factors.image == window.grid)
    own = options._replace(grid=options.grid + ((factors and factors.grid) or calls.NO_GRID))
    d_params, d_weights, d_input = calls.spikes_back("snnlab_conv_gradient", own, steps, saved, cotangents, factors)
    weights, source = saved[1:3]
    if options.source == at.FROM_EVENTS:
        return d_params, d_weights, source._replace(**calls.NO_GRADIENT)
    if options.source == at.FROM_STEADY:
        d_current = whole(d_input)[:, None]
        return d_params, d_weights, source._replace(current=d_current, **calls.NO_GRADIENT)
    d_carrier = send_back(window, options, weights, d_input)
    return d_params, d_weights, source._replace(carrier=d_carrier, **calls.NO_GRADIENT)


_conv.defvjp(_forward, _backward, symbolic_zeros=True)


def send_back(window: Window, options: calls.Options, weights: Float[Array, "tile row lane"], d_input) -> Array:
    """Return the gradient of each spike; keep its factors for the kernel of the layer before.

    Args:
        window, options, weights: those of the layer that the spikes reach.
        d_input: gradient of what arrives there, `(batch, tile, time, 16)` in whatever shape: as a kernel wrote it.
    """
    batch, steps = len(d_input), d_input.size // (len(d_input) * weights.shape[0] * options.pixels * LANES)
    d_current = d_input.reshape(batch, -1, steps * LANES)
    product = _convolved_back(window, options, whole(d_current.reshape(batch, -1, steps, LANES)), weights)
    factors = calls.Factors(d_current, _onward(window, weights), options.grid, window.in_shape[1:])
    return calls.sent_back.keep(product, factors)


def _onward(window: Window, weights: Float[Array, "tile row lane"]) -> Float[Array, "place post_pre"]:
    """Weights as the kernel of the layer before reads them: `(row, column, tile of units, channel, 16 units)`."""
    places, tiles = int(np.prod(window.size)), len(weights)
    by_unit = weights.reshape(tiles, places, -1, LANES, LANES)
    return by_unit.transpose(1, 2, 0, 4, 3).reshape(places, -1)


def _convolved_back(window: Window, options: calls.Options, d_current, weights) -> Float[Array, "batch time padded"]:
    """Compute the gradient of each spike from that of the currents that they make, in XLA."""
    batch, _, steps, _ = d_current.shape
    by_step = d_current.swapaxes(1, 2).reshape(batch, steps, -1)
    left = jnp.pad(by_step, ((0, 0), (0, options.delay), (0, 0)))[:, options.delay :]  # at t, and arrived later
    depth, channels = window.in_shape[0], options.features // options.pixels
    rows = weights.swapaxes(0, 1).reshape(int(np.prod(window.size)), -1, len(weights) * LANES)
    kernel = rows[:, :depth, :channels].reshape(-1, channels)
    x = jax.ShapeDtypeStruct((steps, batch, window.num_units), jnp.float32)
    (back,) = jax.linear_transpose(lambda x: window.convolve(x, kernel), x)(
        from_tiles(left, options.features, options.pixels)
    )
    return to_tiles(back, window.in_shape[1] * window.in_shape[2])


def lif(drive: Drive, params: LifParams, options: calls.Options, *, dt: float):
    """LIF neurons behind a convolution of spikes, and behind an exponential synapse if the drive has one.

    Args:
        drive: input of the neurons: spikes, and the window that weighs them; or currents that it has weighed.
        params: see `dynamics.LifParams`, single values or one per channel; voltages are measured from rest, so `v_rest`
            is not read.
        options: surrogate and kind of reset; the drive says the others.
        dt: time step [ms].

    Returns:
        The spikes as `Packed`, their counts, and the voltages after the reset.
    """
    assert drive.window is not None
    if isinstance(drive.x, jnp.ndarray):
        return calls.lif(drive, params, options, dt=dt)
    weights, source, options = feed(drive, drive.window, options)
    arguments = alike(calls.lif_rows(drive, params, dt), weights, source)
    results: Any = _conv(drive.window, options, drive.num_steps, *arguments)
    return calls.fired(drive, *results)


def feed(drive: Drive, window: Window, options: calls.Options):
    """As `calls.feed`: weights in tiles, the source that they weigh, and the options that say which it is."""
    x, depth, channels = drive.x, window.in_shape[0], drive.features // window.pixels
    if drive.kernel is not None and isinstance(x, SpikeTimes | Packed | Steady) and x.num_units != window.num_units:
        raise ArgumentError(f"x: has {x.num_units} units, the window has an input of {window.in_shape}")
    delay = min(drive.delay, drive.num_steps)
    options = options._replace(delay=delay, features=drive.features, pixels=window.pixels)
    if isinstance(x, Steady):
        current = pad(drive.at_each_step(x), 1, pixels=window.pixels)
        source, options = calls.source_of(current=current[:, None]), options._replace(source=at.FROM_STEADY)
        weights = jnp.zeros((-(-channels // LANES), 0, LANES), jnp.float32)  # they have been weighed
        return weights, source, options._replace(grid=grid(window, depth, channels, delay))
    kernel = drive.weights
    if isinstance(x, Packed):
        padded = -(-depth // LANES) * LANES
        source, options = _from_packed(x, window, padded), options._replace(source=at.FROM_BITS)
        kernel, depth = pad(kernel.reshape(-1, depth, kernel.shape[1]), 1).reshape(-1, kernel.shape[1]), padded
    else:
        source = _from_events(x, window)
    return calls.tiles(kernel), source, options._replace(grid=grid(window, depth, channels, delay))


def grid(window: Window, depth: int, channels: int, delay: int) -> tuple[int, ...]:
    """Return the geometry as the kernels read it, see `grid.Grid`."""
    geometry = (*window.cells, depth, window.pool, *window.size, *window.stride, *window.padding, *window.grid)
    return (*geometry, channels, delay)


def _from_events(x, window: Window) -> calls.Source:
    """Make a source of events, each with its unit in the cell that it falls into; -1 if it falls into none."""
    cells, depth = window.cell_of_pixel().ravel(), window.in_shape[0]
    unit = np.where(cells < 0, -1, cells * depth + np.arange(depth, dtype=np.int32)[:, None]).ravel()
    if x.units is None:
        return calls.source_of(times=x.int32("times"), units=jnp.asarray(unit[None]))
    found = x.int32("units")
    there = (found >= 0) & (found < len(unit))
    units = jnp.where(there, jnp.asarray(unit)[jnp.where(there, found, 0)], -1)
    return calls.source_of(times=x.int32("times"), units=units)


def _from_packed(x: Packed, window: Window, depth: int) -> calls.Source:
    """Make a source of packed spikes, and of the first unit of each of their tiles in its cell; -1 if it is in none."""
    cells, pixels = window.cell_of_pixel().reshape(-1, 1), window.in_shape[1] * window.in_shape[2]
    x = x if x.pixels == pixels else _repacked(x, pixels)
    first = np.where(cells < 0, -1, cells * depth + np.arange(0, depth, LANES, dtype=np.int32))
    return calls.source_of(bits=x.bits, carrier=x.carrier, units=jnp.asarray(first.reshape(1, -1)))


def _repacked(x: Packed, pixels: int) -> Packed:
    """Pack the spikes of another layer as those of a convolution with as many units."""
    carrier = to_tiles(x.dense(), pixels)
    words = carrier.reshape(*carrier.shape[:2], -1, LANES).astype(jnp.uint16) << jnp.arange(LANES, dtype=jnp.uint16)
    bits = words.sum(-1, dtype=jnp.uint16).swapaxes(1, 2)
    return Packed(bits=bits, carrier=carrier, num_units=x.num_units, pixels=pixels)
