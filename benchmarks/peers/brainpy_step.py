"""One training step in BrainPy, written by hand as at the end of its tutorial: gradient and optimizer in one `jit`.

Its `BPTT` trainer computes the same; see `brainpy_bptt`.
"""

from collections.abc import Callable

import brainpy as bp
import brainpy.math as bm
import jax
import numpy as np

from benchmarks.peers.workload import BATCH, L1, L2, LEARNING_RATE, Loop

bm.set_mode(bm.training_mode)
bm.set_platform("cpu")
bm.set_dt(1.0)


def over_time(layer: Callable, x):
    """`layer(x[t])` at every step; BrainPy's modules read the time from `share`."""

    def turn(index, now):
        bp.share.save(i=index, t=index * bm.get_dt())
        return layer(now)

    return bm.for_loop(turn, (bm.arange(len(x)), x))


def loss(readout, spikes, labels, score_gain: float = 1.0, time_axis: int = 0):
    """The loss, and the spikes per sample by name; `spikes` are those of each layer.

    The axes that are not `time_axis` are batch and unit.
    """
    value, aux = bp.losses.cross_entropy_loss(bm.max(readout, axis=time_axis) * score_gain, labels), {}
    for fired in spikes:
        counts = bm.sum(fired, axis=(0, 1)) / BATCH
        aux["spikes"] = aux.get("spikes", 0.0) + bm.sum(counts)
        value = value + L1 * bm.sum(counts) + L2 * bm.mean(counts**2)
    return value, aux


def arrays(batches: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple]:
    """The batches as BrainPy's arrays."""
    return [(bm.asarray(x), bm.asarray(y)) for x, y in batches]


def train(network: bp.DynamicalSystem, batches: list[tuple[np.ndarray, np.ndarray]]) -> Loop:
    """The loop of `network.update(x) -> (readout, spikes)`, whole sequences; spikes are those of each layer."""
    learned = network.train_vars().unique()
    optimizer = bp.optim.Adam(lr=LEARNING_RATE, train_vars=learned)

    def objective(x, y):
        network.reset(BATCH)
        return loss(*network.update(x), y)

    gradient = bm.grad(objective, grad_vars=learned, has_aux=True, return_value=True)

    @bm.jit
    def step(x, y):
        grads, value, aux = gradient(x, y)
        optimizer.update(grads)
        return value, aux.get("spikes")

    return Loop(step, arrays(batches), finish=lambda: wait_for(network))


def wait_for(network: bp.DynamicalSystem) -> None:
    """Until its weights are computed."""
    jax.block_until_ready([bm.as_jax(weight.value) for weight in network.train_vars().values()])
