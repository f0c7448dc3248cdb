"""The input of a layer of neurons before it is computed, so that a kernel can add it spike by spike."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from snnlab.encode import SpikeTimes, Steady
from snnlab.encode.events import as_sequence
from snnlab.errors import ArgumentError
from snnlab.kernels.packed import Packed
from snnlab.kernels.window import Window

EXACT = (
    jax.lax.Precision.HIGHEST
)  # on a GPU, JAX rounds the factors of a product to 11 bits otherwise; spikes would change

Input = SpikeTimes | Packed | Steady | Float[Array, "time batch pre"]


@dataclass(frozen=True, kw_only=True)
class Drive:
    """Weighted spikes behind a synapse:

        I[t] = synapse(x[t - delay] W + bias)

    Attributes:
        x: spikes in any form, steady currents, or real numbers.
        kernel: weights; without them `x` itself is the input.
        bias: a constant for every neuron, or None.
        delay: steps that a spike travels.
        tau_syn: time constant of an exponential synapse [ms], or None for no synapse.
        tau_rise: time constant with which a double exponential synapse rises [ms], or None for one that jumps.
        window: the geometry of a convolution, or None. `W` then is that of `Window`, and what else is one value per
            neuron is one value per channel; without weights, `x` is what comes out of the convolution.

    Example:
        >>> drive = Drive(x=jnp.ones((5, 2, 3)), kernel=jnp.ones((3, 7)), delay=1)
        >>> drive.num_steps, drive.features, drive.arriving()[:2, 0, 0].tolist()
        (5, 7, [0.0, 3.0])
    """

    x: Input
    kernel: Float[Array, "pre post"] | None = None
    bias: Float[Array, " post"] | None = None
    delay: int = 0
    tau_syn: Float[Array, "..."] | None = None
    tau_rise: Float[Array, "..."] | None = None
    window: Window | None = None

    def __post_init__(self):
        if isinstance(self.x, SpikeTimes) and self.x.strength != 1.0 and self.kernel is not None:
            object.__setattr__(self, "kernel", self.x.strength * self.kernel)  # kernels read spikes of 1 only
            object.__setattr__(self, "x", replace(self.x, strength=1.0))

    @classmethod
    def of(cls, x) -> "Drive":
        """Return a drive as it is, and an array as a current."""
        return x if isinstance(x, cls) else cls(x=as_sequence(x))

    def numbers(self) -> list[Array]:
        """Return the arrays of real numbers."""
        x = self.x.values if isinstance(self.x, Steady) else self.x if isinstance(self.x, jnp.ndarray) else None
        real = (x, self.kernel, self.bias, self.tau_syn, self.tau_rise)
        return [x for x in real if x is not None]

    def astype(self, number: DTypeLike) -> "Drive":
        """Return the drive with all its real numbers of one type."""
        real = {name: getattr(self, name) for name in ("x", "kernel", "bias", "tau_syn", "tau_rise")}
        x = replace(self.x, values=self.x.values.astype(number)) if isinstance(self.x, Steady) else self.x
        changed = {k: v.astype(number) for k, v in real.items() if isinstance(v, jnp.ndarray)}
        return replace(self, **{"x": x, **changed})

    @property
    def weights(self) -> Float[Array, "pre post"]:
        """The weights of spikes.

        Raises:
            ArgumentError: if there are none.
        """
        if self.kernel is None:
            raise ArgumentError("kernel: must be the weights of the spikes in x, got None")
        return self.kernel

    @property
    def num_steps(self) -> int:
        """Length of the sequence."""
        return len(self.x) if isinstance(self.x, jnp.ndarray) else self.x.num_steps

    @property
    def batch(self) -> int:
        """Number of samples."""
        match self.x:
            case SpikeTimes():
                return len(self.x.times)
            case Packed():
                return len(self.x.bits)
            case Steady():
                return len(self.x.values)
        return self.x.shape[1]

    @property
    def features(self) -> int:
        """Number of neurons that receive the input."""
        if self.kernel is not None:
            return self.kernel.shape[1] * (1 if self.window is None else self.window.pixels)
        return self.x.shape[2] if isinstance(self.x, jnp.ndarray) else self.x.num_units

    def arriving(self) -> Float[Array, "time batch post"]:
        """`x[t - delay] W`, dense; of steady currents the product is computed once."""
        if isinstance(self.x, Steady):
            once = self.at_each_step(self.x)
            return self.later(jnp.broadcast_to(once, (self.num_steps, *once.shape)))
        dense = self.x if isinstance(self.x, jnp.ndarray) else self.x.dense()
        if self.kernel is not None and self.window is not None:
            dense = self.window.convolve(dense, self.kernel)
        elif self.kernel is not None:
            dense = jnp.matmul(dense, self.kernel, precision=EXACT)
        return self.later(dense)

    def at_each_step(self, x: Steady) -> Float[Array, "batch post"]:
        """Return what arrives of steady currents at every step after the delay."""
        return replace(self, x=x.values[None], delay=0).arriving()[0]

    def later(self, x: Float[Array, "time batch n"]) -> Float[Array, "time batch n"]:
        """Shift a sequence by the delay; zeros come first."""
        return jnp.pad(x, ((self.delay, 0), (0, 0), (0, 0)))[: len(x)] if self.delay else x

    def spread(self, values):
        """Give every neuron the value of its channel; without a convolution, return the values as they are."""
        return values if self.window is None else self.window.spread(values)

    def unfolded(self) -> "Drive":
        """Return the same drive without a window, its convolution computed at every step."""
        if self.window is None:
            return self
        one_each = {name: self.spread(getattr(self, name)) for name in ("bias", "tau_syn", "tau_rise")}
        return Drive(x=self.arriving(), **one_each)
