"""The recurrent LIF kernel as a JAX function, as in `calls`; weights lead from the neurons to each other."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlab.dynamics import LifParams
from snnlab.encode import SpikeTimes
from snnlab.kernels.axes import alike
from snnlab.kernels.cpu import calls, recurrent, recurrent_back  # noqa: F401 (both register targets of the FFI)
from snnlab.kernels.drive import Drive
from snnlab.kernels.packed import Packed, pad
from snnlab.kernels.perturbed import Static, values


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _recurrent(options: calls.Options, steps: int, params, weights, source: calls.Source):
    """As `calls.fire`; the last rows of the weights lead from the neurons to each other."""
    return calls.fire("snnlab_recurrent", options, steps, params, weights, source)


def _forward(options, steps, params, weights, source):
    arguments = values((params, weights, source))
    return _recurrent(options, steps, *arguments), (*arguments, Static(params.perturbed))


def _backward(options, steps, saved, cotangents):
    params, weights, source, _ = saved
    padded, n = params.shape[1], options.features
    w_rec = weights[:, -padded:].swapaxes(0, 1).reshape(padded, -1)[:n, :n]
    factors = calls.sent_back.take(cotangents[0], lambda factors: not factors.grid)
    d_params, d_weights, d_input = calls.spikes_back(
        "snnlab_recurrent_gradient", options, steps, saved, cotangents, factors, calls.tiles(w_rec.T)
    )
    return d_params, d_weights, calls.source_gradient(options, weights, source, d_input)


_recurrent.defvjp(_forward, _backward, symbolic_zeros=True)


def recurrent_lif(
    drive: Drive, w_rec: Float[Array, "n n"], params: LifParams, options: calls.Options, *, dt: float
) -> tuple[Packed, Float[Array, "batch n"], Float[Array, "time batch n"]]:
    """LIF neurons that excite and inhibit each other, one step later and through the synapse of the drive.

    Args:
        drive: input of the neurons from outside.
        w_rec: weights from neuron (row) to neuron (column).
        params: see `dynamics.LifParams`; voltages are measured from rest, so `v_rest` is not read.
        options: surrogate and kind of reset; the drive says the others.
        dt: time step [ms].

    Returns:
        The spikes as `Packed`, their counts, and the voltages after the reset.
    """
    weights, source, options = calls.feed(drive, options)
    if isinstance(drive.x, SpikeTimes):  # the rows of the neurons follow those of the units: no event may reach them
        source = source._replace(units=jnp.where(source.units < drive.x.num_units, source.units, -1))
    weights = jnp.concatenate([weights, calls.tiles(pad(w_rec, 0))], axis=1)
    rows = calls.lif_rows(drive, params, dt)
    results: Any = _recurrent(options, drive.num_steps, *alike(rows, weights, source))
    return calls.fired(drive, *results)
