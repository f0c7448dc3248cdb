"""Compare the range of samples with what an encoder can express: too dark, too bright, or another scale.

Each function takes samples in NumPy, as a `Dataset` keeps them, and returns a clause that names both and the cure, or
None. Pixels, `uint8`, stand for 0..1.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Ranged(Protocol):
    """An encoder that knows the range of what it can express."""

    def unfit(self, x: np.ndarray) -> str | None:
        """Say why samples do not fit this encoder, and what helps; None if they do."""
        ...


def unfit(encoder: Any, x: np.ndarray) -> str | None:
    """Say why samples do not fit an encoder, and what helps; None if they do, or if the encoder does not know.

    Example:
        >>> from snnlab.encode import Latency
        >>> unfit(Latency(), np.array([[0, 128, 255]], np.uint8)), unfit(print, np.zeros((1, 3)))
        (None, None)
    """
    return encoder.unfit(x) if isinstance(encoder, Ranged) else None


_DARK = 0.5  # the brightest of all samples lies above, unless integers are no pixels, or numbers have another scale
_MARGIN = 0.05  # beyond 0..1, as after an augmentation
_LOUD, _FAINT = 10.0, 0.05  # of numbers of order 1


def unfit_for_unit_interval(x: np.ndarray, *, fires_above: float = 0.0) -> str | None:
    """For a code of 0..1, where only values above `fires_above` fire.

    Example:
        >>> unfit_for_unit_interval(np.array([[0, 1]], np.uint8))
        'the integers 0..1 are read as pixels, as 0..0.0039; use .astype(numpy.float32)'
        >>> unfit_for_unit_interval(np.array([[0.0, 255.0]], np.float32))
        'the code is for 0..1, the values are 0..255; divide by 255'
    """
    low, high = _ends(x)
    if x.dtype == np.uint8:
        return _dark_pixels(high, max(_DARK, fires_above))
    if low < -_MARGIN or high > 1.0 + _MARGIN or high <= max(_DARK, fires_above):
        cure = f"divide by {high:.3g}" if low >= 0.0 else f"use (x + {-low:.3g}) / {high - low:.3g}"
        return (
            f"the code is for 0..1, the values are {low:.3g}..{high:.3g}; {cure if high > low else 'all are the same'}"
        )
    return None


def unfit_for_order_one(x: np.ndarray) -> str | None:
    """For a network that reads the numbers as they are.

    Example:
        >>> unfit_for_order_one(np.array([[0.0, 255.0]], np.float32))
        'weights are made for numbers of order 1, the values are 0..255; divide by 255'
    """
    low, high = _ends(x)
    if x.dtype == np.uint8:
        return _dark_pixels(high, _DARK)
    largest = max(high, -low)
    if np.sqrt(np.vdot(x, x) / x.size) > _LOUD or largest < _FAINT:
        cure = f"divide by {largest:.3g}" if largest > 0.0 else "all are 0"
        return f"weights are made for numbers of order 1, the values are {low:.3g}..{high:.3g}; {cure}"
    return None


def unfit_for_changes(x: np.ndarray, threshold: float) -> str | None:
    """For a code of changes along the first axis of a sample.

    Example:
        >>> unfit_for_changes(np.array([[[0.0], [0.01]]], np.float32), 0.1)
        'no signal changes by more than 0.01, and a spike needs a change of 0.1; lower the threshold'
    """
    change = float(np.ptp(x, axis=1).max()) / (255.0 if x.dtype == np.uint8 else 1.0)
    if change >= threshold:
        return None
    return (
        f"no signal changes by more than {change:.3g}, and a spike needs a change of {threshold:g}; lower the threshold"
    )


def _ends(x: np.ndarray) -> tuple[float, float]:
    return float(x.min()), float(x.max())


def _dark_pixels(high: float, least: float) -> str | None:
    if high > 255.0 * least:
        return None
    if high == 0.0:
        return "all pixels are 0"
    cure = f"divide by {high:.0f} and use" if high > 1.0 else "use"
    return f"the integers 0..{high:.0f} are read as pixels, as 0..{high / 255.0:.2g}; {cure} .astype(numpy.float32)"
