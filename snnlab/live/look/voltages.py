"""Reads what makes the neurons of a layer spike: for the histogram of their voltages."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from snnlab.layers import IF, LifRef
from snnlab.layers.operators import Threshold
from snnlab.layers.voltages import surrogate_scale
from snnlab.live.frames.voltages import Spiking
from snnlab.models import describe
from snnlab.support.transfers import transfers_allowed
from snnlab.variables import plain

CHUNK = 2**20  # values of the derivative that are computed at once
ROOM = 512  # points; the axis of a histogram has fewer, so that one compiled program serves them all
KEPT = 16  # curves; an axis rarely moves, and thresholds move with knobs only, unless they are learned


@transfers_allowed()
def spiking(model: nnx.Module, layer: str) -> Spiking | None:
    """Return what makes the neurons of a layer spike; None if they do not, or if that is unknown.

    Args:
        model: such as a `Network` or a `Stack`.
        layer: name of the layer.

    Example:
        >>> from snnlab import models
        >>> net = models.build(models.SnnConfig(hidden=20, slope=5.0), sample_shape=(8, 8), num_classes=10)
        >>> hidden = spiking(net, "hidden")
        >>> float(hidden.v_th), hidden.reset, hidden.derivative(np.array([0.8, 1.0])).tolist()
        (1.0, 'subtract', [0.25, 1.0])
        >>> spiking(net, "readout") is None
        True
    """
    known = describe(model).layers.get(layer)
    neuron = None if known is None else known.neuron
    if isinstance(neuron, Threshold):
        return _of(neuron, neuron.v_scale[...])
    if isinstance(neuron, LifRef | IF):
        rest, reset = np.asarray(neuron.v_rest[...]), np.asarray(neuron.v_reset[...])
        return _of(neuron, surrogate_scale(neuron), v_rest=rest, v_reset=reset, reset=neuron.reset)
    v_th = plain(getattr(neuron, "v_th", None))  # of neurons of your own
    return None if v_th is None else Spiking(v_th=np.asarray(v_th))


def _of(neuron: LifRef | IF | Threshold, v_scale, **voltages) -> Spiking:
    v_th, slope, v_scale = (np.asarray(value) for value in (neuron.v_th[...], neuron.slope[...], v_scale))
    derivative = functools.partial(_derivative, neuron.surrogate.derivative, v_th, slope, v_scale)
    return Spiking(v_th=v_th, slope=slope, v_scale=v_scale, derivative=derivative, **voltages)


@transfers_allowed()
def _derivative(bump: Callable, v_th: np.ndarray, slope: np.ndarray, v_scale: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Compute `h(slope (v - v_th) / v_scale)` at the voltages `at`; the mean over the neurons, where they differ."""
    different = np.unique(np.stack(np.broadcast_arrays(np.ravel(v_th), np.ravel(slope), np.ravel(v_scale))), axis=1)
    if different.shape[1] > 1:  # every neuron counts, also those that are alike
        different = np.stack(np.broadcast_arrays(np.ravel(v_th), np.ravel(slope), np.ravel(v_scale)))
    padded = np.pad(np.asarray(at, np.float32), (0, -len(at) % ROOM), mode="edge")
    return _means(bump, different.astype(np.float32).tobytes(), padded.tobytes())[: len(at)]


@functools.lru_cache(maxsize=KEPT)
def _means(bump: Callable, neurons: bytes, points: bytes) -> np.ndarray:
    """Compute the mean over neurons, given by the bytes of their thresholds, slopes and scales, at some voltages."""
    th, slope, scale = np.frombuffer(neurons, np.float32).reshape(3, 1, -1)
    at = np.frombuffer(points, np.float32)
    sums = [
        _mean_over_neurons(bump, jnp.asarray(part)[:, None], th, slope, scale)
        for part in np.array_split(at, -(-at.size * th.size // CHUNK))
    ]
    means = np.concatenate([np.asarray(part) for part in sums])
    means.setflags(write=False)
    return means


@functools.partial(jax.jit, static_argnums=0)
def _mean_over_neurons(bump: Callable, at, v_th, slope, v_scale):
    return jnp.broadcast_to(bump((at - v_th) / v_scale, slope), jnp.broadcast_shapes(at.shape, v_th.shape)).mean(1)
