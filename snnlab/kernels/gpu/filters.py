"""Linear filters over a sequence as products with triangular matrices."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from snnlab import dynamics
from snnlab.kernels.axes import alike
from snnlab.kernels.drive import EXACT

BLOCK = 128
"""Longest sequence that is one product. Its cost is the square of its length, so a longer one is cut into blocks."""

SHORT = 16
"""Shorter sequences are summed without a matrix product: XLA may find no kernel for it, and refuse to compile."""


def expon(x: Float[Array, "time batch n"], tau: Float[Array, "..."], *, dt: float) -> Float[Array, "time batch n"]:
    """Exponential filter over the sequence, from 0: `y[t] = a y[t-1] + x[t]` with `a = e^(-dt/tau)`, as

        y[t] = sum over s <= t of  a^(t-s) x[s]

    A sequence of more than `BLOCK` steps is cut into blocks; one more product adds what earlier blocks leave to each.

    Args:
        x: the input.
        tau: time constant [ms], one for all neurons or one for each.
        dt: time step [ms].

    Example:
        >>> y = expon(jnp.zeros((3, 1, 1)).at[0].set(1.0), jnp.float32(10.0), dt=1.0)
        >>> [round(float(v), 3) for v in y[:, 0, 0]]
        [1.0, 0.905, 0.819]
    """
    tau = jnp.broadcast_to(tau, x.shape[2:]) if jnp.ndim(tau) else tau
    x, tau = alike(x, tau)
    num_steps, blocks = len(x), -(-len(x) // BLOCK)
    if blocks <= 1:
        return _sum(_powers(tau, _ages(num_steps), dt), x)
    length = -(-num_steps // blocks)
    x = jnp.pad(x, ((0, blocks * length - num_steps), (0, 0), (0, 0))).reshape(blocks, length, *x.shape[1:])
    y = _sum(_powers(tau, _ages(length), dt), x.swapaxes(0, 1))  # (length, blocks, batch, n)
    left = _sum(_powers(tau, (_ages(blocks) - 1) * length, dt), y[-1])  # by the blocks before, at the end of the last
    since = jnp.moveaxis(_powers(tau, jnp.arange(1, length + 1), dt), -1, 0)
    y = y + since.reshape(length, 1, 1, -1) * left
    return y.swapaxes(0, 1).reshape(-1, *y.shape[2:])[:num_steps]


def double_expon(
    x: Float[Array, "time batch n"], tau_rise: Float[Array, "..."], tau_syn: Float[Array, "..."], *, dt: float
) -> Float[Array, "time batch n"]:
    """`dynamics.double_expon_step` over the sequence, from 0: one exponential filter behind the other.

    Example:
        >>> g = double_expon(jnp.zeros((3, 1, 1)).at[0].set(1.0), jnp.float32(10.0), jnp.float32(10.0), dt=1.0)
        >>> [round(float(v), 3) for v in g[:, 0, 0]]
        [0.095, 0.172, 0.234]
    """
    return expon(dynamics.approach(tau_rise, dt) * expon(x, tau_rise, dt=dt), tau_syn, dt=dt)


def _ages(num_steps: int) -> Int[Array, "to since"]:
    """Steps from every earlier one (column) to every later one (row)."""
    return jnp.arange(num_steps)[:, None] - jnp.arange(num_steps)


def _powers(tau: Float[Array, "..."], steps: Int[Array, "..."], dt: float) -> Float[Array, "..."]:
    """Return `a^steps`, and 0 where `steps` is negative; for one time constant, or first the axis of many.

    These are powers of the rounded `a`, with which the reference multiplies at every step.
    """
    shape = (*jnp.shape(tau), *(1,) * steps.ndim)
    a = dynamics.decay(tau, dt).reshape(shape)
    return jnp.where(steps >= 0, a ** jnp.maximum(steps, 0), 0.0)


def _sum(matrix: Float[Array, "*n to since"], x: Float[Array, "since ... n"]) -> Float[Array, "to ... n"]:
    """Multiply every neuron's sequence, along the first axis, by the matrix of all neurons or by its own."""
    if matrix.shape[-1] < SHORT:
        by_neuron = jnp.moveaxis(matrix, 0, -1) if matrix.ndim == 3 else matrix[..., None]
        return (by_neuron.reshape(*matrix.shape[-2:], *(1,) * (x.ndim - 2), -1) * x).sum(1)
    return jnp.einsum("st,t...n->s...n" if matrix.ndim == 2 else "nst,t...n->s...n", matrix, x, precision=EXACT)
