"""Shared weights in a window that slides over an image, a synapse and the neurons that they feed: `ConvProjection`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import jax
from flax import nnx
from jaxtyping import Array, Float

from snnlab.encode import SpikeTimes, Steady
from snnlab.errors import ArgumentError
from snnlab.kernels import Drive, Packed, Window
from snnlab.layers.batch_norm import BatchNorm
from snnlab.layers.operators import Delay
from snnlab.layers.projection import Part, Projection
from snnlab.layers.weights import he_normal
from snnlab.record import Trace
from snnlab.support import arguments


class ConvProjection(Projection):
    """Spikes of an image in, neurons at every place of a window out: `Convolution >> synapse >> neuron`.

        I[t] = synapse(conv(pool(x[t - delay]), W) + b)

    The equation of the convolution is that of `kernels.Window`. Units are flat, in the order channel, row, column. All
    neurons of a channel share weights, bias and constants. On the CPU only the spikes are computed with: a spike costs
    as many additions as it meets weights, and neurons that nothing reaches cost nothing. That holds behind an `Expon`,
    or without a synapse; behind a `DoubleExpon` or a synapse of your own, the convolution is computed at every step.

    A window as large as the image has a single place: so `ConvProjection((32, 8, 8), Leaky(10), window=4, pool=2)` is
    a readout of the sums of 2 x 2 pixels.

    Args:
        in_shape: channels, rows and columns of the layer before, or rows and columns of a gray image.
        neuron: one neuron for every channel, such as `LifRef(16)`.
        window: rows and columns of the window; one number for both, as for the next two.
        stride: step from one place to the next.
        padding: zeros before and behind the image; less than the window.
        pool: if it is 2 or more, the window slides over the sums of `pool x pool` pixels. Spikes count one by one; for
            a maximum, which no kernel computes, put a `Pool("max", ...)` in front, which is dense.
        synapse: such as `Expon(16)`; without one, every spike is a current that lasts one step. With a
            `DoubleExpon(16)` the layer is dense, and takes many times longer.
        delay: steps that a spike travels, >= 0; or a `Delay` with one number for each pixel, as for a `Projection`.
        use_bias: whether to add a learned constant at every step, one per channel.
        norm: such as `BatchNorm(16)`, which normalizes what arrives at each channel.
        kernel_init: `(key, (in, out)) -> weights`; default He normal, deviation `sqrt(2 / in)`, with the number `in` of
            values in the window.
        rngs: random streams; `params` draws the weights.

    Attributes:
        out_shape: channels, rows and columns of the output.
        kernel: the weights, `(rows columns channels, out)`: a row for every value in the window, in the order row,
            column, channel; so `kernel.reshape(rows, columns, channels, out)` are the filters.

    Raises:
        ArgumentError: if sizes or time steps do not fit together, or something else is given for a part.

    Source: LeCun et al. (1989), DOI 10.1162/neco.1989.1.4.541.

    Example:
        >>> import jax.numpy as jnp
        >>> from snnlab.layers import Expon, LifRef
        >>> conv = ConvProjection((28, 28), LifRef(16), window=5, synapse=Expon(16), rngs=nnx.Rngs(0))
        >>> conv.out_shape, conv(jnp.zeros((7, 2, 784))).spikes.shape
        ((16, 24, 24), (7, 2, 9216))
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        neuron: Part,
        *,
        window: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        pool: int = 1,
        synapse: Part | None = None,
        delay: int | Delay = 0,
        use_bias: bool = False,
        norm: BatchNorm | None = None,
        kernel_init: Callable = he_normal,
        rngs: nnx.Rngs,
    ):
        self.window = Window(
            in_shape=_image(in_shape),
            size=_pair("window", window),
            stride=_pair("stride", stride),
            padding=_pair("padding", padding, 0),
            pool=pool,
        )
        fan_in = self.window.fan_in
        super().__init__(
            self.window.num_units,
            neuron,
            synapse=synapse,
            delay=delay,
            use_bias=use_bias,
            norm=norm,
            kernel_init=lambda key, shape: kernel_init(key, (fan_in, shape[1])),
            rngs=rngs,
        )
        self.out_shape = (self.neuron.features, *self.window.grid)
        self.features = math.prod(self.out_shape)

    def drive(self, x: SpikeTimes | Packed | Steady | Drive | Float[Array, "time batch pre"]) -> Drive:
        """Weigh the input, which then reaches the synapse; a `Drive` is returned as it is.

        Raises:
            ArgumentError: if the input has another width.
        """
        drive = super().drive(x)
        if drive.kernel is not None and drive.window is not None and drive.window.pixels == 1:
            return replace(drive, kernel=drive.window.flat(drive.kernel), window=None)  # as a layer without a window
        return drive

    def _weighed(self, x: SpikeTimes | Packed | Steady | Float[Array, "time batch pre"]) -> Drive:
        """Weigh the input in the window, without a norm."""
        return replace(super()._weighed(x), window=self.window)

    def _of_your_own(self, arriving: Float[Array, "time batch n"]):
        """Run neurons or a synapse of your own; a pixel is to them one more sample."""
        (steps, batch, _), channels, pixels = arriving.shape, self.neuron.features, self.window.pixels
        by_pixel = arriving.reshape(steps, batch, channels, pixels).swapaxes(2, 3).reshape(steps, -1, channels)

        def together(array: Array) -> Array:
            split = array.reshape(*array.shape[:-2], batch, pixels, channels)
            return split.swapaxes(-1, -2).reshape(*array.shape[:-2], batch, -1)

        out = super()._of_your_own(by_pixel)
        return jax.tree.map(together, out._replace(packed=None) if isinstance(out, Trace) else out)


def _pair(name: str, value, low: int = 1) -> tuple[int, int]:
    """Return a number for rows and columns as two."""
    values = (value, value) if isinstance(value, int) else tuple(value)
    if len(values) != 2:
        raise ArgumentError(f"{name}: must be one number, or one for rows and one for columns, got {value!r}")
    rows, columns = (arguments.count(name, number, low) for number in values)
    return rows, columns


def _image(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of an image with its channels."""
    sizes = tuple(arguments.count("in_shape", size) for size in shape)
    if len(sizes) not in (2, 3):
        raise ArgumentError(f"in_shape: must be (channels, rows, columns) or (rows, columns), got {tuple(shape)}")
    channels, rows, columns = (1, *sizes)[-3:]
    return channels, rows, columns
