"""Exponential synapses: `Expon`."""

from flax import nnx
from jaxtyping import Array, Float

from snnlab import kernels
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
