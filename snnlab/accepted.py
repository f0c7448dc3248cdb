"""What settings and layers accept: the words and bounds that both must agree on, known without loading JAX."""

import numpy as np

SURROGATES = ("inv_square", "arctan", "sigmoid", "triangular", "gaussian")
"""Names of the surrogates in `snnlab.surrogate.SURROGATES`."""

RESETS = ("subtract", "value")
"""What a spike does to the voltage: subtract `v_th - v_reset`, or set `v_reset`."""

MIN_SLOPE = 0.1
"""Least slope of a surrogate: a smaller one is flat over ten thresholds."""


def threshold_range(*starts) -> tuple[float, float]:
    """The lowest threshold, and where a slider ends, of neurons that rest or reset at `starts`.

    A neuron that starts at its threshold fires at every step.

    Args:
        *starts: numbers, or arrays with one number per neuron.

    Example:
        >>> threshold_range(0.0, -0.5)
        (0.01, 4.0)
    """
    floor = max(float(np.max(start)) for start in starts)
    return floor + 0.01, floor + 4.0
