"""Spikes of a layer at one bit each, as the CPU kernels pass them from one layer to the next."""

import functools
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt16

LANES = 16  # neurons in a tile, the unit in which kernels work and spikes are packed


@functools.partial(jax.tree_util.register_dataclass)
@dataclass(frozen=True, kw_only=True)
class Packed:
    """Spikes of a batch, 16 neurons a word.

    Attributes:
        bits: neuron `16 k + j` of sample `b` fires at step `t` where bit `j` of `bits[b, k, t]` is set.
        carrier: the same as 0.0 and 1.0, padded to whole tiles. It carries the gradient, which bits do not have; inside
            `jit` it is not computed unless something reads it.
        num_units: number of neurons.

    Example:
        >>> bits = jnp.array([[[1, 2, 3]]], jnp.uint16)  # one sample, three steps: neuron 0, neuron 1, both
        >>> Packed(bits=bits, carrier=unpack(bits), num_units=2).dense()[:, 0].tolist()
        [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """

    bits: UInt16[Array, "batch tile time"]
    carrier: Float[Array, "batch time padded"]
    num_units: int = field(metadata={"static": True})

    @property
    def num_steps(self) -> int:
        """Length of the sequence."""
        return self.bits.shape[2]

    def dense(self) -> Float[Array, "time batch unit"]:
        """0.0 or 1.0 of every neuron at every step."""
        return from_tiles(self.carrier, self.num_units)


def unpack(bits: UInt16[Array, "batch tile time"]) -> Float[Array, "batch time padded"]:
    """Turn bits into 0.0 and 1.0.

    Example:
        >>> unpack(jnp.array([[[5]]], jnp.uint16))[0, 0, :4].tolist()
        [1.0, 0.0, 1.0, 0.0]
    """
    lanes = jnp.arange(LANES, dtype=jnp.uint16).reshape(1, 1, 1, LANES)
    single = (bits.swapaxes(1, 2)[..., None] >> lanes) & jnp.uint16(1)
    return single.reshape(bits.shape[0], bits.shape[2], -1).astype(jnp.float32)


def from_tiles(x: Float[Array, "batch time padded"], features: int) -> Float[Array, "time batch n"]:
    """Change the layout of the kernels to `(time, batch, neuron)`."""
    return x[..., :features].swapaxes(0, 1)


def to_tiles(x: Float[Array, "time batch n"]) -> Float[Array, "batch time padded"]:
    """Change `(time, batch, neuron)` to the layout of the kernels."""
    return pad(x.swapaxes(0, 1), 2)


def pad(x: Array, axis: int, value: float = 0.0) -> Array:
    """Pad an axis to whole tiles.

    Example:
        >>> pad(jnp.ones((2, 17)), 1).shape
        (2, 32)
    """
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, -x.shape[axis] % LANES)
    return jnp.pad(x, widths, constant_values=value)
