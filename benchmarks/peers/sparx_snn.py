"""Spiking networks in sparx (on PyPI: sparxml): neuron models of its `dynamics`, run over the whole sequence."""

from sparx import dynamics
from sparx.surrogate import FastSigmoid

from benchmarks.peers import jax_step
from benchmarks.peers.workload import BETA, TAU_ADAPT, TAU_OUT, TAU_SYN, Loop, Network


def _neurons(network: Network, between):
    """Neurons with a synapse each."""
    membrane, surrogate = network.decay(network.tau_mem), FastSigmoid(network.slope)
    if network.adaptive:
        neurons = dynamics.ALIFCell(membrane, network.decay(TAU_ADAPT), BETA, surrogate=surrogate)
    else:
        neurons = dynamics.LIFCell(membrane, surrogate=surrogate)
    layer = dynamics.Serial(dynamics.LICell(network.decay(TAU_SYN)), neurons)
    return layer if between is None else dynamics.RecurrentCell(layer, dynamics.Dense(between))


def build(folder: str, network: Network) -> Loop:
    """Its layers of Flax linen run the same models."""
    readout = dynamics.Serial(*(dynamics.LICell(network.decay(tau)) for tau in (TAU_SYN, TAU_OUT)))
    return jax_step.train_layers(
        folder,
        network,
        lambda currents, between: dynamics.run(_neurons(network, between), currents)[0].value,
        lambda currents: dynamics.run(readout, currents)[0].value,
        gain=1.0 - network.decay(network.tau_mem),  # its membrane adds the current with weight 1
    )
