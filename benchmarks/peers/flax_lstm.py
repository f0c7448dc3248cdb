"""The LSTM in Flax: `nnx.RNN` of an `OptimizedLSTMCell`, then one product for the outputs of all steps."""

import jax.numpy as jnp
from flax import nnx

from benchmarks.peers import nnx_step
from benchmarks.peers.workload import BATCH, CLASSES, HIDDEN, Loop, row_batches


def _forward(network: nnx.Dict, x):
    start = jnp.zeros((BATCH, HIDDEN))  # what it would draw from its random stream, which cannot be done in a gradient
    return network["readout"](network["hidden"](x, initial_carry=(start, start))), None


def build(folder: str) -> Loop:
    """Unrolling the loop over time does not help on a CPU."""
    rngs = nnx.Rngs(0)
    network = nnx.Dict(
        hidden=nnx.RNN(nnx.OptimizedLSTMCell(28, HIDDEN, rngs=rngs), time_major=True),
        readout=nnx.Linear(HIDDEN, CLASSES, rngs=rngs),
    )
    return nnx_step.train(network, _forward, row_batches(folder), learned=nnx.Param)
