"""Layers without neurons, for graphs from other simulators: `Scale`, `Delay`, `Threshold`, `Conv`, `Pool`.

Like every layer they take and return `(time, batch, neuron)`. Images stay flat, in the order channel, row, column;
layers that need the shape have it as an argument, so flattening does nothing.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from snnlab.encode import SpikeTimes, Steady
from snnlab.encode.events import as_sequence
from snnlab.errors import ArgumentError
from snnlab.layers.voltages import scale_of_voltage
from snnlab.record import Trace
from snnlab.support import arguments
from snnlab.surrogate import Surrogate, get_surrogate
from snnlab.variables import Fixed, plain, setting

Input = SpikeTimes | Steady | Float[Array, "time batch pre"]


def _array(x: Input, features: int) -> Float[Array, "time batch pre"]:
    x = x.dense() if isinstance(x, SpikeTimes | Steady) else as_sequence(x)
    if x.shape[-1] != features:
        raise ArgumentError(f"x: has {x.shape[-1]} units, this layer was built for {features}")
    return x


class Scale(nnx.Module):
    """A learned gain for every unit, `y = scale x`.

    Args:
        scale: one number per unit.

    Raises:
        ArgumentError: if a value is not finite, or the shape or the width of the input does not fit.

    Example:
        >>> Scale([1.0, 2.0])(jnp.ones((1, 1, 2))).tolist()
        [[[1.0, 2.0]]]
    """

    def __init__(self, scale):
        scale = arguments.numbers("scale", scale)
        if scale.ndim != 1:
            raise ArgumentError(f"scale: must be one number per unit, got shape {scale.shape}")
        self.features = len(scale)
        self.scale = nnx.Param(jnp.asarray(scale, jnp.float32))

    def __call__(self, x: Input) -> Float[Array, "time batch pre"]:
        return _array(x, self.features) * self.scale[...].reshape(1, 1, -1)


class Delay(nnx.Module):
    """Every unit arrives some steps later, `y[t] = x[t - d]`, and 0 before that.

    Delays may be learned: then they are real numbers, and a signal between two steps is divided between them,

        y[t] = (1 - f) x[t - k] + f x[t - k - 1],    d = k + f,  k = floor(d)

    so that `dy[t]/dd = x[t - k - 1] - x[t - k]`. A spike then arrives as two parts, which add up to 1. Behind a synapse
    the gradient points the way over as many steps as its current lasts.

    Args:
        steps: number of steps of every unit, >= 0: whole numbers, or a Variable of real numbers whose type says who may
            change them, such as `nnx.Param(np.full(100, 5.0))`.
        most: the largest number of steps, for those in a Variable; learned delays are kept between 0 and `most`.

    Attributes:
        least: the smallest number of steps; 0 if they may change.

    Raises:
        ArgumentError: if a value is out of range, or the input has another width.

    Source: Hammouamri, Khalfaoui-Hassani & Masquelier (2024), arXiv:2306.17670, on learning delays.

    Example:
        >>> Delay([0, 2])(jnp.ones((3, 1, 2)))[:, 0].tolist()
        [[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
        >>> Delay(nnx.Param([0.25]), most=5)(jnp.zeros((3, 1, 1)).at[0].set(1.0))[:, 0, 0].tolist()
        [0.75, 0.25, 0.0]
    """

    def __init__(self, steps, *, most=None):
        if isinstance(steps, nnx.Variable):
            self._between(steps, most)
            return
        if most is not None:
            raise ArgumentError("most: does nothing for delays that stay; leave it out, or pass steps=nnx.Param(...)")
        steps = np.asarray([arguments.count("steps", k, 0) for k in np.ravel(steps)], np.int32)
        self.features, self.least, self._most = len(steps), int(steps.min()), int(steps.max())
        self.steps, self._whole = Fixed(jnp.asarray(steps)), True

    def _between(self, steps: nnx.Variable, most) -> None:
        """Take delays that may lie between steps."""
        if most is None:
            raise ArgumentError("most: must be the largest number of steps of delays that may change, got None")
        most, shape = arguments.number("most", most, 0.0), np.shape(plain(steps))
        if len(shape) != 1:
            raise ArgumentError(f"steps: must be one number per unit, got shape {shape}")
        self.features, self.least, self._most, self._whole = shape[0], 0, math.ceil(most), False
        self.steps = setting("steps", steps, self.features, low=0.0, high=most, most=most, unit="steps")

    def __call__(self, x: Input) -> Float[Array, "time batch pre"]:
        x = _array(x, self.features)
        now = jnp.arange(len(x), dtype=jnp.int32)[:, None, None]

        def later(steps: Int[Array, " pre"]) -> Float[Array, "time batch pre"]:
            source = now - steps.reshape(1, 1, -1)
            return jnp.where(source >= 0, jnp.take_along_axis(x, source.clip(0), axis=0), 0.0)

        return self._arriving(later, lambda first: jnp.pad(first[:-1], ((1, 0), (0, 0), (0, 0))))

    def start(self, batch: int, dtype=jnp.float32) -> tuple[Float[Array, "past batch pre"], Float[Array, "batch pre"]]:
        """Return the state and the output before the first step; see `snnlab.layers.Graph`."""
        past = jnp.zeros((self._most + (1 if self._whole else 2), batch, self.features), dtype)
        return past, past[0]

    def step(self, past: Float[Array, "past batch pre"], x: Float[Array, "batch pre"]):
        """Take one step; return the new state, which is the input of the last steps, and the results."""
        past = jnp.concatenate([x[None], past[:-1]])

        def later(steps: Int[Array, " pre"]) -> Float[Array, "batch pre"]:
            return jnp.take_along_axis(past, steps.reshape(1, 1, -1), axis=0)[0]

        return past, Trace(state=self._arriving(later))

    def due(self, past: Float[Array, "past batch pre"]) -> Float[Array, "batch pre"]:
        """Return the output of the next step, if every unit is delayed by a step or more."""
        return jnp.take_along_axis(past, self.steps[...].reshape(1, 1, -1) - 1, axis=0)[0]

    def _arriving(
        self, later: Callable[[Int[Array, " pre"]], Array], after: Callable[[Array], Array] | None = None
    ) -> Array:
        """Compute what arrives, with a function that delays every unit by whole steps, and perhaps one that delays that
        by a step more, which costs less."""
        steps = self.steps[...]
        if self._whole:
            return later(steps)
        # Also where a loop of one's own leaves the range, with the gradient that leads back.
        steps = steps + jax.lax.stop_gradient(steps.clip(0.0, float(self._most)) - steps)
        whole = jnp.floor(jax.lax.stop_gradient(steps)).astype(jnp.int32)
        part = steps - whole
        first = later(whole)
        return (1.0 - part) * first + part * (later(whole + 1) if after is None else after(first))


class Threshold(nnx.Module):
    """A spike at every step at which the input reaches a threshold, `s = H(input - v_th)`: neurons without memory.

    Args:
        features: number of units.
        v_th: threshold.
        slope: inverse width of the surrogate, >= 0, in units of `v_scale`.
        v_scale: the input in which the surrogate is measured, > 0: it sees `x = (input - v_th) / v_scale`.
        surrogate: a name in `snnlab.surrogate.SURROGATES`, or a `Surrogate`.

    Raises:
        ArgumentError: if a value is out of range, or the input has another width.

    Example:
        >>> Threshold(2, v_th=[1.0, 3.0])(jnp.full((1, 1, 2), 2.0)).spikes.tolist()
        [[[1.0, 0.0]]]

    Source: McCulloch & Pitts (1943), DOI 10.1007/BF02478259.
    """

    def __init__(self, features: int, *, v_th=1.0, slope=10.0, v_scale=1.0, surrogate: str | Surrogate = "inv_square"):
        self.features = arguments.count("features", features)
        self.v_th = setting("v_th", v_th, features)
        self.slope = setting("slope", slope, features, low=0.0, begin=0.1, high=100.0)
        self.v_scale = scale_of_voltage(features, v_scale)
        self.surrogate = get_surrogate(surrogate)

    def __call__(self, x: Input) -> Trace:
        x = _array(x, self.features)
        v_th, v_scale, slope = (value[...].reshape(1, 1, -1) for value in (self.v_th, self.v_scale, self.slope))
        return Trace(state=x, spikes=self.surrogate.spike((x - v_th) / jax.lax.stop_gradient(v_scale), slope))


class Conv(nnx.Module):
    """Convolution in one or two dimensions at every step (a cross-correlation, as in every deep learning library).

    Args:
        kernel: weights `(channels out, channels in / groups, *size)`.
        bias: one number per channel, or None.
        shape: shape of the input, `(channels, length)` or `(channels, rows, columns)`.
        stride: stride in each dimension.
        padding: number of zeros (before, after) in each dimension.
        dilation: dilation in each dimension.
        groups: number of groups of channels.

    Raises:
        ArgumentError: if the shapes do not fit together.

    Attributes:
        out_shape: shape of the output.

    Example:
        >>> conv = Conv(np.ones((2, 1, 3, 3)), shape=(1, 5, 5), padding=((1, 1), (1, 1)))
        >>> conv.out_shape, conv(jnp.ones((7, 2, 25))).shape
        ((2, 5, 5), (7, 2, 50))
    """

    def __init__(self, kernel, bias=None, *, shape, stride=None, padding=None, dilation=None, groups: int = 1):
        kernel, dims = arguments.numbers("kernel", kernel), len(shape) - 1
        if dims not in (1, 2) or kernel.ndim != dims + 2 or kernel.shape[1] * groups != shape[0]:
            raise ArgumentError(f"kernel: shape {kernel.shape} with groups={groups} does not fit the input {shape}")
        if kernel.shape[0] % groups or (bias is not None and np.shape(bias) != kernel.shape[:1]):
            raise ArgumentError(f"bias, groups: do not fit {kernel.shape[0]} channels")
        self.shape, self.groups = tuple(shape), groups
        self.stride = stride or (1,) * dims
        self.padding = padding or ((0, 0),) * dims
        self.dilation = dilation or (1,) * dims
        self.kernel = nnx.Param(jnp.asarray(kernel, jnp.float32))
        self.bias = None if bias is None else nnx.Param(jnp.asarray(arguments.numbers("bias", bias), jnp.float32))
        reach = [d * (k - 1) + 1 for d, k in zip(self.dilation, kernel.shape[2:], strict=True)]
        self.out_shape = (kernel.shape[0], *_window_shape(shape[1:], reach, self.stride, self.padding))

    def __call__(self, x: Input) -> Float[Array, "time batch post"]:
        x = _array(x, math.prod(self.shape))
        steps, batch, _ = x.shape
        options = {"rhs_dilation": self.dilation, "feature_group_count": self.groups}
        images = x.reshape(steps * batch, *self.shape)
        y = jax.lax.conv_general_dilated(images, self.kernel[...], self.stride, self.padding, **options)
        if self.bias is not None:
            y = y + self.bias[...].reshape(1, -1, *(1,) * (len(self.shape) - 1))
        return y.reshape(steps, batch, -1)


class Pool(nnx.Module):
    """Sum, average or maximum over windows, channel by channel, at every step; zeros of the padding count.

    The maximum of spikes is 1 where a neuron of the window fires, however many do. Its gradient goes to one of those
    that have it, the first.

    Args:
        kind: "sum", "average" or "max".
        shape: shape of the input, `(channels, rows, columns)`.
        window: rows and columns of a window.
        stride: stride in both dimensions.
        padding: number of zeros (before, after) in both dimensions.

    Raises:
        ArgumentError: if the shapes do not fit together.

    Attributes:
        out_shape: shape of the output.

    Example:
        >>> pool = Pool("sum", shape=(1, 4, 4), window=(2, 2), stride=(2, 2))
        >>> pool(jnp.ones((1, 1, 16))).tolist()
        [[[4.0, 4.0, 4.0, 4.0]]]
    """

    def __init__(self, kind: str, *, shape, window, stride, padding=((0, 0), (0, 0))):
        self.kind = arguments.choice("kind", kind, ("sum", "average", "max"))
        if len(shape) != 3:
            raise ArgumentError(f"shape: must be (channels, rows, columns), got {shape}")
        self.shape, self.window, self.stride, self.padding = tuple(shape), window, stride, padding
        self.out_shape = (shape[0], *_window_shape(shape[1:], window, stride, padding))

    def __call__(self, x: Input) -> Float[Array, "time batch post"]:
        x = _array(x, math.prod(self.shape))
        steps, batch, _ = x.shape
        ones, no = (1, 1), ((0, 0), (0, 0))
        images = jnp.pad(x.reshape(steps * batch, *self.shape), no + tuple(self.padding))
        start, combine = (-jnp.inf, jax.lax.max) if self.kind == "max" else (0.0, jax.lax.add)
        y = jax.lax.reduce_window(images, start, combine, ones + self.window, ones + self.stride, "VALID")
        y = y / math.prod(self.window) if self.kind == "average" else y
        return y.reshape(steps, batch, -1)


def _window_shape(shape, window, stride, padding) -> tuple[int, ...]:
    """Return the number of windows in each dimension."""
    sizes = zip(shape, window, stride, padding, strict=True)
    out = tuple((size + sum(pad) - reach) // step + 1 for size, reach, step, pad in sizes)
    if min(out) < 1:
        raise ArgumentError(f"shape: a window of {tuple(window)} does not fit into {tuple(shape)}")
    return out
