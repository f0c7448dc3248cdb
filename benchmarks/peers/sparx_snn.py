"""Spiking networks in sparx (on PyPI: sparxml): neuron models of its `dynamics`, run over the whole sequence."""

from sparx import dynamics
from sparx.surrogate import FastSigmoid

from benchmarks.peers import jax_step
from benchmarks.peers.workload import BETA, TAU_ADAPT, TAU_OUT, TAU_SYN, Loop, Network


def _neurons(network: Network, between):
    """Neurons with a synapse each, if there are synapses."""
    membrane, surrogate = network.decay(network.tau_mem), FastSigmoid(network.slope)
    if network.adaptive:
        neurons = dynamics.ALIFCell(membrane, network.decay(TAU_ADAPT), BETA, surrogate=surrogate)
    else:
        neurons = dynamics.LIFCell(membrane, surrogate=surrogate)
    if network.steady:
        return neurons
    layer = dynamics.Serial(dynamics.LICell(network.decay(TAU_SYN)), neurons)
    return layer if between is None else dynamics.RecurrentCell(layer, dynamics.Dense(between))


def build(folder: str, network: Network) -> Loop:
    """Its layers of Flax linen run the same models."""

    def readout(currents):
        if network.steady:
            return currents
        filters = dynamics.Serial(*(dynamics.LICell(network.decay(tau)) for tau in (TAU_SYN, TAU_OUT)))
        return dynamics.run(filters, currents)[0].value

    return jax_step.train_layers(
        folder,
        network,
        lambda currents, between: dynamics.run(_neurons(network, between), currents)[0].value,
        readout,
        norm=jax_step.flax_norm,
        gain=1.0 - network.decay(network.tau_mem),  # its membrane adds the current with weight 1
    )
