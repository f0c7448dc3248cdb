"""The spiking network in BrainPy, layer by layer: each matrix is one product over all steps."""

import brainpy as bp
import brainpy.math as bm
import jax.numpy as jnp

from benchmarks.peers import brainpy_step
from benchmarks.peers.workload import (
    CLASSES,
    SLOPE,
    TAU_MEM,
    TAU_OUT,
    TAU_SYN,
    Loop,
    Network,
    initial_weights,
    spike_batches,
)


class Layers(bp.DynamicalSystem):
    """The tutorial's neurons and synapses, but its projections, which multiply step by step, are spelled out."""

    def __init__(self, network: Network):
        super().__init__()
        widths = (*network.hidden, CLASSES)
        self.matrices = bm.NodeList([matrix(weights.kernel) for weights in initial_weights(network)])
        self.synapses = bm.NodeList([bp.dyn.Expon(width, tau=TAU_SYN) for width in widths])
        readout = bp.dyn.Leaky(CLASSES, tau=TAU_OUT)
        self.neurons = bm.NodeList([*map(hidden_layer, network.hidden), readout])

    def update(self, x):
        outputs = []
        for product, synapse, neurons in zip(self.matrices, self.synapses, self.neurons, strict=True):
            x = brainpy_step.over_time(_through(synapse, neurons), product(x))
            outputs.append(x)
        return x, outputs[:-1]


def _through(synapse, neurons):
    return lambda drive: neurons(synapse(drive))


def matrix(weights) -> bp.dnn.Linear:
    """A product without bias."""
    return bp.dnn.Linear(*weights.shape, W_initializer=jnp.asarray(weights), b_initializer=None)


def hidden_layer(width: int) -> bp.dyn.LifRef:
    """The tutorial's neurons, with snnlab's default surrogate: theirs, of slope 100, hardly learns."""
    surrogate = bm.surrogate.InvSquareGrad(alpha=SLOPE)
    return bp.dyn.LifRef(width, tau=TAU_MEM, V_th=1.0, V_reset=0.0, V_rest=0.0, spk_fun=surrogate)


def build(folder: str, network: Network) -> Loop:
    """The same network to the last constant."""
    return brainpy_step.train(Layers(network), spike_batches(folder, network))
