"""Batch normalization of a convolution of spikes as a JAX function: event by event, in training, too.

The kernel only sums what arrives, and its square. Mean and variance go into weights and biases, with which the neurons
run as they do without a norm. On the way back, the gradient that came from the neurons and that of mean and variance
become one gradient of what arrives: so the layer before still receives it as two factors, see `calls`.
"""

import functools
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlab.kernels.axes import alike
from snnlab.kernels.cpu import calls, calls_conv, moments  # noqa: F401 (registers targets of the FFI)
from snnlab.kernels.cpu import layout as at
from snnlab.kernels.devices import share_out, whole
from snnlab.kernels.drive import Drive
from snnlab.kernels.packed import LANES, Packed, pad
from snnlab.kernels.statistics import Statistics, folded
from snnlab.kernels.window import Window


class _Normal(NamedTuple):
    """What normalizes the channels."""

    factor: Float[Array, " channels"]  # of the weights
    bias: Float[Array, " channels"]
    statistics: Statistics


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2, 3))
def _normal(window: Window, options: calls.Options, steps: int, epsilon: float, weights, source, scale, offset) -> Any:
    """Return `_Normal`, and the carrier of the spikes."""
    return _forward(window, options, steps, epsilon, weights, source, scale, offset)[0]


def _forward(window, options, steps, epsilon, weights, source, scale, offset):
    sums = _sums(options, steps, weights, source)[:, : len(scale)]
    normal = _of_sums(steps * calls.batch_of(source) * window.pixels, epsilon, scale, offset, sums)
    return (normal, source.carrier), (weights, source, scale, offset, sums, normal.factor)


def _sums(options: calls.Options, steps: int, weights, source) -> Float[Array, "2 padded"]:
    """Sum what arrives, and its square, over samples, steps and places."""

    def call(devices: int, params, weights, source):
        call = calls.Call.of(options, steps, weights, source, devices)
        results = [jax.ShapeDtypeStruct((call.batch, 2, weights.shape[0] * LANES), jnp.float32)]
        arguments = calls.call_arguments(call.options(options), params, weights, source)
        return calls.foreign("snnlab_moments", results, *arguments)

    no_neurons = jnp.zeros((0, 0), jnp.float32)
    (of_samples,) = calls.on_devices(call, no_neurons, weights, source, results=1)
    return calls.added(whole(of_samples))  # XLA splits a sum over samples by the number of cores


def _of_sums(count: int, epsilon: float, scale, offset, sums: Float[Array, "2 channels"]) -> _Normal:
    """Compute what normalizes the channels from sums of `count` numbers."""
    mean, of_squares = sums / count
    statistics = Statistics(mean, jnp.maximum(of_squares - mean**2, 0.0))
    return _Normal(*folded(scale, offset, statistics, epsilon), statistics)


def _backward(window, options, steps, epsilon, saved, cotangents):
    weights, source, scale, offset, sums, factor = saved
    d_normal, d_carrier = cotangents
    of_sums = functools.partial(_of_sums, steps * calls.batch_of(source) * window.pixels, epsilon)
    d_scale, d_offset, d_sums = jax.vjp(of_sums, scale, offset, sums)[1](d_normal)
    from_neurons = calls.sent_back.take(d_carrier, lambda factors: factors.grid == options.grid)
    given = jnp.zeros((0, 0, 0), jnp.float32) if from_neurons is None else from_neurons.d_current
    primals = pad(jnp.concatenate([factor[None], d_sums]), 1), weights, source
    flags = {"spikes": from_neurons is not None}
    _, d_weights, d_input = calls.gradient("snnlab_moments_gradient", options, steps, flags, primals, (given,))
    if options.source == at.FROM_BITS:
        d_spikes = calls_conv.send_back(window, options, weights, d_input)
        d_carrier = d_spikes + d_carrier if from_neurons is None else d_spikes
    return d_weights, source._replace(carrier=d_carrier, **calls.NO_GRADIENT), d_scale, d_offset


_normal.defvjp(_forward, _backward)


def normalized(drive: Drive, scale, offset, epsilon: float) -> tuple[Drive, Statistics]:
    """As `snnlab.kernels.normalized`, of a convolution of spikes."""
    window, x = drive.window, drive.x
    assert window is not None
    weights, source, options = calls_conv.feed(drive, window, calls.Options())
    numbers = alike(weights, source, scale, offset)
    results: Any = _normal(window, options, drive.num_steps, epsilon, *numbers)
    normal, carrier = results
    if isinstance(x, Packed):
        pixels = window.in_shape[1] * window.in_shape[2]
        x = Packed(bits=source.bits, carrier=carrier, num_units=x.num_units, pixels=pixels)
    return replace(drive, x=x, kernel=drive.weights * normal.factor, bias=normal.bias), normal.statistics


def dense(x: Float[Array, "batch row n"], scale, offset, epsilon: float) -> tuple[Array, Statistics]:
    """Normalize numbers by their mean and variance over samples and rows."""
    n = len(scale)
    padded = [pad(array, array.ndim - 1) for array in alike(x, scale, offset)]
    results: Any = _dense(epsilon, *padded)
    y, statistics = results
    return y[..., :n], jax.tree.map(lambda array: array[:n], statistics)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _dense(epsilon: float, x, scale, offset) -> Any:
    return _dense_forward(epsilon, x, scale, offset)[0]


def _dense_forward(epsilon, x, scale, offset):
    nothing = jnp.zeros_like(scale)
    mean = _products(x, x, nothing, nothing)[0] / (x.size // x.shape[2])
    statistics = Statistics(mean, _products(x, x, mean, mean)[1] / (x.size // x.shape[2]))
    factor, bias = folded(scale, offset, statistics, epsilon)
    return (x * factor + bias, statistics), (x, scale, statistics)


def _dense_backward(epsilon, saved, cotangents):
    x, scale, (mean, var) = saved
    d_y, (d_mean, d_var) = cotangents
    d_offset, products = _products(d_y, x, jnp.zeros_like(mean), mean)
    count, inverse = x.size // x.shape[2], jax.lax.rsqrt(var + epsilon)
    factor, d_scale = scale * inverse, products * inverse
    of_mean, of_var = (d_mean - factor * d_offset) / count, (2.0 * d_var - factor * inverse * d_scale) / count
    return factor * d_y + of_var * (x - mean) + of_mean, d_scale, d_offset


_dense.defvjp(_dense_forward, _dense_backward)


def _products(x, y, x_middle, y_middle) -> Float[Array, "2 n"]:
    """Sum over samples and rows: `x - x_middle`, and its products with `y - y_middle`."""

    def call(devices: int, x, y, middles):
        options = np.array([calls.even_blocks(len(x), devices)], np.int32)
        result = jax.ShapeDtypeStruct((len(x), 2, x.shape[2]), jnp.float32)
        return (calls.foreign("snnlab_products", result, options, x, y, middles),)

    arguments = x, y, jnp.stack([x_middle, y_middle])
    (of_samples,) = share_out(call, len(x), arguments, (0, 0, None), (0,), calls.added)
    return calls.added(whole(of_samples))
