"""The recurrent LIF kernel as a JAX function: shapes, paddings and derivatives, as `cpu` has them for the others."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlab.dynamics import LifParams
from snnlab.encode import SpikeTimes
from snnlab.kernels.cpu import calls, recurrent, recurrent_back  # noqa: F401 (register the targets)
from snnlab.kernels.drive import Drive
from snnlab.kernels.packed import Packed, pad, unpack


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _recurrent(options: calls.Options, steps: int, features: int, params, weights, onward, source: calls.Source):
    """As `calls._lif`; the last rows of the weights lead from the neurons to each other."""
    call = calls.Call.of(steps, weights, source)
    bits = jax.ShapeDtypeStruct((call.batch, call.tiles, steps), jnp.uint16)

    def run(states: bool):
        results = (bits, call.per_sample(), call.over_time() if states else calls._NOTHING)
        arguments = calls._arguments(call.options(options, states=states), params, weights, source)
        return calls._ffi("snnlab_recurrent", results, *arguments)

    fired, counts, _ = run(states=False)
    carrier = unpack(fired)
    return carrier, pad(carrier @ onward.T, 2), fired, counts, run(states=True)[2]


def _forward(options, steps, features, params, weights, onward, source):
    arguments = calls._value((params, weights, onward, source))
    return _recurrent(options, steps, features, *arguments), (*arguments, calls._Static(params.perturbed))


def _backward(options, steps, features, saved, cotangents):
    params, weights, onward, source, learns = saved
    d_carrier, d_current, _, d_counts, d_states = cotangents
    none = jnp.zeros((0, 0, 0))
    factored = not calls._is_zero(d_current)
    if factored and not calls._is_zero(d_carrier):  # read as single spikes too: one form for both
        d_carrier, factored = d_carrier + d_current[..., : len(onward)] @ onward, False
    flags = {"learns": bool(learns), "states": not calls._is_zero(d_states)}
    flags["spikes"] = factored or not calls._is_zero(d_carrier)
    d_spikes = d_current if factored else d_carrier if flags["spikes"] else none
    w_rec = weights[:, -params.shape[1] :].swapaxes(0, 1).reshape(params.shape[1], -1)[:features, :features]
    d_params, d_weights, d_source = calls._gradient(
        "snnlab_recurrent_gradient",
        calls.Call.of(steps, weights, source),
        options,
        flags,
        (params, weights, source),
        d_spikes,
        calls._filled(d_counts),
        d_states if flags["states"] else none,
        onward if factored else onward[:0],
        calls._tiles(w_rec.T),
    )
    d_outside = d_source.carrier[..., : source.carrier.shape[2]]  # what a product with all weights has found
    return d_params, d_weights, None, d_source._replace(carrier=d_outside)


_recurrent.defvjp(_forward, _backward, symbolic_zeros=True)


def recurrent_lif(
    drive: Drive, w_rec: Float[Array, "n n"], params: LifParams, options: calls.Options, *, dt: float
) -> tuple[Packed, Float[Array, "batch n"], Float[Array, "time batch n"]]:
    """LIF neurons that excite and inhibit each other, one step later and through the synapse of the drive.

    Args:
        drive: what reaches the neurons from outside.
        w_rec: weights from neuron (row) to neuron (column).
        params: see `dynamics.LifParams`.
        options: surrogate and kind of reset; the rest is taken from the drive.
        dt: time step [ms].

    Returns:
        The spikes as `Packed`, their counts, and the voltages after the reset.
    """
    weights, source, options = calls._feed(drive, options)
    if isinstance(drive.x, SpikeTimes):  # the neurons' rows lie behind the units': no event may reach them
        source = source._replace(units=jnp.where(source.units < drive.x.num_units, source.units, -1))
    weights = jnp.concatenate([weights, calls._tiles(pad(w_rec, 0))], axis=1)
    arguments = calls._lif_rows(drive, params, dt), weights, calls._onward(drive), source
    return calls._unpadded(drive, *_recurrent(options, drive.num_steps, drive.features, *arguments))
