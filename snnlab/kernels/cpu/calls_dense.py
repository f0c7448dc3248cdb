"""A convolution that is computed densely, as a JAX function; no number of cores or devices changes its bits."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt16

from snnlab.kernels.axes import alike
from snnlab.kernels.cpu import calls, calls_conv, dense_conv, pooled  # noqa: F401 (both register targets of the FFI)
from snnlab.kernels.cpu import layout as at
from snnlab.kernels.devices import SUMMED, share_out, whole
from snnlab.kernels.packed import LANES, Packed, pad
from snnlab.kernels.window import Window

_ROWS = 4096  # of a product of a window that has a single place: what it needs stays in the cache


def convolve(window: Window, x: Packed | Float[Array, "time batch pre"], kernel: Float[Array, "fan_in out"]) -> Array:
    """As `Window.convolve`, of packed spikes, too.

    Example:
        >>> window = Window(in_shape=(1, 2, 3), size=(2, 2))
        >>> convolve(window, jnp.ones((1, 1, 6)), jnp.ones((4, 1))).tolist()
        [[[4.0, 4.0]]]
    """
    batch, steps, *shape = (images := _images(window, x)).shape
    images, kernel = alike(images.reshape(-1, *shape), kernel)
    y: Any
    if window.pixels == 1 and window.size == window.cells:
        y = _product(images.reshape(len(images), -1), kernel)[:, None]
    else:
        y = _convolve(window, images, kernel)
    return window.flattened(y, steps, batch)


def _images(window: Window, x: Packed | Array) -> Float[Array, "batch time row column channel"]:
    """As `Window.images`."""
    if isinstance(x, Packed) and x.pixels == np.prod(window.in_shape[1:]):
        bits, carrier = alike(x.bits, x.carrier)
        sums: Any = _unpacked(window, bits, carrier)
        return sums[..., : window.in_shape[0]]
    return window.images(x.dense() if isinstance(x, Packed) else x)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _unpacked(
    window: Window, bits: UInt16[Array, "batch tile time"], carrier: Float[Array, "batch time padded"]
) -> Float[Array, "batch time row column padded"]:
    batch, _, steps = bits.shape
    shape = (steps, *window.cells, -(-window.in_shape[0] // LANES) * LANES)

    def call(devices: int, bits):
        options = np.array([calls.even_blocks(len(bits), devices), window.in_shape[2], window.pool], np.int32)
        result = jax.ShapeDtypeStruct((len(bits), *shape), jnp.float32)
        return (calls.foreign("snnlab_pooled", result, options, bits),)

    return whole(share_out(call, batch, (bits,), (0,), (0,), calls.added)[0])


def _spread(window: Window, _saved, d_images: Float[Array, "batch time row column padded"]):
    """Give every pixel the gradient of its cell; keep that of the cells for the kernel of the layer before."""
    batch, steps, rows, columns, depth = d_images.shape
    pixels = d_images.repeat(window.pool, 2).repeat(window.pool, 3)
    missing = [(0, most - have) for most, have in zip(window.in_shape[1:], pixels.shape[2:4], strict=True)]
    d_carrier = jnp.pad(pixels, ((0, 0), (0, 0), *missing, (0, 0))).reshape(batch, steps, -1)
    grid = np.zeros(at.GRID, int)
    grid[: at.SIZE_ROWS], grid[[at.OUT_ROWS, at.OUT_COLUMNS]] = (rows, columns, depth, window.pool), window.in_shape[1:]
    of_cells, none = d_images.reshape(batch, steps, -1), jnp.zeros((0, 0, 0), jnp.float32)
    factors = calls.Factors(of_cells, none, tuple(grid.tolist()), window.in_shape[1:])
    return None, calls.sent_back.keep(d_carrier, factors)


_unpacked.defvjp(lambda window, bits, carrier: (_unpacked(window, bits, carrier), None), _spread)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _convolve(
    window: Window, images: Float[Array, "n row column channel"], kernel: Float[Array, "fan_in out"]
) -> Float[Array, "n pixel out"]:
    weights = pad(kernel, 1)
    y = _of_images("snnlab_dense_conv", window, kernel.shape[1], (window.pixels, weights.shape[1]), images, weights)
    return y[..., : kernel.shape[1]]


def _forward(window, images, kernel):
    return _convolve(window, images, kernel), (images, kernel)


def _backward(window, saved, gradient):
    images, kernel = saved
    given, depth, out = pad(gradient, 2), window.in_shape[0], kernel.shape[1]
    onward = pad(kernel.reshape(-1, depth, out).swapaxes(1, 2), 2)  # (row column, out, channel)
    d_images = _of_images("snnlab_dense_conv_to_images", window, out, (*window.cells, onward.shape[2]), given, onward)
    d_kernel = _of_kernel(window, out, images, given)
    return d_images[..., :depth], d_kernel[:, :out]


_convolve.defvjp(_forward, _backward)


def _of_images(target: str, window: Window, channels: int, shape: tuple[int, ...], images, weights) -> Array:
    """Call a kernel that computes an array of some shape of each image."""

    def call(devices: int, images, weights):
        result = jax.ShapeDtypeStruct((len(images), *shape), jnp.float32)
        return (calls.foreign(target, result, _options(window, channels, len(images), devices), images, weights),)

    return share_out(call, len(images), (images, weights), (0, None), (0,), calls.added)[0]


def _of_kernel(window: Window, channels: int, images, given) -> Float[Array, "fan_in padded"]:
    """Compute the gradient of the weights from that of the output."""

    def call(devices: int, images, given):
        options, shape = _options(window, channels, len(images), devices), (window.fan_in, given.shape[2])
        results = [jax.ShapeDtypeStruct(shape, jnp.float32), jax.ShapeDtypeStruct((options[0], *shape), jnp.float32)]
        return calls.foreign("snnlab_dense_conv_to_weights", results, options, images, given)[:1]

    calls.check_shared(len(images), calls.even_blocks(len(images), 1))
    return share_out(call, len(images), (images, given), (0, 0), (SUMMED,), calls.added)[0]


def _options(window: Window, channels: int, images: int, devices: int) -> np.ndarray:
    """Make the first argument of a kernel, with the images of one of some devices."""
    return np.array(
        [calls.even_blocks(images, devices), *calls_conv.grid(window, window.in_shape[0], channels, 0)], np.int32
    )


@jax.custom_vjp
def _product(x: Float[Array, "n pre"], kernel: Float[Array, "pre post"]) -> Float[Array, "n post"]:
    """The product of matrices. How XLA splits the sum over all rows in the gradient of `kernel` depends on the number
    of cores and devices, so it is given a few rows at a time, and every device all of them."""
    return whole(x) @ kernel


def _product_backward(saved, gradient):
    x, kernel = saved
    gradient = whole(gradient)
    most = min(len(x), _ROWS)
    rows = next(count for count in range(most, 0, -1) if len(x) % count == 0)

    def add(total, group):
        x, d = group
        return total + x.T @ d, None

    groups = x.reshape(-1, rows, x.shape[1]), gradient.reshape(-1, rows, gradient.shape[1])
    return gradient @ kernel.T, jax.lax.scan(add, jnp.zeros_like(kernel), groups)[0]


_product.defvjp(lambda x, kernel: (_product(x, kernel), (whole(x), kernel)), _product_backward)
