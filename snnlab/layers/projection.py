"""Weights, a synapse and the neurons that they feed: `Projection`."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from snnlab import kernels
from snnlab.encode import SpikeTimes, Steady
from snnlab.encode.events import as_sequence
from snnlab.errors import ArgumentError
from snnlab.kernels import Drive, Packed
from snnlab.layers.batch_norm import BatchNorm
from snnlab.layers.double_expon import DoubleExpon
from snnlab.layers.expon import Expon
from snnlab.layers.leaky import Leaky
from snnlab.layers.lif import LifRef
from snnlab.layers.operators import Delay
from snnlab.layers.weights import he_normal, new_key
from snnlab.record import Trace
from snnlab.support import arguments


@runtime_checkable
class Part(Protocol):
    """Neurons or a synapse inside a projection: they have a width, and are called with a current over time."""

    @property
    def features(self) -> int:
        """Number of neurons."""
        ...

    def __call__(self, current, /) -> Any:
        """Run over the sequence."""
        ...


class Projection(nnx.Module):
    """Spikes in, neurons out: `Linear >> synapse >> neuron`, or `Linear >> norm >> synapse >> neuron`.

        I[t] = synapse(x[t - delay] W + b),  or  I[t] = synapse(norm(x[t - delay] W))

    Args:
        in_features: number of units of the layer before.
        neuron: neurons that receive the current, such as `LifRef(100)` or `Leaky(10)`.
        synapse: `Expon(100)`, `DoubleExpon(100)` or your own; without one, every spike is a current that lasts
            one step.
        delay: steps that a spike travels, >= 0; or a `Delay` with one number for each unit of the layer before, which
            may be learned: `Delay(nnx.Param(...), most=20)`. Through a `Delay` the input is computed densely.
        use_bias: whether to add a learned constant at every step.
        norm: such as `BatchNorm(100)`, which normalizes what arrives; it has biases of its own.
        kernel_init: `(key, (in, out)) -> weights`; default He normal, deviation `sqrt(2 / in_features)`.
        rngs: random streams; `params` draws the weights.

    Raises:
        ArgumentError: if sizes or time steps do not fit together, or something else is given for a part.

    Source: He et al. (2015), DOI 10.1109/ICCV.2015.123, for the weights.

    Example:
        >>> hidden = Projection(64, LifRef(20), synapse=Expon(20), rngs=nnx.Rngs(0))
        >>> hidden(jnp.zeros((7, 2, 64))).spikes.shape
        (7, 2, 20)
    """

    def __init__(
        self,
        in_features: int,
        neuron: Part,
        *,
        synapse: Part | None = None,
        delay: int | Delay = 0,
        use_bias: bool = False,
        norm: BatchNorm | None = None,
        kernel_init: Callable = he_normal,
        rngs: nnx.Rngs,
    ):
        neuron = arguments.instance("neuron", neuron, Part, "neurons, such as LifRef(100)")
        synapse = arguments.instance("synapse", synapse, (Part, type(None)), "a synapse, such as Expon(100), or None")
        if synapse is not None and synapse.features != neuron.features:
            raise ArgumentError(f"synapse: has {synapse.features} features, the neuron has {neuron.features}")
        steps = [getattr(part, "dt", None) for part in (synapse, neuron)]
        if None not in steps and steps[0] != steps[1]:
            raise ArgumentError(f"synapse: has dt = {steps[0]} ms, the neuron has {steps[1]} ms")
        norm = arguments.instance("norm", norm, (BatchNorm, type(None)), "a BatchNorm, or None")
        if norm is not None and norm.features != neuron.features:
            raise ArgumentError(f"norm: has {norm.features} features, the neuron has {neuron.features}")
        if norm is not None and use_bias:
            raise ArgumentError("use_bias: does nothing with a norm, which has an offset of its own; leave it out")
        self.in_features = arguments.count("in_features", in_features)
        self.features = neuron.features
        self.delay = _travel(delay, in_features)
        self.kernel = nnx.Param(kernel_init(new_key(rngs), (in_features, self.features)))
        self.bias = nnx.Param(jnp.zeros(self.features, jnp.float32)) if use_bias else None
        self.norm = norm
        self.synapse = synapse
        self.neuron = neuron

    def __call__(self, x: SpikeTimes | Packed | Steady | Drive | Float[Array, "time batch pre"]) -> Trace:
        drive = self.drive(x)
        neuron, synapse = self.neuron, self.synapse
        if isinstance(neuron, Leaky | LifRef):
            if synapse is None:
                return neuron(drive)
            if isinstance(synapse, Expon | DoubleExpon):
                return neuron(synapse.behind(drive))
        return self._of_your_own(kernels.current(drive, dt=1.0))

    def _of_your_own(self, arriving: Float[Array, "time batch n"]):
        """Run neurons or a synapse of your own."""
        return self.neuron(arriving if self.synapse is None else self.synapse(arriving))

    def drive(self, x: SpikeTimes | Packed | Steady | Drive | Float[Array, "time batch pre"]) -> Drive:
        """Weigh the input, which then reaches the synapse; a `Drive` is returned as it is.

        Raises:
            ArgumentError: if the input has another width.
        """
        if isinstance(x, Drive):
            return x
        drive = self._weighed(x)
        return drive if self.norm is None else self.norm(drive)

    def weights(self) -> tuple[Float[Array, "pre post"], Float[Array, " post"] | None]:
        """Return the weights and biases with which the layer is tested; running averages of a `BatchNorm` are in them.

        Example:
            >>> kernel, bias = Projection(64, Leaky(10), rngs=nnx.Rngs(0)).weights()
            >>> kernel.shape, bias
            ((64, 10), None)
        """
        if self.norm is None:
            return self.kernel[...], None if self.bias is None else self.bias[...]
        return self.norm.folded(self.kernel[...])

    def _weighed(self, x: SpikeTimes | Packed | Steady | Float[Array, "time batch pre"]) -> Drive:
        """Weigh the input, without a norm."""
        x = x if isinstance(x, SpikeTimes | Packed | Steady) else as_sequence(x)
        check_width(x, self.in_features)
        bias, delay = None if self.bias is None else self.bias[...], self.delay
        if isinstance(delay, Delay):
            x, delay = delay(x.dense() if isinstance(x, Packed | Steady) else x), 0
        return Drive(x=x, kernel=self.kernel[...], bias=bias, delay=delay)


def _travel(delay: int | Delay, in_features: int) -> int | Delay:
    """Check what delays the input of a layer."""
    if not isinstance(delay, Delay):
        return arguments.count("delay", delay, 0)
    if delay.features != in_features:
        raise ArgumentError(f"delay: has {delay.features} units, this layer was built with in_features={in_features}")
    return delay


def check_width(x: SpikeTimes | Packed | Steady | Float[Array, "time batch pre"], in_features: int) -> None:
    """Raise an `ArgumentError` if the input of a layer has another width than its weights."""
    width = x.num_units if isinstance(x, SpikeTimes | Packed | Steady) else x.shape[-1]
    if width != in_features:
        raise ArgumentError(f"x: has {width} units, this layer was built with in_features={in_features}")
