"""Weights, a synapse and the neurons that they feed: `Projection`."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from snnlab import kernels
from snnlab.encode import SpikeTimes
from snnlab.errors import ArgumentError
from snnlab.kernels import Drive, Packed
from snnlab.layers.expon import Expon
from snnlab.layers.leaky import Leaky
from snnlab.layers.lif import LifRef
from snnlab.record import Trace
from snnlab.support import arguments


class Projection(nnx.Module):
    """Spikes in, neurons out: `Linear >> synapse >> neuron`.

        I[t] = synapse(x[t - delay] W + b)

    Args:
        in_features: units of the layer before.
        neuron: the layer that is fed, such as `LifRef(100)` or `Leaky(10)`.
        synapse: such as `Expon(100)`; None makes every spike a current of one step.
        delay: steps that a spike travels, >= 0.
        use_bias: add a learned constant at every step.
        kernel_init: `(key, (in, out)) -> weights`; default He normal, deviation `sqrt(2 / in_features)`.
        rngs: random streams; `params` draws the weights.

    Raises:
        ArgumentError: if the sizes do not fit together.

    Source: He et al. (2015), DOI 10.1109/ICCV.2015.123, for the weights.

    Example:
        >>> hidden = Projection(784, LifRef(100), synapse=Expon(100), rngs=nnx.Rngs(0))
        >>> hidden(jnp.zeros((7, 2, 784))).spikes.shape
        (7, 2, 100)
    """

    def __init__(
        self,
        in_features: int,
        neuron: nnx.Module,
        *,
        synapse: nnx.Module | None = None,
        delay: int = 0,
        use_bias: bool = False,
        kernel_init: Callable = jax.nn.initializers.he_normal(),  # noqa: B008 (a pure function)
        rngs: nnx.Rngs,
    ):
        if synapse is not None and synapse.features != neuron.features:
            raise ArgumentError(f"synapse: has {synapse.features} features, the neuron has {neuron.features}")
        self.in_features = arguments.count("in_features", in_features)
        self.features = neuron.features
        self.delay = arguments.count("delay", delay, 0)
        self.kernel = nnx.Param(kernel_init(rngs.params(), (in_features, self.features)))
        self.bias = nnx.Param(jnp.zeros(self.features)) if use_bias else None
        self.synapse = synapse
        self.neuron = neuron

    def __call__(self, x: SpikeTimes | Packed | Drive | Float[Array, "time batch pre"]) -> Trace:
        drive = self.drive(x)
        fused = isinstance(self.neuron, Leaky | LifRef)
        if isinstance(self.synapse, Expon) and fused and self.synapse.dt == self.neuron.dt:
            return self.neuron(replace(drive, tau_syn=self.synapse.tau_syn[...]))
        if self.synapse is None and fused:
            return self.neuron(drive)
        arriving = kernels.current(drive, dt=1.0)  # for a part of the user's own
        return self.neuron(arriving if self.synapse is None else self.synapse(arriving))

    def drive(self, x: SpikeTimes | Packed | Drive | Float[Array, "time batch pre"]) -> Drive:
        """What reaches the synapse, for an input of the right width; a `Drive` is that already."""
        if isinstance(x, Drive):
            return x
        check_width(x, self.in_features)
        bias = None if self.bias is None else self.bias[...]
        return Drive(x=x, kernel=self.kernel[...], bias=bias, delay=self.delay)


def check_width(x, in_features: int) -> None:
    width = x.num_units if isinstance(x, SpikeTimes | Packed) else x.shape[-1]
    if width != in_features:
        raise ArgumentError(f"x: has {width} units, this layer was built with in_features={in_features}")
