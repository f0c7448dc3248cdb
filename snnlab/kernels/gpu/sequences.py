"""The functions of `snnlab.kernels.reference` with the same arguments and results, in fewer launches."""

from dataclasses import replace

from jaxtyping import Array, Float

from snnlab import dynamics
from snnlab.kernels import reference
from snnlab.kernels.drive import Drive
from snnlab.kernels.gpu import exact, filters

FEWEST, MOST = 10, 25  # steps in a turn of the loop; compiling takes longer the more there are


def turn(num_steps: int) -> int:
    """Return how many steps one turn of the loop over a sequence takes; a divisor of its length, if one is in range.

    Example:
        >>> turn(100), turn(256), turn(97), turn(7)
        (25, 16, 25, 7)
    """
    if num_steps <= MOST:
        return max(num_steps, 1)
    return next((steps for steps in range(MOST, FEWEST - 1, -1) if num_steps % steps == 0), MOST)


def current(drive: Drive, *, dt: float) -> Float[Array, "time batch n"]:
    """As `reference.current`.

    Example:
        >>> import jax.numpy as jnp
        >>> current(Drive(x=jnp.ones((3, 2, 4)), kernel=jnp.ones((4, 5))), dt=1.0).shape
        (3, 2, 5)
    """
    x = arriving(drive)
    if drive.tau_syn is None:
        return x
    if drive.tau_rise is not None:
        return filters.double_expon(x, drive.tau_rise, drive.tau_syn, dt=dt)
    return filters.expon(x, drive.tau_syn, dt=dt)


def arriving(drive: Drive) -> Float[Array, "time batch n"]:
    """Compute `x[t - delay] W + bias`."""
    if exact.fits(drive.x) and drive.kernel is not None and drive.window is None:
        x = drive.later(exact.weigh(drive.x, drive.kernel))
    else:
        x = drive.arriving()
    return x if drive.bias is None else x + drive.bias.reshape(1, 1, -1)


def leaky(
    current: Float[Array, "time batch n"], tau_mem: Float[Array, "..."], *, dt: float
) -> Float[Array, "time batch n"]:
    """As `reference.leaky`.

    Example:
        >>> import jax.numpy as jnp
        >>> leaky(jnp.ones((2, 1, 1)), jnp.float32(5.0), dt=1.0).shape
        (2, 1, 1)
    """
    return filters.expon(current, tau_mem, dt=dt)


def lif(
    current: Float[Array, "time batch n"], params: dynamics.LifParams, **options
) -> tuple[Float[Array, "time batch n"], Float[Array, "time batch n"]]:
    """As `reference.lif`."""
    return reference.lif(current, params, unroll=turn(len(current)), **options)


def recurrent_lif(
    drive: Drive, w_rec: Float[Array, "n n"], params: dynamics.LifParams, *, dt: float, **options
) -> tuple[Float[Array, "time batch n"], Float[Array, "time batch n"]]:
    """As `reference.recurrent_lif`. Its synapse is in the loop: the spikes that pass it are made there."""
    drive = replace(drive, x=arriving(drive), kernel=None, bias=None, delay=0)
    return reference.recurrent_lif(drive, w_rec, params, dt=dt, unroll=turn(drive.num_steps), **options)


def lstm(
    x: Float[Array, "time batch pre"],
    w_x: Float[Array, "pre gates"],
    w_h: Float[Array, "n gates"],
    bias: Float[Array, " gates"],
) -> Float[Array, "time batch n"]:
    """As `reference.lstm`."""
    return reference.lstm(x, w_x, w_h, bias, unroll=turn(len(x)))
