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
        pixels: number of places at which a convolution has neurons; 1 for other layers. At every place its channels
            are padded to whole tiles: unit `c pixels + p` is channel `c` of place `p`.

    Example:
        >>> bits = jnp.array([[[1, 2, 3]]], jnp.uint16)  # one sample, three steps: neuron 0, neuron 1, both
        >>> Packed(bits=bits, carrier=unpack(bits), num_units=2).dense()[:, 0].tolist()
        [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """

    bits: UInt16[Array, "batch tile time"]
    carrier: Float[Array, "batch time padded"]
    num_units: int = field(metadata={"static": True})
    pixels: int = field(default=1, metadata={"static": True})

    @property
    def num_steps(self) -> int:
        """Length of the sequence."""
        return self.bits.shape[2]

    def dense(self) -> Float[Array, "time batch unit"]:
        """0.0 or 1.0 of every neuron at every step."""
        return from_tiles(self.carrier, self.num_units, self.pixels)


def unpack(bits: UInt16[Array, "batch tile time"]) -> Float[Array, "batch time padded"]:
    """Turn bits into 0.0 and 1.0.

    Example:
        >>> unpack(jnp.array([[[5]]], jnp.uint16))[0, 0, :4].tolist()
        [1.0, 0.0, 1.0, 0.0]
    """
    lanes = jnp.arange(LANES, dtype=jnp.uint16).reshape(1, 1, 1, LANES)
    single = (bits.swapaxes(1, 2)[..., None] >> lanes) & jnp.uint16(1)
    return single.reshape(bits.shape[0], bits.shape[2], -1).astype(jnp.float32)


def from_tiles(x: Float[Array, "batch time padded"], features: int, pixels: int = 1) -> Float[Array, "time batch n"]:
    """Change the layout of the kernels to `(time, batch, neuron)`."""
    return without_padding(x, features, pixels).swapaxes(0, 1)


def to_tiles(x: Float[Array, "time batch n"], pixels: int = 1) -> Float[Array, "batch time padded"]:
    """Change `(time, batch, neuron)` to the layout of the kernels."""
    return pad(x.swapaxes(0, 1), 2, pixels=pixels)


def pad(x: Array, axis: int, value: float = 0.0, *, pixels: int = 1) -> Array:
    """Pad an axis to whole tiles; with several pixels, in the order channel, pixel, the channels of each pixel.

    Example:
        >>> pad(jnp.ones((2, 17)), 1).shape
        (2, 32)
        >>> pad(jnp.arange(4), 0, pixels=2)[jnp.array([0, 1, 16, 17])].tolist()
        [0, 2, 1, 3]
    """
    if pixels > 1:
        before, after = x.shape[:axis], x.shape[axis + 1 :]
        by_pixel = x.reshape(*before, -1, pixels, *after).swapaxes(axis, axis + 1)
        return pad(by_pixel, axis + 1, value).reshape(*before, -1, *after)
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, -x.shape[axis] % LANES)
    return jnp.pad(x, widths, constant_values=value)


def without_padding(x: Array, features: int, pixels: int = 1) -> Array:
    """Undo `pad` on the last axis.

    Example:
        >>> without_padding(pad(jnp.arange(6), 0, pixels=3), 6, 3).tolist()
        [0, 1, 2, 3, 4, 5]
    """
    if pixels == 1:
        return x[..., :features]
    by_pixel = x.reshape(*x.shape[:-1], pixels, -1)[..., : features // pixels]
    return by_pixel.swapaxes(-1, -2).reshape(*x.shape[:-1], features)
