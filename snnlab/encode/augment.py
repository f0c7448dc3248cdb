"""Change images at random while a network trains, so that it overfits less: `Augment`."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, Shaped

from snnlab.encode.events import as_numbers
from snnlab.errors import ArgumentError
from snnlab.support import arguments


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Mirror images, and move them, each at random and independently of the others.

        y[row, column] = x[row - down, right -> column - right],   or the same with the columns of x in reverse

    where `down` and `right` are uniform integers in `-shift .. shift`, what comes in from outside is 0, and half of the
    images are mirrored first. All channels of an image are changed alike.

    Args:
        flip: mirror half of the images, left to right. Only for images whose mirror images are of the same class: shoes
            and shirts, but not digits.
        shift: most pixels along rows, and along columns.

    Raises:
        ArgumentError: if a value is out of range, or samples are no images.

    Example:
        >>> images = jnp.arange(6, dtype=jnp.uint8).reshape(1, 2, 3)
        >>> some = [Augment(flip=True)(images, key=jax.random.key(seed))[0, 0].tolist() for seed in range(20)]
        >>> sorted(set(map(tuple, some)))
        [(0, 1, 2), (2, 1, 0)]

    Source: Krizhevsky, Sutskever & Hinton (2012), DOI 10.1145/3065386.
    """

    flip: bool = False
    shift: int = 0  # pixels

    def __post_init__(self):
        arguments.flag("flip", self.flip)
        arguments.count("shift", self.shift, 0)

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return self.flip or self.shift > 0

    def __call__(
        self, x: Shaped[Array, "batch *channels rows columns"], *, key: PRNGKeyArray
    ) -> Shaped[Array, "batch *channels rows columns"]:
        x = as_numbers(x)
        if x.ndim < 3 or x.dtype == jnp.int32:
            raise ArgumentError(
                f"x: only images (batch, rows, columns) can be mirrored and moved, got {x.dtype}{x.shape}; leave flip "
                "and shift out"
            )
        flips, moves = jax.random.split(key)
        if self.flip:
            mirrored = jax.random.bernoulli(flips, 0.5, (len(x), *(1,) * (x.ndim - 1)))
            x = jnp.where(mirrored, x[..., ::-1], x)
        if self.shift:
            x = _moved(x, jax.random.randint(moves, (2, len(x)), -self.shift, self.shift + 1))
        return x


def _moved(x: Array, by) -> Array:
    """Move each image by a number of rows and of columns of its own."""
    rows, columns = x.shape[-2:]
    down, right = by

    def source(size: int, moves) -> tuple[Array, Array]:
        """From which place each place comes, and whether that is inside."""
        place = jnp.arange(size) - moves[:, None]
        return place.clip(0, size - 1), (place >= 0) & (place < size)

    (from_row, row_inside), (from_column, column_inside) = source(rows, down), source(columns, right)
    flat = x.reshape(len(x), -1, rows, columns)
    moved = jnp.take_along_axis(flat, from_row[:, None, :, None], 2)
    moved = jnp.take_along_axis(moved, from_column[:, None, None, :], 3)
    inside = row_inside[:, None, :, None] & column_inside[:, None, None, :]
    return jnp.where(inside, moved, jnp.zeros((), x.dtype)).reshape(x.shape)
