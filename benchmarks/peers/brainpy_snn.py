"""The spiking network in BrainPy, layer by layer: each matrix is one product over all steps."""

import brainpy as bp
import brainpy.math as bm
import jax.numpy as jnp

from benchmarks.peers import brainpy_step
from benchmarks.peers.workload import (
    CLASSES,
    HIDDEN,
    SLOPE,
    TAU_MEM,
    TAU_OUT,
    TAU_SYN,
    Loop,
    initial_weights,
    spike_batches,
)


class Network(bp.DynamicalSystem):
    """The tutorial's neurons and synapses, but its projections, which multiply step by step, are spelled out."""

    def __init__(self):
        super().__init__()
        self.to_hidden, self.to_readout = map(matrix, initial_weights())
        self.hidden_synapse, self.readout_synapse = (
            bp.dyn.Expon(HIDDEN, tau=TAU_SYN),
            bp.dyn.Expon(CLASSES, tau=TAU_SYN),
        )
        self.hidden, self.readout = hidden_layer(), bp.dyn.Leaky(CLASSES, tau=TAU_OUT)

    def update(self, x):
        spikes = brainpy_step.over_time(lambda drive: self.hidden(self.hidden_synapse(drive)), self.to_hidden(x))
        drive = self.to_readout(spikes)
        return brainpy_step.over_time(lambda drive: self.readout(self.readout_synapse(drive)), drive), spikes


def matrix(weights) -> bp.dnn.Linear:
    """A product without bias."""
    return bp.dnn.Linear(*weights.shape, W_initializer=jnp.asarray(weights), b_initializer=None)


def hidden_layer() -> bp.dyn.LifRef:
    """The tutorial's neurons, with snnlab's default surrogate: theirs, of slope 100, hardly learns."""
    surrogate = bm.surrogate.InvSquareGrad(alpha=SLOPE)
    return bp.dyn.LifRef(HIDDEN, tau=TAU_MEM, V_th=1.0, V_reset=0.0, V_rest=0.0, spk_fun=surrogate)


def build(folder: str) -> Loop:
    """The same network to the last constant."""
    return brainpy_step.train(Network(), spike_batches(folder))
