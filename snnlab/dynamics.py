"""One time step of every neuron, synapse and cell: the specification.

Pure functions `(state, input, ...) -> state` or `(state, output)`, written so that a reader can check
them against the paper. `snnlab.kernels` computes the same over a whole sequence and is tested
against them. Time constants and `dt` are in milliseconds. Voltages have the unit that the user likes, such as the
distance from rest to threshold, or millivolts: every equation keeps its form under `v -> c v + b` with `c > 0`, if
currents (or `r`) and `v_scale` are multiplied by `c`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

NEVER = 2**30
"""Number of steps since the last spike, for a neuron that has not fired yet."""


def decay(tau: Float[Array, "..."] | float, dt: float) -> Float[Array, "..."]:
    """Factor `e^(-dt / tau)` by which an exponential shrinks in one step; computed only here.

    Args:
        tau: time constant [ms], >= 0: nothing is left after a step if it is 0, everything if it is infinite.
        dt: time step [ms], > 0.

    Example:
        >>> round(float(decay(10.0, 1.0)), 4), float(decay(0.0, 1.0)), float(decay(jnp.inf, 1.0))
        (0.9048, 0.0, 1.0)
    """
    return jnp.exp(-_elapsed(tau, dt))


def approach(tau: Float[Array, "..."] | float, dt: float) -> Float[Array, "..."]:
    """Share `1 - e^(-dt / tau)` of the way that an exponential goes in one step; exact also if it is tiny.

    Args:
        tau, dt: see `decay`.

    Example:
        >>> f"{float(approach(10.0, 1.0)):.4f}, {float(approach(1e9, 1.0)):.4g}"
        '0.0952, 1e-09'
    """
    return -jnp.expm1(-_elapsed(tau, dt))


def _elapsed(tau, dt: float):
    """`dt / tau`, at most 800: more leaves nothing in any precision, and the gradient of `dt / 0` would be NaN."""
    return dt / jnp.maximum(tau, dt / 800.0)


def expon_step(g: Float[Array, "*n"], x: Float[Array, "*n"], tau_syn, *, dt: float) -> Float[Array, "*n"]:
    """Exponential synapse: `g <- g e^(-dt/tau_syn) + x`; `x` is the sum of the weights that arrive.

    Source: Rotter & Diesmann (1999), DOI 10.1007/s004220050570.

    Example:
        >>> float(expon_step(jnp.float32(0.0), jnp.float32(2.0), 10.0, dt=1.0))
        2.0
    """
    return g * decay(tau_syn, dt) + x


def double_expon_step(
    state: tuple[Float[Array, "*n"], Float[Array, "*n"]], x: Float[Array, "*n"], tau_rise, tau_syn, *, dt: float
) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Double exponential synapse, an exponential one whose input is smoothed first:

        h <- h e^(-dt/tau_rise) + (1 - e^(-dt/tau_rise)) x
        g <- g e^(-dt/tau_syn) + h

    A spike lifts the current `g` slowly and by as much in total as in `expon_step`, which this is for `tau_rise = 0`.
    For `tau_rise = tau_syn` the response is an alpha function, `t e^(-t/tau_syn)`.

    Args:
        state: `h` and `g`.
        x: the sum of the weights that arrive.
        tau_rise: time constant of the rise [ms].
        tau_syn: time constant of the decay [ms].
        dt: time step [ms].

    Source: Rotter & Diesmann (1999), DOI 10.1007/s004220050570.

    Example:
        >>> rest = jnp.float32(0.0), jnp.float32(0.0)
        >>> h, g = double_expon_step(rest, jnp.float32(2.0), 10.0, 10.0, dt=1.0)
        >>> round(float(h), 4) == round(float(g), 4) == round(2.0 * (1.0 - 0.904837), 4)
        True
    """
    h, g = state
    h = h * decay(tau_rise, dt) + approach(tau_rise, dt) * x
    return h, g * decay(tau_syn, dt) + h


def leaky_step(v: Float[Array, "*n"], current: Float[Array, "*n"], tau_mem, *, dt: float) -> Float[Array, "*n"]:
    """Leaky integrator, never spiking: `v <- v e^(-dt/tau_mem) + I` (as BrainPy's `Leaky`: no gain on `I`).

    Example:
        >>> float(leaky_step(jnp.float32(0.0), jnp.float32(2.0), 5.0, dt=1.0))
        2.0
    """
    return v * decay(tau_mem, dt) + current


class LifState(NamedTuple):
    """State of a LIF layer.

    Attributes:
        v: voltage.
        age: steps since the last spike.
        rise: of the threshold by earlier spikes, or None if thresholds do not adapt.

    Example:
        >>> LifState(v=jnp.zeros(3), age=jnp.full(3, NEVER)).v.shape
        (3,)
    """

    v: Float[Array, "*n"]
    age: Int[Array, "*n"]
    rise: Float[Array, "*n"] | None = None


class LifParams(NamedTuple):
    """Parameters of a LIF layer; each a scalar or one value per neuron, all of them traced.

    Attributes:
        tau_mem: membrane time constant [ms], >= 0.
        v_th: threshold.
        v_rest: resting voltage.
        v_reset: voltage after a spike.
        r: membrane resistance (gain of the current).
        tau_ref: absolute refractory time [ms], >= 0.
        slope: inverse width of the surrogate, in units of `v_scale`.
        v_scale: the voltage in which the surrogate is measured, > 0.
        beta: what a spike adds to the threshold, or None if thresholds do not adapt.
        tau_adapt: time constant with which that decays [ms], >= 0, or None.

    Example:
        >>> LifParams(*map(jnp.float32, (10.0, 1.0, 0.0, 0.0, 1.0, 2.0, 10.0))).tau_ref.item()
        2.0
    """

    tau_mem: Float[Array, "..."]
    v_th: Float[Array, "..."]
    v_rest: Float[Array, "..."]
    v_reset: Float[Array, "..."]
    r: Float[Array, "..."]
    tau_ref: Float[Array, "..."]
    slope: Float[Array, "..."]
    v_scale: Float[Array, "..."] | np.float32 = np.float32(1.0)
    beta: Float[Array, "..."] | None = None
    tau_adapt: Float[Array, "..."] | None = None


def lif_init(shape: tuple[int, ...], params: LifParams) -> LifState:
    """Initial state: at rest, and no spike so far.

    Example:
        >>> p = LifParams(*map(jnp.float32, (10.0, 1.0, -0.5, 0.0, 1.0, 0.0, 10.0)))
        >>> lif_init((2,), p).v.tolist()
        [-0.5, -0.5]
    """
    v = jnp.broadcast_to(params.v_rest, shape)
    return LifState(v, jnp.full(shape, NEVER, jnp.int32), None if params.beta is None else jnp.zeros_like(v))


def lif_step(
    state: LifState,
    current: Float[Array, "*n"],
    params: LifParams,
    *,
    dt: float,
    spike: Callable,
    reset: str = "subtract",
    detach_reset: bool = False,
) -> tuple[LifState, Float[Array, "*n"]]:
    """Leaky integrate-and-fire with refractory time: integrate, hold, spike, reset.

    With `a = e^(-dt/tau_mem)`:

        v <- v_rest + (v - v_rest) a + (1 - a) r I     unless (t - t_last) <= tau_ref, which holds v
        s  = H(v - v_th)
        v <- v - (v_th - v_reset) s                    reset = "subtract"
        v <- v + (v_reset - v) s                       reset = "value"

    With `beta` the threshold adapts: it is `v_th + rise` in place of `v_th` in the second line, and after the spike

        rise <- rise e^(-dt/tau_adapt) + beta s

    The surrogate sees `x = (v - v_th - rise) / v_scale`, so `ds/dv = h(slope x) / v_scale` with the surrogate
    derivative `h`.

    Exact for a current that is constant during the step. The voltage in the returned state is the one
    after the reset. A `tau_ref` that is a multiple of `dt` includes its last step.

    Args:
        state: voltage and steps since the last spike.
        current: input current of this step.
        params: see `LifParams`.
        dt: time step [ms].
        spike: `(x, slope) -> s`, such as `snnlab.surrogate.inv_square.spike`.
        reset: "subtract" or "value".
        detach_reset: whether the reset lets no gradient through.

    Returns:
        The new state and the spikes, 0.0 or 1.0.

    Example:
        >>> from snnlab.surrogate import inv_square
        >>> p = LifParams(*map(jnp.float32, (10.0, 1.0, 0.0, 0.0, 1.0, 0.0, 10.0)))
        >>> state, s = lif_step(lif_init((1,), p), jnp.full(1, 20.0), p, dt=1.0, spike=inv_square.spike)
        >>> s.tolist(), round(float(state.v[0]), 4)
        ([1.0], 0.9033)

    Source: Gerstner et al., Neuronal Dynamics (2014), section 1.3, DOI 10.1017/CBO9781107447615; for the threshold
    that adapts, Bellec et al. (2020), DOI 10.1038/s41467-020-17236-y.
    """
    a = decay(params.tau_mem, dt)
    v = params.v_rest + (state.v - params.v_rest) * a + approach(params.tau_mem, dt) * params.r * current
    age = jnp.minimum(state.age + 1, NEVER)
    v = jnp.where(age.astype(v.dtype) <= params.tau_ref / dt + 1e-3, state.v, v)  # 1e-3: tau_ref / dt is rounded
    threshold = params.v_th if state.rise is None else params.v_th + state.rise
    s = spike((v - threshold) / jax.lax.stop_gradient(params.v_scale), params.slope)
    v = _after_spike(v, s, params.v_th, params.v_reset, reset, detach_reset)
    return LifState(v, jnp.where(s > 0, 0, age), _risen(state.rise, s, params, dt)), s


def _risen(rise, s, params: LifParams, dt: float):
    if rise is None or params.tau_adapt is None:
        return None
    return rise * decay(params.tau_adapt, dt) + params.beta * s


def if_step(
    v: Float[Array, "*n"],
    current: Float[Array, "*n"],
    v_th,
    v_reset,
    r,
    slope,
    *,
    dt: float,
    spike: Callable,
    v_scale=1.0,
    reset: str = "subtract",
    detach_reset: bool = False,
) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Integrate-and-fire without a leak: integrate, spike, reset.

        v <- v + r dt I
        s  = H(v - v_th)
        v <- v - (v_th - v_reset) s        reset = "subtract"
        v <- v + (v_reset - v) s           reset = "value"

    Args:
        v: voltage.
        current: input current of this step.
        v_th, v_reset: threshold, and voltage after a spike; scalars or one value per neuron, like the next two.
        r: voltage that a current of 1 adds per millisecond [1/ms].
        slope, v_scale: see `LifParams`.
        dt: time step [ms].
        spike, reset, detach_reset: see `lif_step`.

    Returns:
        The voltage after the reset, and the spikes, 0.0 or 1.0.

    Example:
        >>> from snnlab.surrogate import inv_square
        >>> v, s = if_step(jnp.float32(0.75), jnp.float32(0.5), 1.0, 0.0, 1.0, 10.0, dt=1.0, spike=inv_square.spike)
        >>> v.item(), s.item()
        (0.25, 1.0)

    Source: Gerstner et al., Neuronal Dynamics (2014), section 1.3, DOI 10.1017/CBO9781107447615.
    """
    v = v + r * dt * current
    s = spike((v - v_th) / jax.lax.stop_gradient(v_scale), slope)
    return _after_spike(v, s, v_th, v_reset, reset, detach_reset), s


def _after_spike(v, s, v_th, v_reset, reset: str, detach_reset: bool):
    s = jax.lax.stop_gradient(s) if detach_reset else s
    return v - (v_th - v_reset) * s if reset == "subtract" else v + (v_reset - v) * s


class LstmState(NamedTuple):
    """State of an LSTM layer: output `h` and cell `c`.

    Example:
        >>> LstmState(h=jnp.zeros((2, 5)), c=jnp.zeros((2, 5))).c.shape
        (2, 5)
    """

    h: Float[Array, "*batch hidden"]
    c: Float[Array, "*batch hidden"]


def lstm_step(
    state: LstmState, drive: Float[Array, "*batch gates"], w_h: Float[Array, "hidden gates"]
) -> tuple[LstmState, Float[Array, "*batch hidden"]]:
    """Long short-term memory cell; the caller computes `drive = x W_x + b` for the whole sequence at once.

        i, f, g, o = split(drive + h W_h, 4)
        c <- sigmoid(f) c + sigmoid(i) tanh(g)
        h <- sigmoid(o) tanh(c)

    Gates are ordered i, f, g, o, as in PyTorch. The usual +1 on the forget gate belongs to the bias.

    Source: Hochreiter & Schmidhuber (1997), DOI 10.1162/neco.1997.9.8.1735; forget gate: Gers et al. (2000),
    DOI 10.1162/089976600300015015.

    Example:
        >>> state, h = lstm_step(LstmState(jnp.zeros(3), jnp.ones(3)), jnp.zeros(12), jnp.zeros((3, 12)))
        >>> round(float(state.c[0]), 4), round(float(h[0]), 4)
        (0.5, 0.2311)
    """
    i, f, g, o = jnp.split(drive + state.h @ w_h, 4, axis=-1)
    c = jax.nn.sigmoid(f) * state.c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return LstmState(h, c), h
