"""A layer of spiking neurons with connections between them: `Recurrent`."""

from collections.abc import Callable

from flax import nnx
from jaxtyping import Array, Float

from snnlab import kernels
from snnlab.encode import SpikeTimes, Steady
from snnlab.kernels import Drive, Packed
from snnlab.layers.double_expon import DoubleExpon
from snnlab.layers.expon import Expon
from snnlab.layers.lif import LifRef
from snnlab.layers.operators import Delay
from snnlab.layers.projection import Part, Projection
from snnlab.layers.weights import he_normal, new_key, scaled_normal
from snnlab.record import Trace
from snnlab.support import arguments


class Recurrent(Projection):
    """Spikes in, LIF neurons out, which reach each other one step later and through the same synapse:

        I[t] = synapse(x[t - delay] W + b + s[t - 1] W_rec)

    The neurons are those of `dynamics.lif_step`. A recurrent spike travels one step, whatever `delay` is.

    Args:
        in_features: number of units of the layer before.
        neuron: the neurons, such as `LifRef(100)`.
        synapse: such as `Expon(100)`, with the time step of the neurons; without one, every spike is a current that
            lasts one step. Behind a `DoubleExpon` the layer runs on the reference, because the recurrent kernel has
            one filter before the membrane.
        delay: steps that a spike from outside travels, >= 0; or a `Delay`, as for a `Projection`.
        use_bias: whether to add a learned constant at every step.
        kernel_init: `(key, (in, out)) -> weights`; default He normal, deviation `sqrt(2 / in_features)`.
        recurrent_init: `(key, (n, n)) -> weights` from neuron (row) to neuron (column); default normal, deviation
            `1 / sqrt(n)`.
        rngs: random streams; `params` draws the weights.

    Raises:
        ArgumentError: if sizes or time steps do not fit together, or if neuron or synapse is of another class.

    Source: Bellec et al. (2020), DOI 10.1038/s41467-020-17236-y.

    Example:
        >>> import jax.numpy as jnp
        >>> hidden = Recurrent(64, LifRef(20), synapse=Expon(20), rngs=nnx.Rngs(0))
        >>> hidden(jnp.zeros((7, 2, 64))).spikes.shape
        (7, 2, 20)
    """

    neuron: LifRef
    synapse: Expon | DoubleExpon | None

    def __init__(
        self,
        in_features: int,
        neuron: Part,
        *,
        synapse: Part | None = None,
        delay: int | Delay = 0,
        use_bias: bool = False,
        kernel_init: Callable = he_normal,
        recurrent_init: Callable = scaled_normal,
        rngs: nnx.Rngs,
    ):
        neuron = arguments.instance("neuron", neuron, LifRef, "LifRef")
        synapse = arguments.instance("synapse", synapse, (Expon, DoubleExpon, type(None)), "Expon, DoubleExpon or None")
        super().__init__(
            in_features, neuron, synapse=synapse, delay=delay, use_bias=use_bias, kernel_init=kernel_init, rngs=rngs
        )
        self.recurrent_kernel = nnx.Param(recurrent_init(new_key(rngs), (self.features, self.features)))

    def __call__(self, x: SpikeTimes | Packed | Steady | Drive | Float[Array, "time batch pre"]) -> Trace:
        neuron, w_rec = self.neuron, self.recurrent_kernel[...]
        drive = self._arriving(self.drive(x))
        out = kernels.recurrent_lif(
            drive,
            w_rec,
            neuron.params,
            dt=neuron.dt,
            surrogate=neuron.surrogate,
            reset=neuron.reset,
            detach_reset=neuron.detach_reset,
        )
        # The synapse is linear: the currents from outside and from the neurons themselves add up.
        spikes = out.spikes if out.packed is None else out.packed
        inside = self._arriving(Drive(x=spikes, kernel=w_rec, delay=1))
        current = kernels.current(drive, dt=neuron.dt) + kernels.current(inside, dt=neuron.dt)
        return Trace(out.v, out.spikes, current, out.counts, out.packed)

    def _arriving(self, drive: Drive) -> Drive:
        """Return what arrives, behind the synapse if there is one."""
        return drive if self.synapse is None else self.synapse.behind(drive)
