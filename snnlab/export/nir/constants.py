"""Convert time constants between snnlab (ms, exact decay) and NIR (s, integrated by some reader).

NIR states differential equations, `tau v' = (v_leak - v) + r I`, but no time step. A reader with step `h` computes

    method = "euler"          v <- v + (h / tau) (v_leak - v + r I)
    method = "exponential"    v <- v_leak + (v - v_leak) e^(-h/tau) + (1 - e^(-h/tau)) r I

Either way, v decays by a factor `a` per step and gains `(1 - a) r I`; the methods differ in which `tau` gives `a`.
"""

import numpy as np

METHODS = ("euler", "exponential")
NO_SPIKE_THRESHOLD = 1e30
"""A neuron with this threshold never fires; it is read as an integrator without spikes."""
NO_LEAK_STEPS = 1e12
"""A time constant of this many steps does not decay in single precision."""


def fade(tau, dt: float) -> np.ndarray:
    """Return the fraction lost per step, `1 - e^(-dt/tau)`, in double precision.

    Example:
        >>> round(float(fade(10.0, 1.0)), 4)
        0.0952
    """
    return -np.expm1(-dt / np.asarray(tau, np.float64))


def tau_to_nir(tau, *, dt: float, reader_dt: float, method: str) -> np.ndarray:
    """Return the `tau` [s] for a reader with step `reader_dt` that decays like `tau` with step `dt` in snnlab (all ms).

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
    """Return the `tau` [ms] that decays like `tau` [s] in a reader with step `dt` [ms]; Euler needs `tau > dt`.

    Example:
        >>> round(float(tau_from_nir(0.0025, dt=0.1, method="euler")), 4)  # -0.1 / ln(1 - 0.04)
        2.4497
    """
    tau = 1000.0 * np.asarray(tau, np.float64)
    if method == "euler":
        tau = -dt / np.log1p(-dt / tau)
    return np.where(np.abs(tau - dt) < 1e-6 * dt, dt, tau)  # dt is the minimum; undo rounding
