"""Exponential synapses: `Expon`."""

from dataclasses import replace

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from snnlab import dynamics, kernels
from snnlab.kernels import Drive
from snnlab.record import Trace
from snnlab.support import arguments
from snnlab.variables import time_constant


class Expon(nnx.Module):
    """Exponential synapse, `g <- g e^(-dt/tau_syn) + x`, one per neuron behind it.

    Args:
        features: number of neurons.
        tau_syn: time constant [ms], >= 0; with infinity it adds up all that arrives.
        dt: time step [ms].

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> Expon(3, tau_syn=10.0)(jnp.ones((7, 2, 3))).shape
        (7, 2, 3)

    Source: see `snnlab.dynamics.expon_step`.
    """

    def __init__(self, features: int, *, tau_syn=10.0, dt: float = 1.0):
        self.features = arguments.count("features", features)
        self.dt = arguments.time_step("dt", dt)
        self.tau_syn = time_constant("tau_syn", tau_syn, features, self.dt)

    def __call__(self, x: Float[Array, "time batch n"]) -> Float[Array, "time batch n"]:
        return kernels.expon(x, self.tau_syn[...], dt=self.dt)

    def behind(self, drive: Drive) -> Drive:
        """Return what arrives, behind this synapse."""
        return replace(drive, tau_syn=self.tau_syn[...])

    def start(self, batch: int, dtype=jnp.float32) -> tuple[Float[Array, "batch n"], Float[Array, "batch n"]]:
        """Return the state and the output before the first step; see `snnlab.layers.Graph`."""
        g = jnp.zeros((batch, self.features), dtype)
        return g, g

    def step(self, g: Float[Array, "batch n"], x: Float[Array, "batch n"]) -> tuple[Float[Array, "batch n"], Trace]:
        """Take one step; return the new state and the results."""
        g = dynamics.expon_step(g, x, self.tau_syn[...].reshape(1, -1), dt=self.dt)
        return g, Trace(state=g)
