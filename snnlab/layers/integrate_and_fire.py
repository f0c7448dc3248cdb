"""Integrate-and-fire neurons without a leak: `IF`."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from snnlab import accepted, dynamics, kernels
from snnlab.kernels import Drive
from snnlab.kernels.axes import alike
from snnlab.record import Trace
from snnlab.support import arguments
from snnlab.surrogate import Surrogate, get_surrogate
from snnlab.variables import Fixed, plain, setting


class IF(nnx.Module):
    """Integrate-and-fire neurons without a leak; the equations are those of `dynamics.if_step`.

    Args:
        features: number of neurons.
        v_th: threshold, at least 0.01 above v_reset and above 0, the initial voltage.
        v_reset: voltage after a spike.
        r: voltage that a current of 1 adds per millisecond [1/ms].
        slope, surrogate, reset, detach_reset, dt: see `snnlab.layers.LifRef`.

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
        v_reset=0.0,
        r=1.0,
        slope=10.0,
        surrogate: str | Surrogate = "inv_square",
        reset: str = "subtract",
        detach_reset: bool = False,
        dt: float = 1.0,
    ):
        self.features = arguments.count("features", features)
        self.dt = arguments.number("dt", dt, 0.0, strict=True, unit="ms")
        self.v_reset = setting("v_reset", v_reset, features, default=Fixed)
        low, high = accepted.threshold_range(0.0, plain(v_reset))
        self.v_th = setting("v_th", v_th, features, low=low, high=high)
        self.r = setting("r", r, features, unit="1/ms", default=Fixed)
        self.slope = setting("slope", slope, features, low=accepted.MIN_SLOPE, high=100.0)
        self.surrogate = get_surrogate(surrogate)
        self.reset = arguments.choice("reset", reset, accepted.RESETS)
        self.detach_reset = arguments.flag("detach_reset", detach_reset)

    def __call__(self, current: Drive | Float[Array, "time batch n"]) -> Trace:
        arriving = kernels.current(Drive.of(current), dt=self.dt)
        values = [value[...] for value in (self.v_th, self.v_reset, self.r, self.slope)]
        arriving, values, start = alike(arriving, values, jnp.zeros(arriving.shape[1:]))
        options = {"reset": self.reset, "detach_reset": self.detach_reset}

        def step(v, i_t):
            v, s = dynamics.if_step(v, i_t, *values, dt=self.dt, spike=self.surrogate.spike, **options)
            return v, (s, v)

        spikes, v = jax.lax.scan(step, start, arriving)[1]
        return Trace(v, spikes, arriving, spikes.sum(0))
