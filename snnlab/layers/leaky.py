"""Leaky integrators, which do not spike: `Leaky`."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from snnlab import dynamics, kernels
from snnlab.kernels import Drive
from snnlab.record import Trace
from snnlab.support import arguments
from snnlab.variables import Fixed, setting, time_constant


class Leaky(nnx.Module):
    """Leaky integrator for readouts, `v <- v e^(-dt/tau_mem) + I`, or around a resting value
    `v <- v_rest + (v - v_rest) e^(-dt/tau_mem) + I`.

    Args:
        features: number of neurons.
        tau_mem: time constant [ms], >= 0; with infinity it adds up all that arrives.
        v_rest: resting value, at which it starts; None is 0, without the cost of an addition.
        dt: time step [ms].

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> Leaky(3, tau_mem=5.0)(jnp.ones((7, 2, 3))).state.shape
        (7, 2, 3)

    Source: see `snnlab.dynamics.leaky_step`.
    """

    def __init__(self, features: int, *, tau_mem=5.0, v_rest=None, dt: float = 1.0):
        self.features = arguments.count("features", features)
        self.dt = arguments.time_step("dt", dt)
        self.tau_mem = time_constant("tau_mem", tau_mem, features, self.dt)
        self.v_rest = None if v_rest is None else setting("v_rest", v_rest, features, default=Fixed)

    def __call__(self, current: Drive | Float[Array, "time batch n"]) -> Trace:
        drive = Drive.of(current)
        trace, peak = kernels.leaky(drive, self.tau_mem[...], dt=self.dt)
        if self.v_rest is not None:  # it is linear, so rest and response add up
            v_rest = self.v_rest[...].reshape(1, -1)
            trace, peak = trace + v_rest[None], peak + v_rest
        return Trace(state=trace, current=kernels.current(drive, dt=self.dt), peak=peak)

    def start(self, batch: int, dtype=jnp.float32) -> tuple[Float[Array, "batch n"], Float[Array, "batch n"]]:
        """Return the state and the output before the first step; see `snnlab.layers.Graph`."""
        above = jnp.zeros((batch, self.features), dtype)
        return above, self._voltage(above)

    def step(self, above: Float[Array, "batch n"], current: Float[Array, "batch n"]):
        """Take one step; return the new state, which is the voltage above rest, and the results."""
        above = dynamics.leaky_step(above, current, self.tau_mem[...].reshape(1, -1), dt=self.dt)
        return above, Trace(state=self._voltage(above), current=current)

    def _voltage(self, above: Float[Array, "batch n"]) -> Float[Array, "batch n"]:
        return above if self.v_rest is None else above + self.v_rest[...].reshape(1, -1)
