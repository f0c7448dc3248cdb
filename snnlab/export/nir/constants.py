"""Between time constants of snnlab (ms, exact decays) and of NIR (s, whatever its reader makes of them).

NIR states differential equations, `tau v' = (v_leak - v) + r I`, and no time step. With a step `h` a reader computes

    method = "euler"          v <- v + (h / tau) (v_leak - v + r I)
    method = "exponential"    v <- v_leak + (v - v_leak) e^(-h/tau) + (1 - e^(-h/tau)) r I

Either way v decays by some factor `a` in a step and gains `(1 - a) r I`; all that differs is which `tau` gives `a`.
"""

import numpy as np

METHODS = ("euler", "exponential")
NEVER = 1e30
"""A threshold that is never reached: the neuron is read as an integrator without spikes."""
FOREVER = 1e12
"""A time constant in steps so long that its decay is exactly 1 in single precision."""


def fade(tau, dt: float) -> np.ndarray:
    """What is lost in a step, `1 - e^(-dt/tau)`, in double precision.

    Example:
        >>> round(float(fade(10.0, 1.0)), 4)
        0.0952
    """
    return -np.expm1(-dt / np.asarray(tau, np.float64))


def tau_to_nir(tau, *, dt: float, reader_dt: float, method: str) -> np.ndarray:
    """The `tau` [s] by which a reader with step `reader_dt` decays as snnlab does by `tau` with step `dt` (all ms).

    Example:
        >>> float(tau_to_nir(10.0, dt=1.0, reader_dt=0.1, method="exponential"))
        0.001
        >>> 1.0 - 0.0001 / float(tau_to_nir(10.0, dt=1.0, reader_dt=0.1, method="euler"))  # = exp(-1/10)
        0.9048374180359595
    """
    if method == "euler":
        return reader_dt / 1000.0 / fade(tau, dt)
    return np.asarray(tau, np.float64) / 1000.0 * (reader_dt / dt)


def tau_from_nir(tau, *, dt: float, method: str) -> np.ndarray:
    """The `tau` [ms] by which snnlab decays as a reader with step `dt` [ms] does by `tau` [s]; for Euler `tau > dt`.

    Example:
        >>> round(float(tau_from_nir(0.0025, dt=0.1, method="euler")), 4)  # -0.1 / ln(1 - 0.04)
        2.4497
    """
    tau = 1000.0 * np.asarray(tau, np.float64)
    if method == "euler":
        tau = -dt / np.log1p(-dt / tau)
    return np.where(np.abs(tau - dt) < 1e-6 * dt, dt, tau)  # the shortest there may be, but for single precision
