"""Products of spikes and weights on the tensor cores of a GPU, as exact as with float32."""

from functools import partial
from typing import TypeGuard

import jax
import jax.numpy as jnp
from jaxtyping import Array, BFloat16, Float

from snnlab.encode import SpikeTimes
from snnlab.kernels.axes import alike
from snnlab.kernels.orders import no_more


def fits(x) -> TypeGuard[SpikeTimes]:
    """Whether an input is spikes of units that fire at most once: 0 and 1 are exact at any precision.

    Example:
        >>> fits(SpikeTimes(times=jnp.array([[0, 2]]), num_steps=3, num_units=2)), fits(jnp.ones((3, 1, 2)))
        (True, False)
    """
    return isinstance(x, SpikeTimes) and x.units is None


def weigh(x: SpikeTimes, w: Float[Array, "pre post"]) -> Float[Array, "time batch post"]:
    """Compute `x[t] W` for spikes of units that fire at most once.

    A bfloat16 keeps 8 of the 24 bits of a float32, so three of them hold a weight. Products with 0 and 1 are exact, and
    sums are made in float32; on the way back, the same holds for the gradient in place of the weight.

    Example:
        >>> x = SpikeTimes(times=jnp.array([[0, 2]]), num_steps=3, num_units=2)
        >>> weigh(x, jnp.array([[1.0000001], [3.0]]))[:, 0, 0].tolist()
        [1.0000001192092896, 0.0, 3.0]
    """
    times = x.int32("times")
    dense = (times == jnp.arange(x.num_steps)[:, None, None]).astype(jnp.bfloat16)
    return _weigh(*alike(dense, w))


@jax.custom_vjp
def _weigh(x: BFloat16[Array, "time batch pre"], w: Float[Array, "pre post"]) -> Float[Array, "time batch post"]:
    return no_more(partial(_product, "tbi,io->tbo"), x, w)


def _forward(x, w):
    return _weigh(x, w), x


def _backward(x, gradient):
    return jnp.zeros_like(x), no_more(partial(_product, "tbi,tbo->io"), x, gradient)


_weigh.defvjp(_forward, _backward)


def _product(axes: str, x, values):
    return _joined(jnp.einsum(axes, x, _parts(values), preferred_element_type=jnp.float32))


def _parts(values: Float[Array, "*rows n"]) -> BFloat16[Array, "*rows three_n"]:
    """Return three bfloat16 side by side, whose sum is the value; smallest first."""
    high = _rounded(values)
    middle = _rounded(values - high)
    return jnp.concatenate([values - high - middle, middle, high], axis=-1).astype(jnp.bfloat16)


def _rounded(values):
    """Round to the bits of a bfloat16. XLA leaves a type that narrows and widens again out, but not this."""
    return jax.lax.reduce_precision(values, exponent_bits=8, mantissa_bits=7)


def _joined(parts: Float[Array, "*rows three_n"]) -> Float[Array, "*rows n"]:
    low, middle, high = jnp.split(parts, 3, axis=-1)
    return low + middle + high
