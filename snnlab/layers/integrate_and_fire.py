"""Integrate-and-fire neurons without a leak: `IF`."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from snnlab import accepted, dynamics, kernels
from snnlab.kernels import Drive
from snnlab.kernels.axes import alike
from snnlab.layers.voltages import neuron_voltages, surrogate_scale, surrogate_shape
from snnlab.record import Trace
from snnlab.support import arguments
from snnlab.surrogate import Surrogate, get_surrogate
from snnlab.variables import Fixed, setting


class IF(nnx.Module):
    """Integrate-and-fire neurons without a leak; the equations are those of `dynamics.if_step`.

    Args:
        features: number of neurons.
        v_th: threshold, > v_reset, in any unit of voltage.
        v_rest: initial voltage, at which it stays without a current.
        v_reset: voltage after a spike.
        r: voltage that a current of 1 adds per millisecond [1/ms].
        slope, v_scale, surrogate, reset, detach_reset, dt: see `snnlab.layers.LifRef`.

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> IF(3)(jnp.full((7, 2, 3), 0.5)).spikes[:, 0, 0].tolist()
        [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]

    Source: Gerstner et al., Neuronal Dynamics (2014), section 1.3, DOI 10.1017/CBO9781107447615.
    """

    def __init__(
        self,
        features: int,
        *,
        v_th=1.0,
        v_rest=0.0,
        v_reset=0.0,
        r=1.0,
        slope=10.0,
        v_scale=None,
        surrogate: str | Surrogate = "inv_square",
        reset: str = "subtract",
        detach_reset: bool = False,
        dt: float = 1.0,
    ):
        self.features = arguments.count("features", features)
        self.dt = arguments.time_step("dt", dt)
        self.v_th, self.v_rest, self.v_reset = neuron_voltages(features, v_th=v_th, v_rest=v_rest, v_reset=v_reset)
        self.r = setting("r", r, features, unit="1/ms", default=Fixed)
        self.slope, self.v_scale = surrogate_shape(features, slope=slope, v_scale=v_scale)
        self.surrogate = get_surrogate(surrogate)
        self.reset = arguments.choice("reset", reset, accepted.RESETS)
        self.detach_reset = arguments.flag("detach_reset", detach_reset)

    def __call__(self, current: Drive | Float[Array, "time batch n"]) -> Trace:
        arriving = kernels.current(Drive.of(current), dt=self.dt)
        rest, values, scale = self._from_rest()
        start = jnp.zeros_like(arriving[0])
        arriving, values, start, scale = alike(arriving, values, start, scale)

        def step(v, i_t):
            v, s = self._advance(v, i_t, values, scale)
            return v, (s, v)

        spikes, v = jax.lax.scan(step, start, arriving)[1]
        return Trace(rest[None] + v, spikes, arriving, spikes.sum(0))

    def start(self, batch: int, dtype=jnp.float32) -> tuple[Float[Array, "batch n"], Float[Array, "batch n"]]:
        """Return the state and the output before the first step; see `snnlab.layers.Graph`."""
        v = jnp.zeros((batch, self.features), dtype)
        return v, v

    def step(self, v: Float[Array, "batch n"], current: Float[Array, "batch n"]):
        """Take one step; return the new state, which is the voltage above rest, and the results."""
        rest, values, scale = self._from_rest()
        v, s = self._advance(v, current, values, scale)
        return v, Trace(rest + v, s, current)

    def _from_rest(self) -> tuple[Array, list[Array], Array]:
        """Rest; threshold and reset measured from it, which float32 resolves best, r, slope; scale of the surrogate."""
        given = (self.v_rest[...], self.v_th[...], self.v_reset[...], self.r[...], self.slope[...])
        rest, v_th, v_reset, r, slope = (value.reshape(1, -1) for value in given)
        return rest, [v_th - rest, v_reset - rest, r, slope], surrogate_scale(self).reshape(1, -1)

    def _advance(self, v, current, values, scale):
        options = {"reset": self.reset, "detach_reset": self.detach_reset, "v_scale": scale}
        return dynamics.if_step(v, current, *values, dt=self.dt, spike=self.surrogate.spike, **options)
