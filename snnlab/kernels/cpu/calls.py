"""The LIF and filter kernels as JAX functions: shapes, paddings and derivatives around the code that numba compiled.

Their cost grows with the number of spikes, not with time times inputs. Sums have a fixed order, whatever the number of
threads, so the same input gives the same bits.

Spikes are bits and have no gradient; a float array beside them, the *carrier*, has it. If all spikes of a layer go
to one other layer, that gradient is a product of two small factors, `dL/ds = dL/dI W^T`. `SentBack` then hands the
factors to the kernel of the first layer, which multiplies by itself, and the large product is never computed.
"""

import functools
import threading
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Int, UInt16

import snnlab.kernels.cpu.filter
import snnlab.kernels.cpu.lif  # noqa: F401 (both register targets of the FFI)
from snnlab.dynamics import LifParams, approach, decay
from snnlab.encode import SpikeTimes
from snnlab.kernels.axes import alike, spread, varying
from snnlab.kernels.cpu import layout as at
from snnlab.kernels.drive import Drive
from snnlab.kernels.orders import no_more
from snnlab.kernels.packed import LANES, Packed, from_tiles, pad, to_tiles, unpack, without_padding

# Blocks of the batch: enough that all threads share evenly, few enough that adding their sums costs nothing.
_MIN_BLOCKS, _MAX_BLOCKS, _BLOCK_SAMPLES = 2, 16, 64
_BLOCK_IMAGES = 8  # samples of a convolution, which take much longer each
_BLOCK_BYTES = 1 << 26  # for the gradients of the weights, because every block has its own sum


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
    current: Float[Array, "batch time post"]


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
    grid: tuple[int, ...] = ()  # of a convolution, as an option of its kernel
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

    def take(self, gradient) -> Factors | None:
        """Return the factors of a gradient, if it is the last product that was kept; forget them."""
        factors = self._factors if self._product is gradient else None
        self._product = self._factors = None
        return factors


sent_back = SentBack()


class Call(NamedTuple):
    """Shapes of one call."""

    batch: int
    steps: int
    tiles: int
    units: int
    blocks: int

    @classmethod
    def of(cls, options: Options, steps: int, weights: Array, source: Source) -> "Call":
        """Read the shapes from the arguments of a kernel."""
        batch = max(len(source.times), len(source.bits), len(source.current))
        tiles, units = weights.shape[0] * options.pixels, weights.shape[1]
        affordable = _BLOCK_BYTES // max(1, 4 * weights.size)
        wanted = max(_MIN_BLOCKS, batch // (_BLOCK_SAMPLES if options.pixels == 1 else _BLOCK_IMAGES))
        return cls(batch, steps, tiles, units, max(1, min(wanted, _MAX_BLOCKS, batch, affordable)))

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


def foreign(target: str, results, *arguments):
    """Call a kernel; its results vary over the axes of a mesh over which its arguments do."""
    # Under vmap one call runs after the other: a batch of batches is rare, and a call is quick.
    call = functools.partial(no_more, jax.ffi.ffi_call(target, results, vmap_method="sequential"))
    axes = varying(arguments)
    return spread(call(*arguments), axes) if axes else call(*arguments)


def _arguments(options: np.ndarray, params, weights, source: Source) -> tuple:
    return jnp.asarray(options), params, weights, source.times, source.units, source.bits, source.current


def fire(target: str, options: Options, steps: int, params, weights, source: Source):
    """Run a spiking kernel: the spikes as carrier and as bits, their counts, and the voltages.

    Inside `jit`, results that nobody reads are not computed.
    """
    call = Call.of(options, steps, weights, source)
    bits = jax.ShapeDtypeStruct((call.batch, call.tiles, steps), jnp.uint16)

    def run(states: bool):
        results = (bits, call.per_sample(), call.over_time() if states else _NOTHING)
        return foreign(target, results, *_arguments(call.options(options, states=states), params, weights, source))

    fired, counts, _ = run(states=False)
    return unpack(fired), fired, counts, run(states=True)[2]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _lif(options: Options, steps: int, params, weights, source: Source):
    return fire("snnlab_lif", options, steps, params, weights, source)


def values(tree):
    """Unwrap the arguments of a forward rule that also hears which of them are perturbed."""
    return jax.tree.map(lambda leaf: leaf.value, tree, is_leaf=lambda leaf: hasattr(leaf, "perturbed"))


def _lif_forward(options, steps, params, weights, source):
    arguments = values((params, weights, source))
    return _lif(options, steps, *arguments), (*arguments, Static(params.perturbed))


@jax.tree_util.register_static
class Static(int):
    """A number among the residuals that is known while tracing."""


def _is_zero(cotangent) -> bool:
    return isinstance(cotangent, SymbolicZero)


def _filled(cotangent) -> Array:
    """Make an array of a gradient that may be a symbolic zero."""
    return jnp.zeros(cotangent.shape, cotangent.dtype) if _is_zero(cotangent) else cotangent


def fire_back(target: str, options: Options, steps: int, saved, cotangents, *more):
    """Run the backward kernel of a spiking one: the gradients of parameters, weights and source.

    Args:
        target: name of the kernel.
        options, steps: as for `fire`.
        saved: parameters, weights, source, and whether the parameters have a gradient.
        cotangents: gradients of the results of `fire`.
        *more: further arguments of the kernel.
    """
    factors = sent_back.take(cotangents[0])
    factors = None if factors is None or factors.grid else factors  # those of a convolution are read by another kernel
    d_params, d_weights, d_input = spikes_back(target, options, steps, saved, cotangents, factors, *more)
    return d_params, d_weights, _source_gradient(options, saved[1], saved[2], d_input)


def spikes_back(target: str, options: Options, steps: int, saved, cotangents, factors: Factors | None, *more):
    """Run the backward kernel of a spiking one: the gradients of parameters and weights, and of the arriving current.

    Args:
        target, options, steps, saved, cotangents, more: as for `fire_back`.
        factors: of the gradient of the spikes, or None.
    """
    *primals, learns = saved
    d_carrier, _, d_counts, d_states = cotangents
    none = jnp.zeros((0, 0, 0), jnp.float32)
    flags = {"learns": bool(learns), "states": not _is_zero(d_states), "spikes": not _is_zero(d_carrier)}
    d_spikes, onward = d_carrier if flags["spikes"] else none, none
    if factors is not None:
        d_spikes, onward = factors.d_current, factors.onward
        flags["spikes"] = not factors.grid  # by themselves, or times `onward`
    d_states = d_states if flags["states"] else none
    return _gradient(target, options, steps, flags, primals, d_spikes, _filled(d_counts), d_states, onward, *more)


def _lif_backward(options, steps, saved, cotangents):
    return fire_back("snnlab_lif_gradient", options, steps, saved, cotangents)


def _gradient(target: str, options: Options, steps: int, flags, primals, *cotangents):
    """Run a backward kernel: the gradients of parameters and weights, and of the arriving current if it is wanted."""
    params, weights, source = primals
    call = Call.of(options, steps, weights, source)
    inputs = options.source != at.FROM_EVENTS
    sums = [weights.shape, (at.LEARNED, params.shape[1])]
    of_blocks = [jax.ShapeDtypeStruct((call.blocks, *shape), jnp.float32) for shape in sums]
    results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in sums]
    results += [call.over_time() if inputs else _NOTHING, *of_blocks]
    arguments = _arguments(call.options(options, inputs=inputs, **flags), params, weights, source)
    d_weights, d_params, d_input, *_ = foreign(target, results, *arguments, *cotangents)
    return jnp.pad(d_params, ((0, at.NUM_PARAMS - at.LEARNED), (0, 0))), d_weights, d_input


def _source_gradient(options: Options, weights: Array, source: Source, d_input: Array) -> Source:
    """Compute the gradient of a source from that of the current that it makes."""
    d_carrier, d_current = jnp.zeros_like(source.carrier), jnp.zeros_like(source.current)
    if options.source == at.FROM_BITS:
        left = jnp.pad(d_input, ((0, 0), (0, options.delay), (0, 0)))[:, options.delay :]  # at t, and arrived later
        onward = weights[:, : d_carrier.shape[2]].swapaxes(1, 2).reshape(-1, d_carrier.shape[2])[: options.features]
        factors = Factors(left, onward.reshape(len(onward), -1, LANES).swapaxes(0, 1))
        d_carrier = sent_back.keep(left[..., : len(onward)] @ onward, factors)
    elif options.source == at.FROM_CURRENT:
        d_current = d_input
    return source._replace(carrier=d_carrier, current=d_current, **NO_GRADIENT)


NO_GRADIENT = dict.fromkeys(("times", "units", "bits"))  # of integers


_lif.defvjp(_lif_forward, _lif_backward, symbolic_zeros=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _filter(options: Options, steps: int, params, weights, source: Source):
    """Exponential synapse and leaky neuron (a decay of 0 leaves either out): the trace, and its maximum over time."""
    call = Call.of(options, steps, weights, source)

    def run(states: bool):
        results = (call.over_time() if states else _NOTHING, call.per_sample())
        arguments = _arguments(call.options(options, states=states), params, weights, source)
        return foreign("snnlab_filter", results, *arguments)

    return run(states=True)[0], run(states=False)[1]


def _filter_forward(options, steps, params, weights, source):
    arguments = values((params, weights, source))
    return _filter(options, steps, *arguments), (*arguments, Static(params.perturbed))


def _filter_backward(options, steps, saved, cotangents):
    *primals, learns = saved
    d_trace, d_peak = cotangents
    flags = {"learns": bool(learns), "states": not _is_zero(d_trace), "peaks": not _is_zero(d_peak)}
    d_trace = d_trace if flags["states"] else jnp.zeros((0, 0, 0), jnp.float32)
    d_params, d_weights, d_input = _gradient(
        "snnlab_filter_gradient", options, steps, flags, primals, d_trace, _filled(d_peak)
    )
    return d_params, d_weights, _source_gradient(options, primals[1], primals[2], d_input)


_filter.defvjp(_filter_forward, _filter_backward, symbolic_zeros=True)


def lif(drive: Drive, params: LifParams, options: Options, *, dt: float):
    """LIF neurons over the sequence, behind an exponential synapse if the drive has one.

    Args:
        drive: input of the neurons.
        params: see `dynamics.LifParams`; voltages are measured from rest, so `v_rest` is not read.
        options: surrogate and kind of reset; the drive says the others.
        dt: time step [ms].

    Returns:
        The spikes as `Packed`, their counts `(batch, n)`, and the voltages after the reset `(time, batch, n)`.
    """
    weights, source, options = feed(drive, options)
    results: Any = _lif(options, drive.num_steps, *alike(lif_rows(drive, params, dt), weights, source))
    return fired(drive, *results)


def lif_rows(drive: Drive, params: LifParams, dt: float) -> Float[Array, "params padded"]:
    rows = {
        at.DECAY_MEM: decay(params.tau_mem, dt),
        at.GAIN: approach(params.tau_mem, dt) * params.r,
        at.V_TH: params.v_th,
        at.V_RESET: params.v_reset,
        at.HOLD: params.tau_ref / dt + 1e-3,  # as in `dynamics.lif_step`
        at.SLOPE: params.slope / params.v_scale,
        at.PEAK: 1.0 / params.v_scale,
    }
    if params.beta is not None and params.tau_adapt is not None:
        rows |= {at.DECAY_ADAPT: decay(params.tau_adapt, dt), at.BETA: params.beta}
    return _rows(drive, rows, dt)


def fired(drive: Drive, carrier, bits, counts, states):
    """Turn the results of a spiking kernel into those of `lif`."""
    n, pixels = drive.features, 1 if drive.window is None else drive.window.pixels
    packed = Packed(bits=bits, carrier=carrier, num_units=n, pixels=pixels)
    return packed, without_padding(counts, n, pixels), from_tiles(states, n, pixels)


def leaky(drive: Drive, tau_mem: Float[Array, "..."] | None, *, dt: float):
    """Leaky integrators over the sequence, behind an exponential synapse if the drive has one.

    Without `tau_mem` the trace is the current of the drive itself.

    Returns:
        The traces `(time, batch, n)`, and their maximum over time `(batch, n)`.
    """
    rows = {} if tau_mem is None else {at.DECAY_MEM: decay(tau_mem, dt)}
    weights, source, options = feed(drive, Options())
    results: Any = _filter(options, drive.num_steps, *alike(_rows(drive, rows, dt), weights, source))
    trace, peak = results
    return from_tiles(trace, drive.features), peak[:, : drive.features]


def _rows(drive: Drive, rows: dict[int, Array], dt: float) -> Float[Array, "params padded"]:
    """Make the array of all parameters, one value per neuron; those that are not in `rows` are 0."""
    if drive.bias is not None:
        rows[at.BIAS] = drive.bias
    if drive.tau_syn is not None:
        rows[at.DECAY_SYN] = decay(drive.tau_syn, dt)
    # A padded neuron has a threshold that its zero current does not reach.
    fill, n = np.zeros((at.NUM_PARAMS, 1), np.float32), drive.features
    n = n if drive.window is None else n // drive.window.pixels  # all pixels share them
    fill[[at.V_TH, at.SLOPE, at.PEAK]] = 1.0
    own = [jnp.broadcast_to(rows[k], (1, n)) if k in rows else fill[k].repeat(n)[None] for k in range(at.NUM_PARAMS)]
    return jnp.concatenate([jnp.concatenate(own), np.repeat(fill, -n % LANES, axis=1)], axis=1)


def feed(drive: Drive, options: Options) -> tuple[Float[Array, "tile unit lane"], Source, Options]:
    """Weights in tiles, the source that they weigh, and the options that say which it is."""
    x, options = drive.x, options._replace(delay=drive.delay, features=drive.features)
    if isinstance(x, SpikeTimes):
        units = jnp.arange(x.num_units, dtype=jnp.int32)[None] if x.units is None else x.int32("units")
        return tiles(drive.weights), source_of(times=x.int32("times"), units=units), options
    if isinstance(x, Packed):
        source = source_of(bits=x.bits, carrier=x.carrier)
        return tiles(pad(drive.weights, 0, pixels=x.pixels)), source, options._replace(source=at.FROM_BITS)
    none = jnp.zeros((-(-drive.features // LANES), 0, LANES), jnp.float32)
    return none, source_of(current=to_tiles(drive.arriving())), options._replace(source=at.FROM_CURRENT)


def tiles(kernel: Float[Array, "pre post"]) -> Float[Array, "tile pre lane"]:
    """Weights in tiles of 16 neurons, the last one padded."""
    return pad(kernel, 1).reshape(len(kernel), -1, LANES).swapaxes(0, 1)
