"""Kernels for the CPU as JAX functions: shapes, paddings and derivatives around what numba compiled.

Their cost grows with the number of spikes, not with time times inputs. Sums have a fixed order, whatever the number
of threads: the same input gives the same bits.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Int, UInt16

import snnlab.kernels.cpu.filter
import snnlab.kernels.cpu.lif  # noqa: F401 (both register targets of the FFI)
from snnlab.dynamics import LifParams, decay
from snnlab.encode import SpikeTimes
from snnlab.kernels.cpu import layout as at
from snnlab.kernels.drive import Drive
from snnlab.kernels.packed import LANES, Packed, from_tiles, pad, to_tiles, unpack

# Of the batch: enough for all threads to share evenly, few enough that adding their sums costs nothing.
_MIN_BLOCKS, _MAX_BLOCKS, _BLOCK_SAMPLES = 2, 16, 64
_BLOCK_BYTES = 1 << 26  # for the gradients of the weights, which every block sums apart


_NARROW = 32  # outputs: up to here the kernel multiplies by their weights itself; beyond, a matrix product is quicker


class Options(NamedTuple):
    """What is fixed when a program is traced; see `layout` for the meaning."""

    source: int = at.FROM_EVENTS
    delay: int = 0
    surrogate: int = 0
    value_reset: bool = False
    detach_reset: bool = False
    factored: bool = False  # the gradient of packed spikes goes back as that of the current they make


class Source(NamedTuple):
    """What drives the neurons: events, packed spikes, or a current; what does not apply is empty."""

    times: Int[Array, "batch events"]
    units: Int[Array, "rows events"]
    bits: UInt16[Array, "batch tile time"]
    carrier: Float[Array, "batch time pre"]  # of the gradient of the bits: as spikes, or as the current they make
    current: Float[Array, "batch time post"]


def _source(times=None, units=None, bits=None, carrier=None, current=None) -> Source:
    none = jnp.zeros((0, 0, 0))
    return Source(
        jnp.zeros((0, 0), jnp.int32) if times is None else times,
        jnp.zeros((0, 0), jnp.int32) if units is None else units,
        none.astype(jnp.uint16) if bits is None else bits,
        none if carrier is None else carrier,
        none if current is None else current,
    )


class Call(NamedTuple):
    """Shapes of one call."""

    batch: int
    steps: int
    tiles: int
    units: int
    blocks: int

    @classmethod
    def of(cls, steps: int, weights: Array, source: Source) -> "Call":
        """From the arguments of a kernel."""
        batch = max(len(source.times), len(source.bits), len(source.current))
        tiles, units, _ = weights.shape
        affordable = _BLOCK_BYTES // max(1, 4 * weights.size)
        wanted = max(_MIN_BLOCKS, batch // _BLOCK_SAMPLES)
        return cls(batch, steps, tiles, units, max(1, min(wanted, _MAX_BLOCKS, batch, affordable)))

    def options(self, options: Options, **flags: bool) -> np.ndarray:
        """The first argument of a kernel."""
        out = np.zeros(at.NUM_OPTIONS, np.int32)
        out[at.BLOCKS], out[at.STEPS] = self.blocks, self.steps
        out[at.SOURCE : at.DETACH_RESET + 1] = options[:-1]
        for name, flag in flags.items():
            out[getattr(at, name.upper())] = flag
        return out

    def over_time(self) -> jax.ShapeDtypeStruct:
        """An array with a value for every neuron and step."""
        return jax.ShapeDtypeStruct((self.batch, self.steps, self.tiles * LANES), jnp.float32)

    def per_sample(self) -> jax.ShapeDtypeStruct:
        """An array with a value for every neuron and sample."""
        return jax.ShapeDtypeStruct((self.batch, self.tiles * LANES), jnp.float32)


_NOTHING = jax.ShapeDtypeStruct((0, 0, 0), jnp.float32)


def _ffi(target: str, results, *arguments):
    # vmap runs one call after the other: a batch of batches is rare, and a call is quick.
    return jax.ffi.ffi_call(target, results, vmap_method="sequential")(*arguments)


def _arguments(options: np.ndarray, params, weights, source: Source) -> tuple:
    return jnp.asarray(options), params, weights, source.times, source.units, source.bits, source.current


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _lif(options: Options, steps: int, params, weights, onward, source: Source):
    """Spikes as carrier, as the current they make onward, as bits, their counts, and the voltages.

    What nobody reads is not computed. `onward` has no gradient here: it has one where the next layer uses it.
    """
    call = Call.of(steps, weights, source)
    bits = jax.ShapeDtypeStruct((call.batch, call.tiles, steps), jnp.uint16)

    def run(states: bool):
        results = (bits, call.per_sample(), call.over_time() if states else _NOTHING)
        return _ffi("snnlab_lif", results, *_arguments(call.options(options, states=states), params, weights, source))

    fired, counts, _ = run(states=False)
    carrier = unpack(fired)
    return carrier, pad(carrier @ onward.T, 2), fired, counts, run(states=True)[2]


def _value(tree):
    """What symbolic-zero-aware rules are given is wrapped; take it out."""
    return jax.tree.map(lambda leaf: leaf.value, tree, is_leaf=lambda leaf: hasattr(leaf, "perturbed"))


def _lif_forward(options, steps, params, weights, onward, source):
    learns = params.perturbed
    arguments = _value((params, weights, onward, source))
    return _lif(options, steps, *arguments), (*arguments, _Static(learns))


@jax.tree_util.register_static
class _Static(int):
    """A number that is known while tracing, among residuals."""


def _is_zero(cotangent) -> bool:
    return isinstance(cotangent, SymbolicZero)


def _filled(cotangent) -> Array:
    """A gradient that is zero as an array of zeros."""
    return jnp.zeros(cotangent.shape, cotangent.dtype) if _is_zero(cotangent) else cotangent


def _lif_backward(options, steps, saved, cotangents):
    params, weights, onward, source, learns = saved
    d_carrier, d_current, _, d_counts, d_states = cotangents
    none = jnp.zeros((0, 0, 0))
    factored = not _is_zero(d_current)
    if factored and not _is_zero(d_carrier):  # read as single spikes too: one form for both
        d_carrier, factored = d_carrier + d_current[..., : len(onward)] @ onward, False
    flags = {"learns": bool(learns), "states": not _is_zero(d_states)}
    flags["spikes"] = factored or not _is_zero(d_carrier)
    d_spikes = d_current if factored else d_carrier if flags["spikes"] else none
    gradients = _gradient(
        "snnlab_lif_gradient",
        Call.of(steps, weights, source),
        options,
        flags,
        (params, weights, source),
        d_spikes,
        _filled(d_counts),
        d_states if flags["states"] else none,
        onward if factored else onward[:0],
    )
    return *gradients[:2], None, gradients[2]


def _gradient(target: str, call: Call, options, flags, primals, *cotangents):
    params, weights, source = primals
    inputs = options.source != at.FROM_EVENTS
    sums = [weights.shape, (at.LEARNED, params.shape[1])]
    of_blocks = [jax.ShapeDtypeStruct((call.blocks, *shape), jnp.float32) for shape in sums]
    results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in sums]
    results += [call.over_time() if inputs else _NOTHING, *of_blocks]
    arguments = _arguments(call.options(options, inputs=inputs, **flags), params, weights, source)
    d_weights, d_params, d_input, *_ = _ffi(target, results, *arguments, *cotangents)
    d_params = jnp.pad(d_params, ((0, at.NUM_PARAMS - at.LEARNED), (0, 0)))
    d_carrier, d_current = jnp.zeros_like(source.carrier), jnp.zeros_like(source.current)
    if options.source == at.FROM_BITS:  # what left at t arrived later
        d_carrier = jnp.pad(d_input, ((0, 0), (0, options.delay), (0, 0)))[:, options.delay :]
        if not options.factored:
            d_carrier = d_carrier @ weights.swapaxes(1, 2).reshape(-1, call.units)
    elif options.source == at.FROM_CURRENT:
        d_current = d_input
    return d_params, d_weights, Source(None, None, None, d_carrier, d_current)


_lif.defvjp(_lif_forward, _lif_backward, symbolic_zeros=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _filter(options: Options, steps: int, params, weights, source: Source):
    """Exponential synapse and leaky neuron (a decay of 0 leaves one out): the trace, and its maximum over time."""
    call = Call.of(steps, weights, source)

    def run(states: bool):
        results = (call.over_time() if states else _NOTHING, call.per_sample())
        arguments = _arguments(call.options(options, states=states), params, weights, source)
        return _ffi("snnlab_filter", results, *arguments)

    return run(states=True)[0], run(states=False)[1]


def _filter_forward(options, steps, params, weights, source):
    arguments = _value((params, weights, source))
    return _filter(options, steps, *arguments), (*arguments, _Static(params.perturbed))


def _filter_backward(options, steps, saved, cotangents):
    *primals, learns = saved
    d_trace, d_peak = cotangents
    flags = {"learns": bool(learns), "states": not _is_zero(d_trace), "peaks": not _is_zero(d_peak)}
    d_trace = d_trace if flags["states"] else jnp.zeros((0, 0, 0))
    call = Call.of(steps, primals[1], primals[2])
    return _gradient("snnlab_filter_gradient", call, options, flags, primals, d_trace, _filled(d_peak))


_filter.defvjp(_filter_forward, _filter_backward, symbolic_zeros=True)


def lif(drive: Drive, params: LifParams, options: Options, *, dt: float):
    """LIF neurons over the sequence, behind an exponential synapse if the drive has one.

    Args:
        drive: what reaches the neurons.
        params: see `dynamics.LifParams`.
        options: surrogate and kind of reset; the rest is taken from the drive.
        dt: time step [ms].

    Returns:
        The spikes as `Packed`, their counts `(batch, n)`, and the voltages after the reset `(time, batch, n)`.
    """
    weights, source, options = _feed(drive, options)
    results = _lif(options, drive.num_steps, _lif_rows(drive, params, dt), weights, _onward(drive), source)
    return _unpadded(drive, *results)


def _lif_rows(drive: Drive, params: LifParams, dt: float) -> Float[Array, "params padded"]:
    a = decay(params.tau_mem, dt)
    rows = {
        at.DECAY_MEM: a,
        at.GAIN: (1.0 - a) * params.r,
        at.V_REST: params.v_rest,
        at.V_TH: params.v_th,
        at.V_RESET: params.v_reset,
        at.HOLD: params.tau_ref / dt + 1e-3,  # as in `dynamics.lif_step`
        at.SLOPE: params.slope,
    }
    return _rows(drive, rows, dt)


def _onward(drive: Drive) -> Float[Array, "post padded"]:
    """Weights of the layer after if they are known and narrow, else none."""
    narrow = drive.onward is not None and drive.onward.shape[1] <= _NARROW
    return pad(jax.lax.stop_gradient(drive.onward).T if narrow else jnp.zeros((0, drive.features)), 1)


def _unpadded(drive: Drive, carrier, current, bits, counts, states):
    """What `lif` returns, from what its kernel does."""
    current, features = current if current.shape[2] else None, drive.features
    packed = Packed(bits=bits, carrier=carrier, current=current, num_units=features)
    return packed, counts[:, :features], from_tiles(states, features)


def leaky(drive: Drive, tau_mem: Float[Array, "..."] | None, *, dt: float):
    """Leaky integrators over the sequence, behind an exponential synapse if the drive has one; without `tau_mem` the
    current of the drive itself.

    Returns:
        The traces `(time, batch, n)`, and their maximum over time `(batch, n)`.
    """
    rows = {} if tau_mem is None else {at.DECAY_MEM: decay(tau_mem, dt)}
    weights, source, options = _feed(drive, Options())
    trace, peak = _filter(options, drive.num_steps, _rows(drive, rows, dt), weights, source)
    return from_tiles(trace, drive.features), peak[:, : drive.features]


def _rows(drive: Drive, rows: dict[int, Array], dt: float) -> Float[Array, "params padded"]:
    """All parameters, one value per neuron."""
    if drive.bias is not None:
        rows[at.BIAS] = drive.bias
    if drive.tau_syn is not None:
        rows[at.DECAY_SYN] = decay(drive.tau_syn, dt)
    # A padded neuron has a threshold that its zero current does not reach.
    padding = {at.V_TH: 1.0, at.SLOPE: 1.0}
    values = []
    for k in range(at.NUM_PARAMS):
        value = jnp.broadcast_to(rows.get(k, jnp.float32(padding.get(k, 0.0))), (drive.features,))
        values.append(pad(value.astype(jnp.float32), 0, padding.get(k, 0.0)))
    return jnp.stack(values)


def _feed(drive: Drive, options: Options) -> tuple[Float[Array, "tile unit lane"], Source, Options]:
    """Weights in tiles, the source that goes with them, and the options that tell what it is."""
    x, options = drive.x, options._replace(delay=drive.delay)
    if isinstance(x, SpikeTimes):
        units = jnp.arange(x.num_units, dtype=jnp.int32)[None] if x.units is None else x.int32("units")
        return _tiles(drive.kernel), _source(times=x.int32("times"), units=units), options
    if isinstance(x, Packed):
        factored = x.current is not None
        source = _source(bits=x.bits, carrier=x.current if factored else x.carrier)
        return _tiles(pad(drive.kernel, 0)), source, options._replace(source=at.FROM_BITS, factored=factored)
    none = jnp.zeros((-(-drive.features // LANES), 0, LANES))
    return none, _source(current=to_tiles(drive.arriving())), options._replace(source=at.FROM_CURRENT)


def _tiles(kernel: Float[Array, "pre post"]) -> Float[Array, "tile pre lane"]:
    return pad(kernel, 1).reshape(len(kernel), -1, LANES).swapaxes(0, 1)
