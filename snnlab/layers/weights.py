"""Initial weights. One compiled program draws the weights of many shapes.

JAX compiles a program for every shape that it draws, which takes longer than all else in the making of a network. What
it draws for an index depends on the key and the index alone (`jax_threefry_partitionable`), so the first values of a
long draw are those of a short one.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from snnlab.support import arguments

_SHORTEST = 4096  # numbers in one draw
_CUT_DEVIATION = 0.87962566103423978  # standard deviation of a normal variable that lies between -2 and 2


def new_key(rngs: nnx.Rngs) -> PRNGKeyArray:
    """Return a new key from the stream that draws weights."""
    return arguments.instance("rngs", rngs, nnx.Rngs, "random streams, such as nnx.Rngs(0)").params()


def he_normal(key: PRNGKeyArray, shape: tuple[int, int]) -> Float[Array, "in out"]:
    """Draw weights `(in, out)`: a normal variable, cut off at two deviations, then scaled to `sqrt(2 / in)`.

    The values are those of `jax.nn.initializers.he_normal()`.

    Source: He et al. (2015), DOI 10.1109/ICCV.2015.123.

    Example:
        >>> round(float(he_normal(jax.random.key(0), (50, 160)).std()), 2)
        0.2
    """
    return _cut_normal(key, shape, 2.0 / shape[0])


def glorot_normal(key: PRNGKeyArray, shape: tuple[int, int]) -> Float[Array, "in out"]:
    """Draw weights `(in, out)`: a normal variable, cut off at two deviations, then scaled to `sqrt(2 / (in + out))`.

    The values are those of `jax.nn.initializers.glorot_normal()`.

    Source: Glorot & Bengio (2010), https://proceedings.mlr.press/v9/glorot10a.html.

    Example:
        >>> round(float(glorot_normal(jax.random.key(0), (50, 150)).std()), 2)
        0.1
    """
    return _cut_normal(key, shape, 2.0 / sum(shape))


def lecun_normal(key: PRNGKeyArray, shape: tuple[int, int]) -> Float[Array, "in out"]:
    """Draw weights `(in, out)`: a normal variable, cut off at two deviations, then scaled to `1 / sqrt(in)`.

    The values are those of `jax.nn.initializers.lecun_normal()`.

    Source: Klambauer et al. (2017), arXiv:1706.02515.

    Example:
        >>> round(float(lecun_normal(jax.random.key(0), (100, 80)).std()), 2)
        0.1
    """
    return _cut_normal(key, shape, 1.0 / shape[0])


def scaled_normal(key: PRNGKeyArray, shape: tuple[int, int]) -> Float[Array, "in out"]:
    """Draw weights `(in, out)`: a normal variable of deviation `1 / sqrt(in)`.

    The values are those of `jax.nn.initializers.variance_scaling(1.0, "fan_in", "normal")`.

    Example:
        >>> round(float(scaled_normal(jax.random.key(0), (100, 80)).std()), 2)
        0.1
    """
    return _scaled(jax.random.normal(key, _long(shape), jnp.float32), shape, 1.0 / shape[0])


def evenly(key: PRNGKeyArray, count: int) -> Float[Array, " n"]:
    """Draw numbers evenly from 0 to 1.

    Example:
        >>> drawn = evenly(jax.random.key(0), 1000)
        >>> drawn.shape, bool((drawn >= 0.0).all() and (drawn < 1.0).all()), round(float(drawn.mean()), 1)
        ((1000,), True, 0.5)
    """
    return _scaled(jax.random.uniform(key, _long((count,)), jnp.float32), (count,), 1.0)


def _cut_normal(key: PRNGKeyArray, shape: tuple[int, int], variance: float) -> Float[Array, "in out"]:
    drawn = jax.random.truncated_normal(key, -2.0, 2.0, _long(shape), jnp.float32)
    return _scaled(drawn, shape, variance, _CUT_DEVIATION)


def _long(shape: tuple[int, ...]) -> tuple[int]:
    """The shape of a draw that gives enough numbers, a power of two of them."""
    return (max(_SHORTEST, 1 << (math.prod(shape) - 1).bit_length()),)


def _scaled(drawn: Array, shape: tuple[int, ...], variance: float, deviation: float = 1.0) -> Float[Array, "..."]:
    """Cut the values out of numbers of a deviation, and scale them to a variance."""
    number = drawn.dtype.type
    factor = np.sqrt(number(variance)) / number(deviation)
    numbers = drawn if isinstance(drawn, Tracer) else np.asarray(drawn)  # NumPy compiles nothing
    return jnp.asarray(numbers[: math.prod(shape)].reshape(shape) * factor)
