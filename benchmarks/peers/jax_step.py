"""One jitted training step with Optax, and spiking networks layer by layer, shared by contenders built on JAX."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from benchmarks.peers.workload import (
    REFERENCE,
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
    rest: Any = None,
    settings: Network = REFERENCE,
) -> Loop:
    """The loop of `forward(params, rest, x) -> (readout, spikes, rest)`.

    The readout is (time, batch, unit), spikes are those of each layer.

    Args:
        params: arrays that are learned; their buffers are donated.
        forward: see above.
        batches: see `Loop`.
        rest: arrays that are not learned, but may change.
        settings: has the learning rate and the loss.
    """
    optimizer, price = optax.adam(settings.learning_rate), settings.loss
    state = params, optimizer.init(params), rest

    def objective(params, rest, x, y):
        readout, spikes, rest = forward(params, rest, x)
        scores = readout.mean(0) if price.mean else readout.max(0)
        loss = optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()
        total = 0.0 if spikes else None
        for fired in spikes:
            counts = fired.sum((0, 1)) / fired.shape[1]
            total += counts.sum()
            loss += price.l1 * counts.sum() + price.l2 * (counts**2).mean()
        return loss, (total, rest)

    @functools.partial(jax.jit, donate_argnums=0)
    def update(state, x, y):
        params, moments, rest = state
        (loss, (spikes, rest)), grads = jax.value_and_grad(objective, has_aux=True)(params, rest, x, y)
        updates, moments = optimizer.update(grads, moments, params)
        return (optax.apply_updates(params, updates), moments, rest), loss, spikes

    def step(x, y):
        nonlocal state
        state, loss, spikes = update(state, x, y)
        return loss, spikes

    data = [(jnp.asarray(x), jnp.asarray(y, jnp.int32)) for x, y in batches]
    return Loop(step, data, finish=lambda: jax.block_until_ready(state))


class Norm(NamedTuple):
    """Normalization over all axes but the last, the channels.

    Attributes:
        params: scales and offsets, which are learned.
        averages: what a batch moves.
        apply: `(params, averages, x) -> (normalized, averages)`.
    """

    params: Any
    averages: Any
    apply: Callable


NO_NORM = Norm(None, None, lambda params, averages, x: (x, averages))


def flax_norm(channels: int) -> Norm:
    """The normalization of Flax."""
    graph, *values = nnx.split(nnx.BatchNorm(channels, momentum=0.9, rngs=nnx.Rngs(0)), nnx.Param, nnx.BatchStat)

    def apply(params, averages, x):
        norm = nnx.merge(graph, params, averages, copy=True)
        return norm(x), nnx.state(norm, nnx.BatchStat)

    return Norm(*values, apply)


def train_layers(
    folder: str,
    network: Network,
    hidden: Callable,
    readout: Callable,
    *,
    norm: Callable[[int], Norm] | None = None,
    gain: float = 1.0,
    readout_gain: float = 1.0,
) -> Loop:
    """The loop of a spiking network layer by layer: each product is one over all steps.

    Args:
        folder: of Fashion-MNIST.
        network: if it has convolutions, images are made of the input, and pooled behind each.
        hidden: neurons, `(currents, weights) -> spikes` over the whole sequence; the weights are those between them.
        readout: `(currents) -> voltages`.
        norm: makes the normalization of a number of channels; needed only if the network has one.
        gain: times the weights of the hidden layers, or times what is normalized. Libraries scale currents differently;
            this makes their networks equal at no cost.
        readout_gain: times those of the readout.
    """
    start = initial_weights(network)
    norms = [norm(weights.kernel.shape[-1]) if network.norm else NO_NORM for weights in start[:-1]]

    def arriving(x, weights: Weights, normalized: Callable, scales, averages):
        kernel = weights.kernel if network.norm else weights.kernel * gain  # a norm would undo the gain
        scales = jax.tree.map(lambda values: gain * values, scales)
        currents, averages = normalized(scales, averages, _product(x, kernel))
        steps = network.steps if network.steady else len(currents)
        return jnp.broadcast_to(currents, (steps, *currents.shape[1:])), averages

    def forward(params, averages, x):
        (layers, scales), spikes, moved = params, [], []
        if network.conv:
            x = x.reshape(*x.shape[:2], SIDE, SIDE, 1)
        for weights, found, *values in zip(layers[:-1], norms, scales, averages, strict=True):
            between = None if weights.recurrent is None else weights.recurrent * gain
            currents, after = arriving(x, weights, found.apply, *values)
            spikes.append(hidden(currents, between))
            moved.append(after)
            x = _pooled(spikes[-1]) if spikes[-1].ndim > 3 else spikes[-1]
        return readout(_product(x, layers[-1].kernel * readout_gain)), spikes, moved

    params = jax.tree.map(jnp.asarray, start), [found.params for found in norms]
    averages = [found.averages for found in norms]
    return train(params, forward, spike_batches(folder, network), rest=averages, settings=network)


def _product(x, kernel):
    """Weights times input, or a convolution of images (time, batch, row, column, channel)."""
    if kernel.ndim == 2:
        return x.reshape(*x.shape[:2], -1) @ kernel
    flat = x.reshape(-1, *x.shape[2:])
    numbers = ("NHWC", "HWIO", "NHWC")
    out = jax.lax.conv_general_dilated(flat, kernel, (1, 1), "SAME", dimension_numbers=numbers)
    return out.reshape(*x.shape[:2], *out.shape[1:])


def _pooled(x):
    """Sums of 2 x 2 pixels."""
    *lead, rows, columns, channels = x.shape
    return x.reshape(*lead, rows // 2, 2, columns // 2, 2, channels).sum((-4, -2))
