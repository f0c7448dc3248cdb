"""Leaky integrate-and-fire neurons with a refractory time: `LifRef`."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from snnlab import accepted, dynamics, kernels
from snnlab.dynamics import LifParams, LifState
from snnlab.kernels import Drive
from snnlab.layers.voltages import adaptation, neuron_voltages, surrogate_scale, surrogate_shape
from snnlab.record import Trace
from snnlab.support import arguments
from snnlab.surrogate import Surrogate, get_surrogate
from snnlab.variables import Fixed, setting, time_constant


class LifRef(nnx.Module):
    """Leaky integrate-and-fire neurons with refractory time; the equations are those of `dynamics.lif_step`.

    Args:
        features: number of neurons.
        tau_mem: membrane time constant [ms], >= 0; with infinity, no current moves the voltage.
        v_th: threshold, > v_reset. A neuron that rests above it fires by itself. All voltages may have any unit:
            `v_th=1` above a rest of 0, or `v_th=-50` above a rest of -65 for millivolts. Weights then have that unit,
            too: 15 times larger ones give the same spikes.
        v_rest: resting voltage.
        v_reset: voltage after a spike.
        r: membrane resistance.
        tau_ref: absolute refractory time [ms], >= 0.
        slope: inverse width of the surrogate in units of `v_scale`, >= 0. BrainPy's default is 100, which lets hardly
            any gradient through unless the voltage comes within 0.01 of the threshold.
        v_scale: the voltage in which the surrogate is measured, > 0:
            `ds/dv = h(slope (v - v_th) / v_scale) / v_scale` with the surrogate derivative `h`. Default: the distance
            from `v_rest` to `v_th`, or from `v_reset` if that is larger, as it is at every step; so the unit of the
            voltage does not matter, and moving `v_th` also moves the width. Other simulators have 1.
        surrogate: a name in `snnlab.surrogate.SURROGATES`, or a `Surrogate`.
        reset: "subtract" subtracts `v_th - v_reset` from the voltage, "value" sets it to `v_reset`.
        detach_reset: whether the reset lets no gradient through.
        beta: what a spike adds to the threshold, in the unit of the voltage; the neuron adapts: under a constant
            current it fires less and less. Below 0 it fires more and more. Default: thresholds do not adapt.
        tau_adapt: time constant with which that decays [ms], >= 0; default 200 with `beta`, long enough to remember for
            hundreds of steps.
        dt: time step [ms].

    Raises:
        ArgumentError: if a value is out of range.

    Source: Bellec et al. (2018), DOI 10.48550/arXiv.1803.09574, and (2020), DOI 10.1038/s41467-020-17236-y, for the
    threshold that adapts.

    Example:
        >>> import jax.numpy as jnp
        >>> trace = LifRef(3, tau_mem=10.0)(jnp.full((20, 2, 3), 1.5))
        >>> trace.spikes.shape, int(trace.spikes[:, 0, 0].sum())  # one spike every 10 ln 3 = 11 ms
        ((20, 2, 3), 1)
        >>> adapts = LifRef(1, tau_mem=10.0, beta=0.3, tau_adapt=100.0)
        >>> spikes = adapts(jnp.full((400, 1, 1), 4.0)).spikes
        >>> int(spikes[:100].sum()) > 1.5 * int(spikes[300:].sum())  # it fires less and less
        True
    """

    def __init__(
        self,
        features: int,
        *,
        tau_mem=10.0,
        v_th=1.0,
        v_rest=0.0,
        v_reset=0.0,
        r=1.0,
        tau_ref=0.0,
        slope=10.0,
        v_scale=None,
        surrogate: str | Surrogate = "inv_square",
        reset: str = "subtract",
        detach_reset: bool = False,
        beta=None,
        tau_adapt=None,
        dt: float = 1.0,
    ):
        self.features = arguments.count("features", features)
        self.dt = arguments.time_step("dt", dt)
        self.tau_mem = time_constant("tau_mem", tau_mem, features, self.dt)
        self.v_th, self.v_rest, self.v_reset = neuron_voltages(features, v_th=v_th, v_rest=v_rest, v_reset=v_reset)
        self.r = setting("r", r, features, default=Fixed)
        self.tau_ref = setting("tau_ref", tau_ref, features, low=0.0, high=10.0 * self.dt, unit="ms", default=Fixed)
        self.slope, self.v_scale = surrogate_shape(features, slope=slope, v_scale=v_scale)
        self.surrogate = get_surrogate(surrogate)
        self.reset = arguments.choice("reset", reset, accepted.RESETS)
        self.detach_reset = arguments.flag("detach_reset", detach_reset)
        self.beta, self.tau_adapt = adaptation(features, beta=beta, tau_adapt=tau_adapt, dt=self.dt)

    @property
    def params(self) -> LifParams:
        """The parameters as `dynamics.lif_step` takes them."""
        known = {name: getattr(self, name) for name in LifParams._fields if name != "v_scale"}
        values = {name: value[...] for name, value in known.items() if value is not None}
        return LifParams(**values, v_scale=surrogate_scale(self))

    def __call__(self, current: Drive | Float[Array, "time batch n"]) -> Trace:
        drive = Drive.of(current)
        out = kernels.lif(drive, self.params, surrogate=self.surrogate, **self._options)
        return Trace(out.v, out.spikes, kernels.current(drive, dt=self.dt), out.counts, out.packed)

    def start(self, batch: int, dtype=jnp.float32) -> tuple[LifState, Float[Array, "batch n"]]:
        """Return the state and the output before the first step; see `snnlab.layers.Graph`."""
        silence = jnp.zeros((batch, self.features), dtype)
        rise = None if self.beta is None else silence
        return LifState(silence, jnp.full(silence.shape, dynamics.NEVER, jnp.int32), rise), silence

    def step(self, state: LifState, current: Float[Array, "batch n"]) -> tuple[LifState, Trace]:
        """Take one step; return the new state, with the voltage measured from rest, and the results."""
        rest = self.v_rest[...].reshape(1, -1)
        params = jax.tree.map(lambda value: value.reshape(1, -1), kernels.from_rest(self.params))
        state, s = dynamics.lif_step(state, current, params, spike=self.surrogate.spike, **self._options)
        return state, Trace(rest + state.v, s, current)

    @property
    def _options(self) -> dict[str, Any]:
        return {"dt": self.dt, "reset": self.reset, "detach_reset": self.detach_reset}
