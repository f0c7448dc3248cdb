"""The LSTM in Flax: `nnx.RNN` of an `OptimizedLSTMCell`, then one product for the outputs of all steps.

A step is `jax.jit` on split state: one of `nnx.jit`, as tutorials have it, takes 1 ms longer.
"""

import jax.numpy as jnp
from flax import nnx

from benchmarks.peers import jax_step
from benchmarks.peers.workload import BATCH, CLASSES, HIDDEN, SIDE, Loop, row_batches


def build(folder: str) -> Loop:
    """Unrolling the loop over time does not help on a CPU."""
    rngs = nnx.Rngs(0)
    network = nnx.Dict(
        hidden=nnx.RNN(nnx.OptimizedLSTMCell(SIDE, HIDDEN, rngs=rngs), time_major=True),
        readout=nnx.Linear(HIDDEN, CLASSES, rngs=rngs),
    )
    graph, params, rest = nnx.split(network, nnx.Param, ...)

    def forward(params, rest, x):
        network = nnx.merge(graph, params, rest)
        start = jnp.zeros((BATCH, HIDDEN))  # it would draw this from its random stream, which no gradient allows
        return network["readout"](network["hidden"](x, initial_carry=(start, start))), [], rest

    return jax_step.train(params, forward, row_batches(folder), rest=rest)
