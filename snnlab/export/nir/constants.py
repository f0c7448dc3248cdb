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
ROUNDED = 1e-6
"""Files hold single precision, in which `dt / tau` is off by this much."""


def fade(tau, dt: float) -> np.ndarray:
    """Return the fraction lost per step, `1 - e^(-dt/tau)`, in double precision.

    Example:
        >>> round(float(fade(10.0, 1.0)), 4)
        0.0952
    """
    with np.errstate(divide="ignore"):
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
        with np.errstate(divide="ignore"):  # what never decays has an infinite time constant there, too
            return reader_dt / 1000.0 / fade(tau, dt)
    return np.asarray(tau, np.float64) / 1000.0 * (reader_dt / dt)


def tau_from_nir(tau, *, dt: float, method: str) -> np.ndarray:
    """Return the `tau` [ms] that decays like `tau` [s] in a reader with step `dt` [ms]; Euler needs `tau >= dt`.

    Euler's decay `1 - dt/tau` is 0 for `tau = dt`: nothing is left after a step, as with a `tau` of 0.

    Example:
        >>> round(float(tau_from_nir(0.0025, dt=0.1, method="euler")), 4)  # -0.1 / ln(1 - 0.04)
        2.4497
    """
    tau = 1000.0 * np.asarray(tau, np.float64)
    if method != "euler":
        return tau
    lost = dt / tau
    with np.errstate(divide="ignore"):
        return -dt / np.log1p(-np.where(lost > 1.0 - ROUNDED, 1.0, lost))
