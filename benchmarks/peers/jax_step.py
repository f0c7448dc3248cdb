"""One jitted training step with Optax, and spiking networks layer by layer, shared by contenders built on JAX."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.peers.workload import (
    L1,
    L2,
    LEARNING_RATE,
    SIDE,
    Loop,
    Network,
    Weights,
    initial_weights,
    spike_batches,
)


def train(
    params,
    forward: Callable,
    batches: list[tuple[np.ndarray, np.ndarray]],
    *,
    fixed: Any = None,
    learning_rate: float = LEARNING_RATE,
) -> Loop:
    """The loop of `forward(params, fixed, x) -> (readout, spikes)`.

    The readout is (time, batch, unit), spikes are those of each layer.

    Args:
        params: arrays that are learned; their buffers are donated.
        forward: see above.
        batches: see `Loop`.
        fixed: arrays that are not learned.
        learning_rate: of Adam.
    """
    optimizer = optax.adam(learning_rate)
    state = params, optimizer.init(params)

    def objective(params, fixed, x, y):
        readout, spikes = forward(params, fixed, x)
        loss = optax.softmax_cross_entropy_with_integer_labels(readout.max(0), y).mean()
        total = 0.0 if spikes else None
        for fired in spikes:
            counts = fired.sum((0, 1)) / fired.shape[1]
            total += counts.sum()
            loss += L1 * counts.sum() + L2 * (counts**2).mean()
        return loss, total

    @functools.partial(jax.jit, donate_argnums=0)
    def update(state, fixed, x, y):
        params, moments = state
        (loss, spikes), grads = jax.value_and_grad(objective, has_aux=True)(params, fixed, x, y)
        updates, moments = optimizer.update(grads, moments, params)
        return (optax.apply_updates(params, updates), moments), loss, spikes

    def step(x, y):
        nonlocal state
        state, loss, spikes = update(state, fixed, x, y)
        return loss, spikes

    data = [(jnp.asarray(x), jnp.asarray(y, jnp.int32)) for x, y in batches]
    return Loop(step, data, finish=lambda: jax.block_until_ready(state))


def train_layers(
    folder: str,
    network: Network,
    hidden: Callable,
    readout: Callable,
    *,
    gain: float = 1.0,
    readout_gain: float = 1.0,
) -> Loop:
    """The loop of a spiking network layer by layer: each product is one over all steps.

    Args:
        folder: of Fashion-MNIST.
        network: if it has convolutions, images are made of the input, and pooled behind each.
        hidden: neurons, `(currents, weights) -> spikes` over the whole sequence; the weights are those between them.
        readout: `(currents) -> voltages`.
        gain: times the weights of the hidden layers. Libraries scale currents differently; this makes their networks
            equal at no cost.
        readout_gain: times those of the readout.
    """

    def forward(params: list[Weights], _fixed, x):
        spikes = []
        if network.conv:
            x = x.reshape(*x.shape[:2], SIDE, SIDE, 1)
        for weights in params[:-1]:
            between = None if weights.recurrent is None else weights.recurrent * gain
            spikes.append(hidden(_product(x, weights.kernel * gain), between))
            x = _pooled(spikes[-1]) if network.conv else spikes[-1]
        return readout(_product(x.reshape(*x.shape[:2], -1), params[-1].kernel * readout_gain)), spikes

    params = jax.tree.map(jnp.asarray, initial_weights(network))
    return train(params, forward, spike_batches(folder, network), learning_rate=network.learning_rate)


def _product(x, kernel):
    """Weights times input, or a convolution of images (time, batch, row, column, channel)."""
    if kernel.ndim == 2:
        return x @ kernel
    flat = x.reshape(-1, *x.shape[2:])
    numbers = ("NHWC", "HWIO", "NHWC")
    out = jax.lax.conv_general_dilated(flat, kernel, (1, 1), "SAME", dimension_numbers=numbers)
    return out.reshape(*x.shape[:2], *out.shape[1:])


def _pooled(x):
    """Sums of 2 x 2 pixels."""
    *lead, rows, columns, channels = x.shape
    return x.reshape(*lead, rows // 2, 2, columns // 2, 2, channels).sum((-4, -2))
