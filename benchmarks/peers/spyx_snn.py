"""The spiking network in Spyx: `CuBaLIF`, and a readout of two `LI`, each layer run over the whole sequence."""

import math

import jax.numpy as jnp
import spyx.axn
import spyx.nn
from flax import nnx

from benchmarks.peers import nnx_step
from benchmarks.peers.workload import (
    CLASSES,
    DECAY,
    HIDDEN,
    PIXELS,
    SLOPE,
    TAU_OUT,
    Loop,
    initial_weights,
    spike_batches,
)


def _network() -> nnx.Dict:
    rngs = nnx.Rngs(0)
    leak = math.exp(-1.0 / TAU_OUT)
    layers = {
        "to_hidden": nnx.Linear(PIXELS, HIDDEN, use_bias=False, rngs=rngs),
        "hidden": spyx.nn.CuBaLIF((HIDDEN,), DECAY, DECAY, activation=spyx.axn.superspike(SLOPE), rngs=rngs),
        "to_readout": nnx.Linear(HIDDEN, CLASSES, use_bias=False, rngs=rngs),
        "readout": spyx.nn.Sequential(*(spyx.nn.LI((CLASSES,), beta, rngs=rngs) for beta in (DECAY, leak))),
    }
    for name, weights in zip(("to_hidden", "to_readout"), initial_weights(), strict=True):
        layers[name].kernel[...] = jnp.asarray(weights)
    return nnx.Dict(layers)


def _forward(network: nnx.Dict, x):
    spikes, _ = spyx.nn.run(network["hidden"], network["to_hidden"](x))
    readout, _ = spyx.nn.run(network["readout"], network["to_readout"](spikes))
    return readout, spikes


def build(folder: str) -> Loop:
    """Only the matrices are learned, as everywhere here: its decays are parameters, and their gradients take time."""
    batches = spike_batches(folder, amplitude=1.0 - DECAY)  # its membrane adds the current with weight 1
    return nnx_step.train(_network(), _forward, batches, learned=nnx.PathContains("kernel"))
