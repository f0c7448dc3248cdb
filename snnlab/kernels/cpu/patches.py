"""The convolution of dense input on a CPU, as products of matrices.

XLA takes four times longer for the gradient of the weights of a convolution, and how it splits a sum over all images
depends on the number of cores. Here a few images at a time are multiplied, and their gradients added in order.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlab.kernels.window import Window

ROWS = 4096  # of one product: what it needs stays in the cache


def convolve(window: Window, x: Float[Array, "time batch pre"], kernel: Float[Array, "fan_in out"]) -> Array:
    """As `Window.convolve`, with a gradient of its own.

    Example:
        >>> window = Window(in_shape=(1, 2, 3), size=(2, 2))
        >>> convolve(window, jnp.ones((1, 1, 6)), jnp.ones((4, 1))).tolist()
        [[[4.0, 4.0]]]
    """
    images = window.images(x)
    return window.flattened(_multiply(window, images.reshape(-1, *images.shape[2:]), kernel), *x.shape[:2])


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _multiply(
    window: Window, images: Float[Array, "n row column channel"], kernel: Float[Array, "fan_in out"]
) -> Array:
    y = jax.lax.map(lambda some: _patches(window, some) @ kernel, _in_groups(window, images))
    return y.reshape(len(images), window.pixels, -1)


def _forward(window, images, kernel):
    return _multiply(window, images, kernel), (images, kernel)


def _backward(window, saved, gradient):
    images, kernel = saved

    def add(total, group):
        some, d = group
        patches, back = jax.vjp(functools.partial(_patches, window), some)
        total = total + jnp.einsum("npf,npo->fo", patches, d)
        return total, back(d @ kernel.T)[0]

    groups = _in_groups(window, images), _in_groups(window, gradient)
    d_kernel, d_images = jax.lax.scan(add, jnp.zeros_like(kernel), groups)
    return d_images.reshape(images.shape), d_kernel


_multiply.defvjp(_forward, _backward)


def _in_groups(window: Window, x: Float[Array, "n ..."]) -> Array:
    """Split images evenly into groups, each for one product."""
    most = min(len(x), max(1, ROWS // window.pixels))
    together = next(count for count in range(most, 0, -1) if len(x) % count == 0)
    return x.reshape(-1, together, *x.shape[1:])


def _patches(window: Window, images: Float[Array, "n row column channel"]) -> Float[Array, "n pixel fan_in"]:
    """Return what the window holds at each of its places."""
    if window.pixels == 1 and window.size == window.cells:
        return images.reshape(len(images), 1, -1)
    above, left = window.padding
    padded = jnp.pad(images, ((0, 0), (above, above), (left, left), (0, 0)))
    (rows, columns), (down, right) = window.grid, window.stride
    seen = [
        padded[:, i : i + (rows - 1) * down + 1 : down, j : j + (columns - 1) * right + 1 : right]
        for i in range(window.size[0])
        for j in range(window.size[1])
    ]
    return jnp.concatenate(seen, -1).reshape(len(images), window.pixels, -1)
