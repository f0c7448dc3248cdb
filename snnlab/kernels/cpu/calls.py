"""The LIF and filter kernels as JAX functions: shapes, paddings and derivatives around the code that numba compiled.

Their cost grows with the number of spikes, not with time times inputs. Sums have a fixed order, whatever the number of
threads, so the same input gives the same bits.

Spikes are bits and have no gradient; a float array beside them, the *carrier*, has it. If all spikes of a layer go
to one other layer, that gradient is a product of two small factors, `dL/ds = dL/dI W^T`. `SentBack` then hands the
factors to the kernel of the first layer, which multiplies by itself, and the large product is never computed.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt16

import snnlab.kernels.cpu.filter
import snnlab.kernels.cpu.lif
import snnlab.kernels.cpu.sums  # noqa: F401 (all register targets of the FFI)
from snnlab.dynamics import LifParams, decay
from snnlab.encode import SpikeTimes
from snnlab.errors import ArgumentError
from snnlab.kernels import rows
from snnlab.kernels.axes import alike, spread, varying
from snnlab.kernels.cpu import layout as at
from snnlab.kernels.devices import SUMMED, share_out, sharing, whole
from snnlab.kernels.drive import Drive
from snnlab.kernels.orders import no_more
from snnlab.kernels.packed import LANES, Packed, from_tiles, pad, to_tiles, unpack, without_padding
from snnlab.kernels.perturbed import Static, filled, is_zero, values

# Blocks of the batch: enough that all threads share evenly, few enough that adding their sums costs nothing. Their
# number is a power of two that the number of devices has no part in: so sums have the same bits on 1, 2 and 4.
_MIN_BLOCKS, _MAX_BLOCKS, _BLOCK_SAMPLES = 4, 16, 64
_BLOCK_IMAGES = 8  # samples of a convolution, which take much longer each
_BLOCK_BYTES = 1 << 26  # for the gradients of the weights, because every block has its own sum


NO_GRID = (0,) * at.GRID


class Options(NamedTuple):
    """Options that are fixed when a program is traced; see `layout` for their meaning."""

    source: int = at.FROM_EVENTS
    delay: int = 0
    surrogate: int = 0
    value_reset: bool = False
    detach_reset: bool = False
    adapts: bool = False
    features: int = 0  # neurons, without padding
    pixels: int = 1  # places at which a convolution has neurons
    grid: tuple[int, ...] = ()  # of a convolution


class Source(NamedTuple):
    """The input of the neurons: events, packed spikes, or a current; the fields of the others are empty."""

    times: Int[Array, "batch events"]
    units: Int[Array, "rows events"]
    bits: UInt16[Array, "batch tile time"]
    carrier: Float[Array, "batch time pre"]  # has the gradient of the bits
    current: Float[Array, "batch time post"]  # of a convolution, where it is steady, `(batch, 1, post)`


def source_of(times=None, units=None, bits=None, carrier=None, current=None) -> Source:
    none = jnp.zeros((0, 0, 0), jnp.float32)
    return Source(
        jnp.zeros((0, 0), jnp.int32) if times is None else times,
        jnp.zeros((0, 0), jnp.int32) if units is None else units,
        none.astype(jnp.uint16) if bits is None else bits,
        none if carrier is None else carrier,
        none if current is None else current,
    )


class Factors(NamedTuple):
    """What the gradient of packed spikes is a product of."""

    d_current: Float[Array, "batch time post"]  # of a convolution `(batch, tile, time, 16)`
    onward: Float[Array, "tile post lane"]  # of a convolution as its backward kernel reads it
    grid: tuple[int, ...] = ()  # of a convolution, as an option of its kernel; of size 0 if it takes sums of cells only
    image: tuple[int, int] = (0, 0)  # of a convolution: rows and columns of its input


class SentBack(threading.local):
    """The last gradient of packed spikes that a layer sent back, with its factors.

    JAX hands a gradient on as the same object as long as nothing is added to it. So if a layer receives this very
    object, its spikes went to that one layer only, and the factors say the same as the product.
    """

    def __init__(self):
        self._product: Any = None
        self._factors: Factors | None = None

    def keep(self, product: Array, factors: Factors | None) -> Array:
        """Keep the factors of a product, if it has any that a kernel can read; return the product."""
        self._product, self._factors = product, factors
        return product

    def take(self, gradient, readable: Callable[[Factors], bool]) -> Factors | None:
        """Return the factors of a gradient, if it is the last product that was kept and its reader can read them."""
        factors = self._factors if self._product is gradient else None
        self._product = self._factors = None
        return factors if factors is not None and readable(factors) else None


sent_back = SentBack()


class Call(NamedTuple):
    """Shapes of one call."""

    batch: int
    steps: int
    tiles: int
    units: int
    blocks: int

    @classmethod
    def of(cls, options: Options, steps: int, weights: Array, source: Source, devices: int = 1) -> "Call":
        """Read the shapes from the arguments of a kernel: those of one of some devices, which share all blocks."""
        batch = batch_of(source)
        tiles, units = weights.shape[0] * options.pixels, weights.shape[1]
        affordable = _BLOCK_BYTES // max(1, 4 * weights.size)
        wanted = batch * devices // (_BLOCK_SAMPLES if options.pixels == 1 else _BLOCK_IMAGES)
        wanted = max(_MIN_BLOCKS, min(wanted, _MAX_BLOCKS, affordable))
        blocks = power_of_two(min(wanted, batch * devices))
        return cls(batch, steps, tiles, units, max(1, blocks // devices))

    def options(self, options: Options, **flags: bool) -> np.ndarray:
        """Make the first argument of a kernel."""
        out = np.zeros(at.NUM_OPTIONS, np.int32)
        out[at.BLOCKS], out[at.STEPS], out[at.PIXELS] = self.blocks, self.steps, options.pixels
        out[at.SOURCE : at.ADAPTS + 1] = options[:6]
        for name, flag in flags.items():
            out[getattr(at, name.upper())] = flag
        return np.concatenate([out, np.asarray(options.grid, np.int32)])

    def over_time(self) -> jax.ShapeDtypeStruct:
        """Shape of an array with a value for every neuron and step."""
        return jax.ShapeDtypeStruct((self.batch, self.steps, self.tiles * LANES), jnp.float32)

    def per_sample(self) -> jax.ShapeDtypeStruct:
        """Shape of an array with a value for every neuron and sample."""
        return jax.ShapeDtypeStruct((self.batch, self.tiles * LANES), jnp.float32)


_NOTHING = jax.ShapeDtypeStruct((0, 0, 0), jnp.float32)


def batch_of(source: Source) -> int:
    """Return the number of samples."""
    return max(len(source.times), len(source.bits), len(source.current))


def power_of_two(count: int) -> int:
    """Return the largest power of two that is at most `count`, at least 1.

    Example:
        >>> [power_of_two(count) for count in (1, 3, 4, 15)]
        [1, 2, 4, 8]
    """
    return 1 << max(0, count.bit_length() - 1)


def even_blocks(samples: int, devices: int) -> int:
    """Return the number of blocks of a kernel without parameters, with the samples of one of some devices."""
    return max(1, power_of_two(min(samples * devices, _MAX_BLOCKS)) // devices)


def _outside(source: Source) -> Source:
    """Let every device have the whole of what comes from outside of the kernels."""
    return source._replace(times=whole(source.times), units=whole(source.units), current=whole(source.current))


def foreign(target: str, results, *arguments):
    """Call a kernel; its results vary over the axes of a mesh over which its arguments do."""
    # Under vmap one call runs after the other: a batch of batches is rare, and a call is quick.
    call = functools.partial(no_more, jax.ffi.ffi_call(target, results, vmap_method="sequential"))
    axes = varying(arguments)
    return spread(call(*arguments), axes) if axes else call(*arguments)


def added(sums: Float[Array, "part ..."]) -> Float[Array, "..."]:
    """Add the sums of parts of the batch in pairs, and these in pairs, as a kernel does with its blocks.

    The result comes out of a call, in the shape in which it comes out of a kernel that had all samples: so XLA compiles
    what reads it in the same way, and rounds it in the same way.
    """
    total = jax.ShapeDtypeStruct(sums.shape[1:], jnp.float32)
    return foreign("snnlab_add", [total], np.array([1, np.prod(total.shape)], np.int32), sums)[0]


def check_shared(batch: int, blocks: int) -> None:
    """Check that the devices, if they share the samples, can share the sums of gradients, too.

    Raises:
        ArgumentError: if not.
    """
    devices = sharing()
    parts, left = divmod(blocks, devices)
    if devices > 1 and batch % devices == 0 and (left or parts != power_of_two(parts)):
        most = power_of_two(blocks & -blocks)
        raise ArgumentError(
            f"devices: the gradients of {batch} samples are summed in {blocks} parts, which {devices} devices cannot "
            f"share evenly; use {most} devices or fewer (a power of two), or larger batches"
        )


def call_arguments(options: np.ndarray, params, weights, source: Source) -> tuple:
    return jnp.asarray(options), params, weights, source.times, source.units, source.bits, source.current


def fire(target: str, options: Options, steps: int, params, weights, source: Source):
    """Run a spiking kernel: the spikes as carrier and as bits, their counts, and the voltages.

    Inside `jit`, results that nobody reads are not computed.
    """

    def call(states: bool, devices: int, params, weights, source):
        call = Call.of(options, steps, weights, source, devices)
        bits = jax.ShapeDtypeStruct((call.batch, call.tiles, steps), jnp.uint16)
        results = (bits, call.per_sample(), call.over_time() if states else _NOTHING)
        return foreign(target, results, *call_arguments(call.options(options, states=states), params, weights, source))

    fired, counts, _ = on_devices(functools.partial(call, False), params, weights, source, results=3)
    _, _, states = on_devices(functools.partial(call, True), params, weights, source, results=3)
    return unpack(whole(fired)), fired, whole(counts), whole(states)


def on_devices(call, params, weights, source: Source, *, results: int) -> tuple:
    """Run a kernel forward, on several devices each with its samples; all results have an entry for each sample."""
    source = _outside(source)
    return share_out(call, batch_of(source), (params, weights, source), (None, None, 0), (0,) * results, added)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _lif(options: Options, steps: int, params, weights, source: Source):
    return fire("snnlab_lif", options, steps, params, weights, source)


def _lif_forward(options, steps, params, weights, source):
    arguments = values((params, weights, source))
    return _lif(options, steps, *arguments), (*arguments, Static(params.perturbed))


def spikes_back(target: str, options: Options, steps: int, saved, cotangents, factors: Factors | None, *more):
    """Run the backward kernel of a spiking one: the gradients of parameters and weights, and of the arriving current.

    Args:
        target: name of the kernel.
        options, steps: as for `fire`.
        saved: parameters, weights, source, and whether the parameters have a gradient.
        cotangents: gradients of the results of `fire`.
        factors: of the gradient of the spikes, or None.
        *more: further arguments of the kernel.
    """
    *primals, learns = saved
    d_carrier, _, d_counts, d_states = cotangents
    none = jnp.zeros((0, 0, 0), jnp.float32)
    flags = {"learns": bool(learns), "states": not is_zero(d_states), "spikes": not is_zero(d_carrier)}
    d_spikes, onward = whole(d_carrier) if flags["spikes"] else none, none
    if factors is not None:
        d_spikes, onward = factors.d_current, factors.onward
        flags["spikes"] = not factors.grid  # by themselves, or times `onward`
    d_states = whole(d_states) if flags["states"] else none
    incoming = (d_spikes, whole(filled(d_counts)), d_states)
    return gradient(target, options, steps, flags, primals, incoming, (onward, *more))


def _lif_backward(options, steps, saved, cotangents):
    factors = sent_back.take(cotangents[0], lambda factors: not factors.grid or factors.grid[at.SIZE_ROWS] == 0)
    own = options._replace(grid=(factors and factors.grid) or NO_GRID)
    d_params, d_weights, d_input = spikes_back("snnlab_lif_gradient", own, steps, saved, cotangents, factors)
    return d_params, d_weights, source_gradient(options, saved[1], saved[2], d_input)


def gradient(target: str, options: Options, steps: int, flags, primals, incoming, onward=()):
    """Run a backward kernel: the gradients of parameters and weights, and of the arriving current if it is wanted.

    Args:
        target, options, steps: as for `fire`.
        flags: options of the backward kernel.
        primals: parameters, weights and source.
        incoming: gradients of results, which have an entry for each sample.
        onward: further arguments, which have none.
    """
    inputs = options.source != at.FROM_EVENTS

    def call(devices: int, params, weights, source, incoming, onward):
        call = Call.of(options, steps, weights, source, devices)
        sums = [weights.shape, (at.LEARNED, params.shape[1])]
        of_blocks = [jax.ShapeDtypeStruct((call.blocks, *shape), jnp.float32) for shape in sums]
        results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in sums]
        d_input = call.per_sample() if options.source == at.FROM_STEADY else call.over_time()
        results += [d_input if inputs else _NOTHING, *of_blocks]
        arguments = call_arguments(call.options(options, inputs=inputs, **flags), params, weights, source)
        return foreign(target, results, *arguments, *incoming, *onward)[:3]

    params, weights, source = primals
    source = _outside(source)
    batch = batch_of(source)
    check_shared(batch, Call.of(options, steps, weights, source).blocks)
    arguments, axes, out = (params, weights, source, incoming, onward), (None, None, 0, 0, None), (SUMMED, SUMMED, 0)
    d_weights, d_params, d_input = share_out(call, batch, arguments, axes, out, added)
    return jnp.pad(d_params, ((0, at.NUM_PARAMS - at.LEARNED), (0, 0))), d_weights, d_input


def source_gradient(options: Options, weights: Array, source: Source, d_input: Array) -> Source:
    """Compute the gradient of a source from that of the current that it makes."""
    d_carrier, d_current = jnp.zeros_like(source.carrier), jnp.zeros_like(source.current)
    if options.source == at.FROM_BITS:
        left = jnp.pad(d_input, ((0, 0), (0, options.delay), (0, 0)))[:, options.delay :]  # at t, and arrived later
        onward = weights[:, : d_carrier.shape[2]].swapaxes(1, 2).reshape(-1, d_carrier.shape[2])[: options.features]
        factors = Factors(left, onward.reshape(len(onward), -1, LANES).swapaxes(0, 1))
        d_carrier = sent_back.keep(whole(left)[..., : len(onward)] @ onward, factors)
    elif options.source == at.FROM_CURRENT:
        d_current = whole(d_input)
    return source._replace(carrier=d_carrier, current=d_current, **NO_GRADIENT)


NO_GRADIENT = dict.fromkeys(("times", "units", "bits"))  # of integers


_lif.defvjp(_lif_forward, _lif_backward, symbolic_zeros=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _filter(options: Options, steps: int, params, weights, source: Source):
    """Exponential synapse and leaky neuron (a decay of 0 leaves either out): the trace, and its maximum over time."""

    def call(states: bool, devices: int, params, weights, source):
        call = Call.of(options, steps, weights, source, devices)
        results = (call.over_time() if states else _NOTHING, call.per_sample())
        arguments = call_arguments(call.options(options, states=states), params, weights, source)
        return foreign("snnlab_filter", results, *arguments)

    trace, _ = on_devices(functools.partial(call, True), params, weights, source, results=2)
    _, peak = on_devices(functools.partial(call, False), params, weights, source, results=2)
    return whole(trace), whole(peak)


def _filter_forward(options, steps, params, weights, source):
    arguments = values((params, weights, source))
    return _filter(options, steps, *arguments), (*arguments, Static(params.perturbed))


def _filter_backward(options, steps, saved, cotangents):
    *primals, learns = saved
    d_trace, d_peak = cotangents
    flags = {"learns": bool(learns), "states": not is_zero(d_trace), "peaks": not is_zero(d_peak)}
    d_trace = whole(d_trace) if flags["states"] else jnp.zeros((0, 0, 0), jnp.float32)
    incoming = (d_trace, whole(filled(d_peak)))
    d_params, d_weights, d_input = gradient("snnlab_filter_gradient", options, steps, flags, primals, incoming)
    return d_params, d_weights, source_gradient(options, primals[1], primals[2], d_input)


_filter.defvjp(_filter_forward, _filter_backward, symbolic_zeros=True)


def lif(drive: Drive, params: LifParams, options: Options, *, dt: float):
    """LIF neurons over the sequence, behind an exponential synapse if the drive has one.

    Args:
        drive: input of the neurons; behind a convolution, the currents that come out of it.
        params: see `dynamics.LifParams`, of each neuron or channel; voltages are measured from rest, so `v_rest` is not
            read.
        options: surrogate and kind of reset; the drive says the others.
        dt: time step [ms].

    Returns:
        The spikes as `Packed`, their counts `(batch, n)`, and the voltages after the reset `(time, batch, n)`.
    """
    weights, source, options = feed(drive, options)
    every = jnp.tile(lif_rows(drive, params, dt), (1, _pixels(drive)))
    results: Any = _lif(options, drive.num_steps, *alike(every, weights, source))
    return fired(drive, *results)


def lif_rows(drive: Drive, params: LifParams, dt: float) -> Float[Array, "params padded"]:
    return _padded(rows.lif_rows(drive, params, dt))


def fired(drive: Drive, carrier, bits, counts, states):
    """Turn the results of a spiking kernel into those of `lif`."""
    n, pixels = drive.features, _pixels(drive)
    packed = Packed(bits=bits, carrier=carrier, num_units=n, pixels=pixels)
    return packed, without_padding(counts, n, pixels), from_tiles(states, n, pixels)


def leaky(drive: Drive, tau_mem: Float[Array, "..."] | None, *, dt: float):
    """Leaky integrators over the sequence, behind an exponential synapse if the drive has one.

    Without `tau_mem` the trace is the current of the drive itself.

    Returns:
        The traces `(time, batch, n)`, and their maximum over time `(batch, n)`.
    """
    own = {} if tau_mem is None else {at.DECAY_MEM: decay(tau_mem, dt)}
    weights, source, options = feed(drive, Options())
    results: Any = _filter(options, drive.num_steps, *alike(_padded(rows.all_rows(drive, own, dt)), weights, source))
    trace, peak = results
    return from_tiles(trace, drive.features), peak[:, : drive.features]


def _padded(constants: Float[Array, "params n"]) -> Float[Array, "params padded"]:
    return jnp.concatenate([constants, np.repeat(rows.DEFAULT, -constants.shape[1] % LANES, axis=1)], axis=1)


def feed(drive: Drive, options: Options) -> tuple[Float[Array, "tile unit lane"], Source, Options]:
    """Weights in tiles, the source that they weigh, and the options that say which it is."""
    x, options = drive.x, options._replace(delay=drive.delay, features=drive.features)
    if isinstance(x, SpikeTimes):
        units = jnp.arange(x.num_units, dtype=jnp.int32)[None] if x.units is None else x.int32("units")
        return tiles(drive.weights), source_of(times=x.int32("times"), units=units), options
    if isinstance(x, Packed):
        source = source_of(bits=x.bits, carrier=x.carrier)
        return tiles(pad(drive.weights, 0, pixels=x.pixels)), source, options._replace(source=at.FROM_BITS)
    current = to_tiles(drive.arriving(), _pixels(drive))
    none = jnp.zeros((current.shape[2] // LANES, 0, LANES), jnp.float32)
    return none, source_of(current=current), options._replace(source=at.FROM_CURRENT)


def _pixels(drive: Drive) -> int:
    """The number of places at which the drive has neurons; they share the parameters of their channel."""
    return 1 if drive.window is None else drive.window.pixels


def tiles(kernel: Float[Array, "pre post"]) -> Float[Array, "tile pre lane"]:
    """Weights in tiles of 16 neurons, the last one padded."""
    return pad(kernel, 1).reshape(len(kernel), -1, LANES).swapaxes(0, 1)
