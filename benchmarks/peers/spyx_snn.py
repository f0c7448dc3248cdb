"""Spiking networks in Spyx: `CuBaLIF` and its kin, and a readout of two `LI`, each run over the whole sequence."""

import spyx.axn
import spyx.nn
from flax import nnx

from benchmarks.peers import jax_step
from benchmarks.peers.workload import TAU_ADAPT, TAU_OUT, TAU_SYN, Loop, Network


def _neurons(network: Network, width: int, between) -> nnx.Module:
    """Neurons with a synapse each, if there are synapses."""
    alpha, beta = network.decay(TAU_SYN), network.decay(network.tau_mem)
    settings = {"activation": spyx.axn.superspike(network.slope), "rngs": nnx.Rngs(0)}
    if network.steady:
        return spyx.nn.LIF((width,), beta, **settings)
    if network.adaptive:
        neurons = spyx.nn.ALIF((width,), beta, network.decay(TAU_ADAPT), **settings)
        return spyx.nn.Sequential(spyx.nn.LI((width,), alpha, rngs=settings["rngs"]), neurons)
    if between is None:
        return spyx.nn.CuBaLIF((width,), alpha, beta, **settings)
    neurons = spyx.nn.RCuBaLIF((width,), alpha, beta, **settings)
    neurons.recurrent_w = nnx.Param(between)
    return neurons


def build(folder: str, network: Network) -> Loop:
    """Only the weights are learned, as everywhere here: its decays are parameters, and their gradients take time."""

    def hidden(currents, between):
        flat = currents.reshape(*currents.shape[:2], -1)  # its neurons with two states have one axis
        spikes, _ = spyx.nn.run(_neurons(network, flat.shape[-1], between), flat)
        return spikes.reshape(currents.shape)

    def readout(currents):
        if network.steady:
            return currents
        rngs = nnx.Rngs(0)
        filters = (spyx.nn.LI((network.classes,), network.decay(tau), rngs=rngs) for tau in (TAU_SYN, TAU_OUT))
        return spyx.nn.run(spyx.nn.Sequential(*filters), currents)[0]

    # Its membrane adds the current with weight 1.
    gain = 1.0 - network.decay(network.tau_mem)
    return jax_step.train_layers(folder, network, hidden, readout, norm=jax_step.flax_norm, gain=gain)
