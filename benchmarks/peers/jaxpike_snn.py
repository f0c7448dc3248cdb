"""Spiking networks in jaxpike: `LeakyIntegrator` is the synapse, each layer is unrolled over the whole sequence."""

from functools import partial

import equinox
import jax
import jax.numpy as jnp
import jaxpike

from benchmarks.peers import jax_step
from benchmarks.peers.jax_step import Norm
from benchmarks.peers.workload import BETA, TAU_ADAPT, TAU_OUT, TAU_SYN, Loop, Network


class Between:
    """The connections between neurons: a node of its `Graph`, whose own `Dense` draws its weights."""

    def __init__(self, weights):
        self.weights = weights

    def init_state(self, _shape) -> None:
        """There is none."""

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """As many as there are neurons."""
        return shape

    def __call__(self, state: None, spikes):
        return state, spikes @ self.weights


def _neurons(network: Network):
    settings = {"tau": network.tau_mem, "dt": network.dt, "surrogate": jaxpike.FastSigmoid(slope=network.slope)}
    if network.adaptive:
        return jaxpike.ALIF(tau_a=TAU_ADAPT, beta=BETA, **settings)
    return jaxpike.LIF(**settings)


def _layer(synapse, neurons, between):
    if between is None:
        return jaxpike.Sequential(synapse, neurons)
    return jaxpike.Graph(
        nodes={"synapse": synapse, "neurons": neurons, "between": Between(between)},
        edges=[("input", "synapse"), ("synapse", "neurons"), ("neurons", "between"), ("between", "synapse")],
        output="neurons",
    )


def build(folder: str, network: Network) -> Loop:
    """Its filters have gain `1 - decay`. Time constants are not learned, as everywhere here."""
    neurons = _neurons(network)
    if network.steady:
        return jax_step.train_layers(
            folder,
            network,
            lambda currents, _: jaxpike.unroll(neurons, currents)[0],
            lambda currents: currents,
            norm=_norm,
        )
    synapse, membrane = (jaxpike.LeakyIntegrator(tau=tau, dt=network.dt) for tau in (TAU_SYN, TAU_OUT))
    readout = jaxpike.Sequential(synapse, membrane)
    gain, membrane_gain = (1.0 / (1.0 - network.decay(tau)) for tau in (TAU_SYN, TAU_OUT))
    return jax_step.train_layers(
        folder,
        network,
        lambda currents, between: jaxpike.unroll(_layer(synapse, neurons, between), currents)[0],
        lambda currents: jaxpike.unroll(readout, currents)[0],
        gain=gain,
        readout_gain=gain * membrane_gain,
    )


def _norm(channels: int) -> Norm:
    """Equinox's, to which jaxpike's layers belong."""
    made = equinox.nn.make_with_state(equinox.nn.BatchNorm)(channels, "all", momentum=0.9, mode="batch")
    params, rest = equinox.partition(made[0], equinox.is_inexact_array)
    return Norm(params, made[1], partial(_normalized, rest))


def _normalized(rest, params, averages, x):
    """It takes one sample, channels first."""
    norm = jax.vmap(equinox.combine(params, rest), (0, None), (0, None), axis_name="all")
    y, averages = norm(jnp.moveaxis(x.reshape(-1, *x.shape[2:]), -1, 1), averages)
    return jnp.moveaxis(y, 1, -1).reshape(x.shape), averages
