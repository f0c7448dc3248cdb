"""Synapses that rise slowly: `DoubleExpon`."""

from dataclasses import replace

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from snnlab import dynamics, kernels
from snnlab.kernels import Drive
from snnlab.record import Trace
from snnlab.support import arguments
from snnlab.variables import time_constant


class DoubleExpon(nnx.Module):
    """Double exponential synapse, one per neuron behind it: an `Expon` whose input is smoothed first,

        h <- h e^(-dt/tau_rise) + (1 - e^(-dt/tau_rise)) x
        g <- g e^(-dt/tau_syn) + h

    A spike brings as much current in total as through `Expon(tau_syn=tau_syn)`, which this is for `tau_rise=0`; it only
    comes later. For `tau_rise = tau_syn` the response is an alpha function, `t e^(-t/tau_syn)`; exchanging the two time
    constants changes no more than its size.

    Behind weights from every input, the kernels of the CPU compute with the spikes only, as with `Expon`; from there on
    each neuron has a current at every step. Behind a window that slides (`ConvProjection`), the convolution is dense:
    it is computed at every step and pixel, which takes many times longer. A `Recurrent` layer runs on the reference.

    Args:
        features: number of neurons.
        tau_rise: time constant of the rise [ms], >= 0.
        tau_syn: time constant of the decay [ms], >= 0; with infinity it adds up all that arrives.
        dt: time step [ms].

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> g = DoubleExpon(1, tau_rise=2.0, tau_syn=10.0)(jnp.zeros((40, 1, 1)).at[0].set(1.0))
        >>> int(g.argmax())  # at tau_rise tau_syn / (tau_syn - tau_rise) ln(tau_syn / tau_rise) = 4 ms, less a step
        3

    Source: see `snnlab.dynamics.double_expon_step`.
    """

    def __init__(self, features: int, *, tau_rise=2.0, tau_syn=10.0, dt: float = 1.0):
        self.features = arguments.count("features", features)
        self.dt = arguments.time_step("dt", dt)
        self.tau_rise = time_constant("tau_rise", tau_rise, features, self.dt)
        self.tau_syn = time_constant("tau_syn", tau_syn, features, self.dt)

    def __call__(self, x: Float[Array, "time batch n"]) -> Float[Array, "time batch n"]:
        return kernels.double_expon(x, self.tau_rise[...], self.tau_syn[...], dt=self.dt)

    def behind(self, drive: Drive) -> Drive:
        """Return what arrives, behind this synapse."""
        return replace(drive, tau_rise=self.tau_rise[...], tau_syn=self.tau_syn[...])

    def start(self, batch: int, dtype=jnp.float32):
        """Return the state and the output before the first step; see `snnlab.layers.Graph`."""
        zeros = jnp.zeros((batch, self.features), dtype)
        return (zeros, zeros), zeros

    def step(self, state: tuple[Float[Array, "batch n"], Float[Array, "batch n"]], x: Float[Array, "batch n"]):
        """Take one step; return the new state and the results."""
        taus = (tau[...].reshape(1, -1) for tau in (self.tau_rise, self.tau_syn))
        state = dynamics.double_expon_step(state, x, *taus, dt=self.dt)
        return state, Trace(state=state[1])
