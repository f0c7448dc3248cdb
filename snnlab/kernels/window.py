"""The geometry of a convolution: which inputs reach which neurons, with which weight."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from snnlab.errors import ArgumentError
from snnlab.support import arguments


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window that slides over an image; at each of its places, its *pixels*, stand neurons with the same weights.

        y[o, row, column] = sum over c, i, j of  x[c, stride row + i - padding, stride column + j - padding] W[i j c, o]

    Units are flat, in the order channel, row, column. Weights are `(rows columns channels, out)`, a row for every value
    in the window, in the order row, column, channel.

    Attributes:
        in_shape: channels, rows and columns of the input.
        size: rows and columns of the window.
        stride: step from one place of the window to the next, along rows and columns.
        padding: zeros before and behind the rows, and before and behind the columns; less than the size.
        pool: the window slides over the sums of `pool x pool` pixels; rows and columns that fill no such cell are
            left out.

    Raises:
        ArgumentError: if a number is out of range, or the window does not fit into the image.

    Example:
        >>> window = Window(in_shape=(1, 28, 28), size=(5, 5))
        >>> window.grid, window.fan_in
        ((24, 24), 25)
    """

    in_shape: tuple[int, int, int]
    size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    pool: int = 1

    def __post_init__(self):
        for name, low in (("size", 1), ("stride", 1), ("padding", 0)):
            for value in getattr(self, name):
                arguments.count(name, value, low)
        arguments.count("pool", self.pool)
        if min(self.cells) < 1:
            raise ArgumentError(f"pool: cells of {self.pool} x {self.pool} do not fit into the input {self.in_shape}")
        if any(pad >= size for pad, size in zip(self.padding, self.size, strict=True)):
            raise ArgumentError(f"padding: must be less than the window {self.size}, got {self.padding}")
        if min(self.grid) < 1:
            raise ArgumentError(f"window: {self.size} does not fit into {self.cells} pixels, padding {self.padding}")

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns over which the window slides."""
        return self.in_shape[1] // self.pool, self.in_shape[2] // self.pool

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the places of the window."""
        sizes = zip(self.cells, self.size, self.stride, self.padding, strict=True)
        rows, columns = ((cells + 2 * pad - size) // step + 1 for cells, size, step, pad in sizes)
        return rows, columns

    @property
    def pixels(self) -> int:
        """Number of places of the window."""
        return math.prod(self.grid)

    @property
    def fan_in(self) -> int:
        """Number of values in the window."""
        return self.in_shape[0] * math.prod(self.size)

    @property
    def num_units(self) -> int:
        """Number of inputs."""
        return math.prod(self.in_shape)

    def spread(self, values):
        """Give every pixel the value of its channel; single numbers, and None, stay as they are.

        Example:
            >>> Window(in_shape=(1, 1, 3), size=(1, 2)).spread(jnp.array([1.0, 2.0])).tolist()
            [1.0, 1.0, 2.0, 2.0]
        """
        return jax.tree.map(lambda leaf: jnp.repeat(leaf, self.pixels) if jnp.ndim(leaf) else leaf, values)

    def convolve(self, x: Float[Array, "time batch pre"], kernel: Float[Array, "fan_in out"]) -> Array:
        """Compute `y` at every step, dense: `(time, batch, out rows columns)`.

        Example:
            >>> Window(in_shape=(1, 2, 3), size=(2, 2)).convolve(jnp.ones((1, 1, 6)), jnp.ones((4, 1))).tolist()
            [[[4.0, 4.0]]]
        """
        images = self.images(x)
        y = jax.lax.conv_general_dilated(
            images.reshape(-1, *images.shape[2:]),
            kernel.reshape(*self.size, self.in_shape[0], -1),
            self.stride,
            [(pad, pad) for pad in self.padding],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=jax.lax.Precision.HIGHEST,  # or a GPU rounds to 11 bits, and spikes change
        )
        return self.flattened(y, *x.shape[:2])

    def images(self, x: Float[Array, "time batch pre"]) -> Float[Array, "batch time row column channel"]:
        """Return sums of `pool x pool` pixels in the order of the kernels: channels last, a sample's steps together.

        Example:
            >>> Window(in_shape=(1, 2, 2), size=(1, 1), pool=2).images(jnp.ones((3, 5, 4))).shape
            (5, 3, 1, 1, 1)
        """
        images = x.reshape(*x.shape[:2], *self.in_shape).transpose(1, 0, 3, 4, 2)
        if self.pool == 1:
            return images
        (rows, columns), k = self.cells, self.pool
        whole = images[:, :, : rows * k, : columns * k]
        return whole.reshape(*images.shape[:2], rows, k, columns, k, -1).sum((3, 5))

    def flattened(self, y: Array, steps: int, batch: int) -> Float[Array, "time batch post"]:
        """Return what stands at the pixels of images in that order, `(batch time) row column out`, as units.

        Example:
            >>> Window(in_shape=(1, 1, 2), size=(1, 1)).flattened(jnp.arange(4.0).reshape(1, 1, 2, 2), 1, 1).tolist()
            [[[0.0, 2.0, 1.0, 3.0]]]
        """
        return y.reshape(batch, steps, self.pixels, -1).transpose(1, 0, 3, 2).reshape(steps, batch, -1)

    def flat(self, kernel: Float[Array, "fan_in out"]) -> Float[Array, "pre out"]:
        """Return the weights from every input to the neurons at the only place of a window that has one.

        Example:
            >>> Window(in_shape=(1, 2, 2), size=(1, 1), pool=2).flat(jnp.array([[3.0]]))[:, 0].tolist()
            [3.0, 3.0, 3.0, 3.0]
        """
        if self.pixels != 1:
            raise ArgumentError(f"window: has {self.pixels} places; only one has weights from every input")
        channels, (rows, columns) = self.in_shape[0], self.cells
        top, left = self.padding
        image = kernel.reshape(*self.size, channels, -1)[top : top + rows, left : left + columns]
        missing = [(0, most - have) for most, have in zip(self.cells, image.shape[:2], strict=True)]
        image = jnp.pad(image, [*missing, (0, 0), (0, 0)]).repeat(self.pool, 0).repeat(self.pool, 1)
        missing = [(0, most - have) for most, have in zip(self.in_shape[1:], image.shape[:2], strict=True)]
        return jnp.pad(image, [*missing, (0, 0), (0, 0)]).transpose(2, 0, 1, 3).reshape(self.num_units, -1)

    def cell_of_pixel(self) -> Int[np.ndarray, "rows columns"]:
        """The number of the cell, row by row, that each pixel of the input belongs to; -1 if it belongs to none.

        Example:
            >>> Window(in_shape=(1, 2, 5), size=(1, 1), pool=2).cell_of_pixel().tolist()
            [[0, 0, 1, 1, -1], [0, 0, 1, 1, -1]]
        """
        (rows, columns), (y, x) = self.cells, np.indices(self.in_shape[1:]) // self.pool
        return np.where((y < rows) & (x < columns), y * columns + x, -1).astype(np.int32)
