"""Spiking networks in jaxpike: `LeakyIntegrator` is the synapse, each layer is unrolled over the whole sequence."""

import jaxpike

from benchmarks.peers import jax_step
from benchmarks.peers.workload import BETA, SLOPE, TAU_ADAPT, TAU_MEM, TAU_OUT, TAU_SYN, Loop, Network


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
    settings = {"tau": TAU_MEM, "dt": network.dt, "surrogate": jaxpike.FastSigmoid(slope=SLOPE)}
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
    synapse, membrane = (jaxpike.LeakyIntegrator(tau=tau, dt=network.dt) for tau in (TAU_SYN, TAU_OUT))
    neurons, readout = _neurons(network), jaxpike.Sequential(synapse, membrane)
    gain, membrane_gain = (1.0 / (1.0 - network.decay(tau)) for tau in (TAU_SYN, TAU_OUT))
    return jax_step.train_layers(
        folder,
        network,
        lambda currents, between: jaxpike.unroll(_layer(synapse, neurons, between), currents)[0],
        lambda currents: jaxpike.unroll(readout, currents)[0],
        gain=gain,
        readout_gain=gain * membrane_gain,
    )
