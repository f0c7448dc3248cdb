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

from snnlab.dynamics import LifParams, decay
from snnlab.encode import Events
from snnlab.kernels import cpu_filter, cpu_lif  # noqa: F401 (registers the targets)
from snnlab.kernels import layout as at
from snnlab.kernels.drive import Drive
from snnlab.kernels.packed import Packed, from_tiles, pad, to_tiles, unpack

# Of the batch: enough for all threads to share evenly, few enough that adding their sums costs nothing.
_MIN_BLOCKS, _MAX_BLOCKS, _BLOCK_SAMPLES = 2, 16, 64
_BLOCK_BYTES = 1 << 26  # for the gradients of the weights, which every block sums apart


class Options(NamedTuple):
    """What is fixed when a program is traced; see `layout` for the meaning."""

    source: int = at.FROM_EVENTS
    delay: int = 0
    surrogate: int = 0
    value_reset: bool = False
    detach_reset: bool = False


class Source(NamedTuple):
    """What drives the neurons: events, packed spikes, or a current; what does not apply is empty."""

    times: Int[Array, "batch events"]
    units: Int[Array, "rows events"]
    bits: UInt16[Array, "batch tile time"]
    carrier: Float[Array, "batch time pre"]
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
        out[at.SOURCE : at.DETACH_RESET + 1] = options
        for name, flag in flags.items():
            out[getattr(at, name.upper())] = flag
        return out

    def over_time(self) -> jax.ShapeDtypeStruct:
        """An array with a value for every neuron and step."""
        return jax.ShapeDtypeStruct((self.batch, self.steps, self.tiles * at.LANES), jnp.float32)


_NOTHING = jax.ShapeDtypeStruct((0, 0, 0), jnp.float32)


def _ffi(target: str, results, *arguments):
    # vmap runs one call after the other: a batch of batches is rare, and a call is quick.
    return jax.ffi.ffi_call(target, results, vmap_method="sequential")(*arguments)


def _arguments(options: np.ndarray, params, weights, source: Source) -> tuple:
    return jnp.asarray(options), params, weights, source.times, source.units, source.bits, source.current


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _lif(options: Options, steps: int, params, weights, source: Source):
    """Carrier and bits of the spikes, their counts, and the voltages; what nobody reads is not computed."""
    call = Call.of(steps, weights, source)
    width = call.tiles * at.LANES
    bits = jax.ShapeDtypeStruct((call.batch, call.tiles, steps), jnp.uint16)
    counts = jax.ShapeDtypeStruct((call.batch, width), jnp.float32)

    def run(states: bool):
        results = (bits, counts, call.over_time() if states else _NOTHING)
        return _ffi("snnlab_lif", results, *_arguments(call.options(options, states=states), params, weights, source))

    fired, counted, _ = run(states=False)
    return unpack(fired), fired, counted, run(states=True)[2]


def _value(tree):
    """What symbolic-zero-aware rules are given is wrapped; take it out."""
    return jax.tree.map(lambda leaf: leaf.value, tree, is_leaf=lambda leaf: hasattr(leaf, "perturbed"))


def _lif_forward(options, steps, params, weights, source):
    learns = params.perturbed
    arguments = _value((params, weights, source))
    return _lif(options, steps, *arguments), (*arguments, _Static(learns))


@jax.tree_util.register_static
class _Static(int):
    """A number that is known while tracing, among residuals."""


def _or_nothing(cotangent) -> tuple[Array, bool]:
    if isinstance(cotangent, SymbolicZero):
        return jnp.zeros((0, 0, 0)), False
    return cotangent, True


def _lif_backward(options, steps, saved, cotangents):
    params, weights, source, learns = saved
    call = Call.of(steps, weights, source)
    d_spikes, spikes = _or_nothing(cotangents[0])
    d_counts = cotangents[2]
    if isinstance(d_counts, SymbolicZero):
        d_counts = jnp.zeros(d_counts.shape)
    d_states, states = _or_nothing(cotangents[3])
    flags = {"learns": bool(learns), "spikes": spikes, "states": states}
    return _gradient("snnlab_lif_gradient", call, options, flags, params, weights, source, d_spikes, d_counts, d_states)


def _gradient(target: str, call: Call, options, flags, params, weights, source: Source, *cotangents):
    inputs = options.source != at.FROM_EVENTS
    sums = [weights.shape, (at.LEARNED, params.shape[1])]
    of_blocks = [jax.ShapeDtypeStruct((call.blocks, *shape), jnp.float32) for shape in sums]
    results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in sums]
    results += [call.over_time() if inputs else _NOTHING, *of_blocks]
    arguments = _arguments(call.options(options, inputs=inputs, **flags), params, weights, source)
    d_weights, d_params, d_input, *_ = _ffi(target, results, *arguments, *cotangents)
    d_params = jnp.pad(d_params, ((0, at.NUM_PARAMS - at.LEARNED), (0, 0)))
    d_carrier, d_current = jnp.zeros_like(source.carrier), jnp.zeros_like(source.current)
    if options.source == at.FROM_BITS:
        d_late = jnp.pad(d_input, ((0, 0), (0, options.delay), (0, 0)))[
            :, options.delay :
        ]  # what left at t arrived later
        d_carrier = d_late @ weights.swapaxes(1, 2).reshape(-1, call.units)
    elif options.source == at.FROM_CURRENT:
        d_current = d_input
    return d_params, d_weights, Source(None, None, None, d_carrier, d_current)


_lif.defvjp(_lif_forward, _lif_backward, symbolic_zeros=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _filter(options: Options, steps: int, params, weights, source: Source) -> Float[Array, "batch time post"]:
    """Exponential synapse and leaky neuron; a decay of 0 leaves one of them out."""
    call = Call.of(steps, weights, source)
    return _ffi("snnlab_filter", call.over_time(), *_arguments(call.options(options), params, weights, source))


def _filter_forward(options, steps, params, weights, source):
    arguments = _value((params, weights, source))
    return _filter(options, steps, *arguments), (*arguments, _Static(params.perturbed))


def _filter_backward(options, steps, saved, cotangent):
    params, weights, source, learns = saved
    call = Call.of(steps, weights, source)
    if isinstance(cotangent, SymbolicZero):
        cotangent = jnp.zeros(cotangent.shape)
    return _gradient(
        "snnlab_filter_gradient", call, options, {"learns": bool(learns)}, params, weights, source, cotangent
    )


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
    weights, source, kind = _feed(drive)
    options = options._replace(source=kind, delay=drive.delay)
    carrier, bits, counts, states = _lif(options, drive.num_steps, _rows(drive, rows, dt), weights, source)
    features = drive.features
    packed = Packed(bits=bits, carrier=carrier, num_units=features)
    return packed, counts[:, :features], from_tiles(states, features)


def leaky(drive: Drive, tau_mem: Float[Array, "..."] | None, *, dt: float) -> Float[Array, "time batch post"]:
    """Leaky integrators over the sequence, behind an exponential synapse if the drive has one; without `tau_mem` the
    current of the drive itself."""
    rows = {} if tau_mem is None else {at.DECAY_MEM: decay(tau_mem, dt)}
    weights, source, kind = _feed(drive)
    out = _filter(Options(kind, drive.delay), drive.num_steps, _rows(drive, rows, dt), weights, source)
    return from_tiles(out, drive.features)


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


def _feed(drive: Drive) -> tuple[Float[Array, "tile unit lane"], Source, int]:
    """Weights in tiles, and the source that goes with them."""
    x = drive.x
    if isinstance(x, Events):
        units = jnp.arange(x.num_units, dtype=jnp.int32)[None] if x.units is None else x.int32("units")
        return _tiles(drive.kernel), _source(times=x.int32("times"), units=units), at.FROM_EVENTS
    if isinstance(x, Packed):
        return _tiles(pad(drive.kernel, 0)), _source(bits=x.bits, carrier=x.carrier), at.FROM_BITS
    none = jnp.zeros((-(-drive.features // at.LANES), 0, at.LANES))
    return none, _source(current=to_tiles(drive.arriving())), at.FROM_CURRENT


def _tiles(kernel: Float[Array, "pre post"]) -> Float[Array, "tile pre lane"]:
    return pad(kernel, 1).reshape(len(kernel), -1, at.LANES).swapaxes(0, 1)
