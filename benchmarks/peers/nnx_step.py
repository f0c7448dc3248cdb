"""One jitted training step with Flax NNX and Optax, shared by Spyx and Flax's own LSTM."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from benchmarks.peers.workload import BATCH, L1, L2, LEARNING_RATE, Loop


def train(model: nnx.Module, forward: Callable, batches: list[tuple[np.ndarray, np.ndarray]], learned) -> Loop:
    """The loop of `forward(model, x) -> (readout, spikes)`, both (time, batch, unit), spikes None if there are none.

    `jax.jit` on split state, its buffers donated: a step of `nnx.jit`, as Spyx's tutorials have it, takes 1 ms longer.

    Args:
        model: is split once.
        forward: see above.
        batches: see `Loop`.
        learned: NNX filter of what is learned.
    """
    graph, params, rest = nnx.split(model, learned, ...)
    optimizer = optax.adam(LEARNING_RATE)
    state = params, optimizer.init(params)

    def objective(params, rest, x, y):
        readout, spikes = forward(nnx.merge(graph, params, rest), x)
        loss = optax.softmax_cross_entropy_with_integer_labels(readout.max(0), y).mean()
        if spikes is None:
            return loss, None
        counts = spikes.sum((0, 1)) / BATCH
        return loss + L1 * counts.sum() + L2 * (counts**2).mean(), counts.sum()

    @functools.partial(jax.jit, donate_argnums=0)
    def update(state, rest, x, y):
        params, moments = state
        (loss, spikes), grads = jax.value_and_grad(objective, has_aux=True)(params, rest, x, y)
        updates, moments = optimizer.update(grads, moments, params)
        return (optax.apply_updates(params, updates), moments), loss, spikes

    def step(x, y):
        nonlocal state
        state, loss, spikes = update(state, rest, x, y)
        return loss, spikes

    data = [(jnp.asarray(x), jnp.asarray(y, jnp.int32)) for x, y in batches]
    return Loop(step, data, finish=lambda: jax.block_until_ready(state))
