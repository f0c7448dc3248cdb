"""The reference: `lax.scan` over `snnlab.dynamics`, on any backend that XLA knows.

Every array here is `(time, batch, neuron)` and float32.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlab import dynamics
from snnlab.kernels.axes import alike
from snnlab.kernels.drive import EXACT, Drive


def _rows(parameters):
    """Make a row `(1, n)` of one value per neuron, which every sample of a batch then meets; numbers stay numbers."""
    return jax.tree.map(lambda p: p.reshape(1, -1) if jnp.ndim(p) == 1 else p, parameters)


def current(drive: Drive, *, dt: float) -> Float[Array, "time batch n"]:
    """Input current of the neurons, `synapse(x[t - delay] W + bias)`.

    Example:
        >>> current(Drive(x=jnp.ones((3, 2, 4)), kernel=jnp.ones((4, 5))), dt=1.0).shape
        (3, 2, 5)
    """
    arriving = drive.arriving()
    if drive.bias is not None:
        arriving = arriving + drive.bias.reshape(1, 1, -1)
    if drive.tau_syn is None:
        return arriving
    if drive.tau_rise is not None:
        return double_expon(arriving, drive.tau_rise, drive.tau_syn, dt=dt)
    return expon(arriving, drive.tau_syn, dt=dt)


def expon(x: Float[Array, "time batch n"], tau_syn: Float[Array, "..."], *, dt: float) -> Float[Array, "time batch n"]:
    """`dynamics.expon_step` over the sequence, from `g = 0`.

    Example:
        >>> g = expon(jnp.zeros((3, 1, 1)).at[0].set(1.0), jnp.float32(10.0), dt=1.0)
        >>> [round(float(v), 3) for v in g[:, 0, 0]]
        [1.0, 0.905, 0.819]
    """

    def step(g, x_t):
        g = dynamics.expon_step(g, x_t, tau_syn, dt=dt)
        return g, g

    x, tau_syn = alike(x, _rows(tau_syn))
    return jax.lax.scan(step, jnp.zeros_like(x[0]), x)[1]


def double_expon(
    x: Float[Array, "time batch n"], tau_rise: Float[Array, "..."], tau_syn: Float[Array, "..."], *, dt: float
) -> Float[Array, "time batch n"]:
    """`dynamics.double_expon_step` over the sequence, from `h = g = 0`.

    Example:
        >>> g = double_expon(jnp.zeros((3, 1, 1)).at[0].set(1.0), jnp.float32(10.0), jnp.float32(10.0), dt=1.0)
        >>> [round(float(v), 3) for v in g[:, 0, 0]]
        [0.095, 0.172, 0.234]
    """

    def step(state, x_t):
        state = dynamics.double_expon_step(state, x_t, tau_rise, tau_syn, dt=dt)
        return state, state[1]

    x, tau_rise, tau_syn = alike(x, _rows(tau_rise), _rows(tau_syn))
    zeros = jnp.zeros_like(x[0])
    return jax.lax.scan(step, (zeros, zeros), x)[1]


def leaky(
    current: Float[Array, "time batch n"], tau_mem: Float[Array, "..."], *, dt: float
) -> Float[Array, "time batch n"]:
    """`dynamics.leaky_step` over the sequence, from `v = 0`.

    Example:
        >>> leaky(jnp.ones((2, 1, 1)), jnp.float32(5.0), dt=1.0).shape
        (2, 1, 1)
    """

    def step(v, i_t):
        v = dynamics.leaky_step(v, i_t, tau_mem, dt=dt)
        return v, v

    current, tau_mem = alike(current, _rows(tau_mem))
    return jax.lax.scan(step, jnp.zeros_like(current[0]), current)[1]


def lif(
    current: Float[Array, "time batch n"], params: dynamics.LifParams, *, unroll: int = 1, **options
) -> tuple[Float[Array, "time batch n"], Float[Array, "time batch n"]]:
    """`dynamics.lif_step` over the sequence, from rest.

    Args:
        current: input current of every step.
        params: see `dynamics.LifParams`.
        unroll: steps that one turn of the compiled loop takes.
        **options: `dt, spike, reset, detach_reset` of `dynamics.lif_step`.

    Returns:
        Spikes, and the voltages after the reset.
    """

    current, params, start = alike(current, _rows(params), dynamics.lif_init(current.shape[1:], _rows(params)))

    def step(state, i_t):
        state, s = dynamics.lif_step(state, i_t, params, **options)
        return state, (s, state.v)

    return jax.lax.scan(step, start, current, unroll=unroll)[1]


def recurrent_lif(
    drive: Drive,
    w_rec: Float[Array, "n n"],
    params: dynamics.LifParams,
    *,
    dt: float,
    unroll: int = 1,
    **options,
) -> tuple[Float[Array, "time batch n"], Float[Array, "time batch n"]]:
    """The synapse of the drive and `dynamics.lif_step` over the sequence, from rest; spikes `s` arrive one step later:

        arriving[t] = x[t - delay] W + bias + s[t - 1] W_rec

    Args:
        drive: input of the neurons from outside; the recurrent spikes pass the same synapse.
        w_rec: weights from neuron (row) to neuron (column).
        params: see `dynamics.LifParams`.
        dt: time step [ms].
        unroll: steps that one turn of the compiled loop takes.
        **options: `spike, reset, detach_reset` of `dynamics.lif_step`.

    Returns:
        Spikes, and the voltages after the reset.
    """
    outside = current(replace(drive, tau_syn=None), dt=dt)
    params, taus, zeros = _rows(params), _rows((drive.tau_rise, drive.tau_syn)), jnp.zeros_like(outside[0])
    start = dynamics.lif_init(zeros.shape, params), (zeros, zeros), zeros
    outside, w_rec, params, (tau_rise, tau_syn), start = alike(outside, w_rec, params, taus, start)

    def synapse(state, arriving):
        if tau_syn is None:
            return state[0], arriving
        if tau_rise is None:
            return state[0], dynamics.expon_step(state[1], arriving, tau_syn, dt=dt)
        return dynamics.double_expon_step(state, arriving, tau_rise, tau_syn, dt=dt)

    def step(carry, x_t):
        state, currents, s = carry
        currents = synapse(currents, x_t + jnp.matmul(s, w_rec, precision=EXACT))
        state, s = dynamics.lif_step(state, currents[1], params, dt=dt, **options)
        return (state, currents, s), (s, state.v)

    return jax.lax.scan(step, start, outside, unroll=unroll)[1]


def lstm(
    x: Float[Array, "time batch pre"],
    w_x: Float[Array, "pre gates"],
    w_h: Float[Array, "n gates"],
    bias: Float[Array, " gates"],
    *,
    unroll: int = 1,
) -> Float[Array, "time batch n"]:
    """`dynamics.lstm_step` over the sequence, from `h = c = 0`; the input product is one, outside the loop."""
    zeros = jnp.zeros((x.shape[1], w_h.shape[0]), x.dtype)
    drive, w_h, start = alike(x @ w_x + bias.reshape(1, 1, -1), w_h, dynamics.LstmState(zeros, zeros))
    return jax.lax.scan(
        lambda state, drive: dynamics.lstm_step(state, drive, w_h),
        start,
        drive,
        unroll=unroll,
    )[1]
