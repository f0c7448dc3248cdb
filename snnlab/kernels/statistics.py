"""Batch normalization of what arrives at neurons, or at the channels of a convolution."""

from dataclasses import replace
from typing import NamedTuple

import jax
from jaxtyping import Array, Float

from snnlab.encode import SpikeTimes, Steady
from snnlab.kernels import dispatch
from snnlab.kernels.drive import Drive
from snnlab.kernels.packed import Packed

FEW_STEPS = 8  # up to so many, dense products take no longer than the events of layers that fire as often as usual


class Statistics(NamedTuple):
    """Mean and variance of what arrives, over samples, time steps and places.

    Example:
        >>> import jax.numpy as jnp
        >>> Statistics(mean=jnp.array([0.5]), var=jnp.array([4.0])).var.tolist()
        [4.0]
    """

    mean: Float[Array, " n"]
    var: Float[Array, " n"]


def folded(scale, offset, statistics: Statistics, epsilon: float) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Return by what weights are multiplied, and the bias, so that what arrives is normalized.

    Example:
        >>> import jax.numpy as jnp
        >>> folded(jnp.array([2.0]), jnp.array([1.0]), Statistics(jnp.array([3.0]), jnp.array([4.0])), 0.0)
        (Array([1.], dtype=float32), Array([-2.], dtype=float32))
    """
    factor = scale * jax.lax.rsqrt(statistics.var + epsilon)
    return factor, offset - statistics.mean * factor


def normalized(
    drive: Drive, scale: Float[Array, " n"], offset: Float[Array, " n"], epsilon: float, *, backend: str | None = None
) -> tuple[Drive, Statistics]:
    """Normalize what arrives by the mean and variance of the batch, through which gradients flow.

        y = scale (x - mean) / sqrt(var + epsilon) + offset

    Spikes that go to a convolution stay spikes, where the CPU has a kernel and they have more than a few steps; else
    all that arrives is computed densely.

    Args:
        drive: weighted input without a bias.
        scale, offset: one per neuron, or per channel of a convolution.
        epsilon: added to the variance.
        backend: see `snnlab.kernels.backend`.

    Returns:
        A drive of what is normalized, and the statistics.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[[1.0], [3.0]]])
        >>> drive, statistics = normalized(Drive(x=x, kernel=jnp.ones((1, 1))), jnp.ones(1), jnp.zeros(1), 0.0)
        >>> drive.arriving().ravel().tolist(), statistics.mean.item()
        ([-1.0, 1.0], 2.0)
    """
    drive, scale, offset = dispatch.in_one_precision(drive, scale, offset)
    if _by_events(drive) and dispatch.has_kernel(backend, drive, scale, offset):
        from snnlab.kernels.cpu import calls_norm

        return calls_norm.normalized(drive, scale, offset, epsilon)
    return _dense(drive, scale, offset, epsilon, backend)


def _by_events(drive: Drive) -> bool:
    """Whether to add what arrives event by event: where spikes go to a convolution of several places."""
    spikes = isinstance(drive.x, SpikeTimes | Packed) and drive.num_steps > FEW_STEPS
    return spikes and drive.window is not None and drive.window.pixels > 1


def _dense(drive: Drive, scale, offset, epsilon: float, backend: str | None) -> tuple[Drive, Statistics]:
    steady = drive.x if isinstance(drive.x, Steady) and not drive.delay else None  # the same at every step
    once = drive if steady is None else replace(drive, x=steady.values[None])
    x = dispatch.arriving(once, backend=backend)
    (steps, batch, _), n = x.shape, len(scale)
    rows = x.reshape(steps, batch, n, -1).transpose(1, 0, 3, 2)  # the order of the kernels, so that XLA makes no copies
    y, statistics = _of_rows(rows.reshape(batch, -1, n), scale, offset, epsilon, backend)
    y = y.reshape(batch, steps, -1, n).transpose(1, 0, 3, 2).reshape(x.shape)
    arrived = y if steady is None else replace(steady, values=y[0])
    return replace(drive, x=arrived, kernel=None, bias=None, delay=0), statistics


def _of_rows(x: Float[Array, "batch row n"], scale, offset, epsilon: float, backend: str | None):
    """Normalize numbers by their mean and variance over samples and rows."""
    if dispatch.has_kernel(backend, Drive(x=x), scale, offset):
        from snnlab.kernels.cpu import calls_norm

        return calls_norm.dense(x, scale, offset, epsilon)
    statistics = Statistics(x.mean((0, 1)), x.var((0, 1)))
    factor, bias = folded(scale, offset, statistics, epsilon)
    return x * factor + bias, statistics
