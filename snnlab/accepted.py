"""What settings and layers accept: the words and bounds that both must agree on, known without loading JAX."""

import numpy as np

from snnlab.errors import ArgumentError

SURROGATES = (
    "inv_square",
    "arctan",
    "sigmoid",
    "triangular",
    "gaussian",
    "exponential",
    "boxcar",
    "reciprocal",
    "secant",
    "circular",
    "multi_gaussian",
    "s2nn",
    "leaky_boxcar",
    "log_tailed",
    "leaky_relu",
    "square_wave",
    "straight_through",
)
"""Names of the surrogates in `snnlab.surrogate.SURROGATES`."""

MAX_STEPS = 2**24
"""Steps of a sequence, 4.6 hours at 1 ms: steps are counted in float32, which holds every integer up to here."""

MAX_UNITS = 2**22
"""Units of a layer, four times the pixels of an HD event camera. A file can announce any number; memory is finite."""

RESETS = ("subtract", "value")
"""What a spike does to the voltage: subtract `v_th - v_reset`, or set `v_reset`."""


def check_threshold(v_th, v_reset) -> None:
    """Check that every neuron resets below its own threshold. Any other voltages are a neuron, in any unit.

    A neuron that rests at or above its threshold fires by itself.

    Args:
        v_th, v_reset: numbers, or arrays with one number per neuron.

    Raises:
        ArgumentError: if a spike would not lower the voltage, so that the next follows at once.

    Example:
        >>> check_threshold([1.0, 5.0], [0.0, 4.0])
        >>> check_threshold(-50.0, 0.0)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: v_th: must be above v_reset = 0.0, ... got -50.0; ...
    """
    with np.errstate(over="ignore"):  # others refuse what is too large
        v_th, v_reset = np.broadcast_arrays(np.float32(v_th), np.float32(v_reset))
    wrong = np.argwhere(v_reset >= v_th)
    if len(wrong):
        place = tuple(wrong[0])
        where = f" for neuron {place[0]}" if place else ""
        raise ArgumentError(
            f"v_th: must be above v_reset = {v_reset[place]}, or one spike causes the next, got {v_th[place]}{where}; "
            f"v_th, v_rest and v_reset have one unit, such as -50, -65 and -65 for mV"
        )


def voltage_scale(v_th, v_rest, v_reset, xp=np):
    """Return how far thresholds lie from where neurons rest or reset, whichever is farther.

    Args:
        v_th, v_rest, v_reset: numbers, or arrays with one number per neuron; `v_th` is above `v_reset`.
        xp: NumPy, or `jax.numpy` for traced values.

    Example:
        >>> voltage_scale(-50.0, -65.0, -70.0).item()
        20.0
    """
    return xp.maximum(xp.abs(v_th - v_rest), xp.abs(v_th - v_reset))
