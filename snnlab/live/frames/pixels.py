"""Images at one byte a pixel: grey, or diverging around zero, or by powers of ten.

An image is `{"rows", "columns", "bytes"}`, row by row.
"""

from typing import Any

import numpy as np

from snnlab.live.frames import wording
from snnlab.live.frames.columns import extremes
from snnlab.support import numbers

DECADES = 6.0  # powers of ten that a logarithmic scale shows at the most

Image = dict[str, Any]


def image(pixels: np.ndarray) -> Image:
    """Return an image of bytes.

    Example:
        >>> image(np.zeros((2, 3), np.uint8))
        {'rows': 2, 'columns': 3, 'bytes': b'\\x00\\x00\\x00\\x00\\x00\\x00'}
    """
    return {"rows": pixels.shape[0], "columns": pixels.shape[1], "bytes": pixels.astype(np.uint8).tobytes()}


def diverging(values: np.ndarray, scale: float) -> np.ndarray:
    """Return bytes: 128 means zero, 1 and 255 mean minus and plus `scale`, or more than that.

    Example:
        >>> diverging(np.array([-3.0, -1.0, 0.0, 0.5]), scale=1.0).tolist()
        [1, 1, 128, 192]
    """
    within = np.clip(np.nan_to_num(values / max(scale, 1e-30)), -1.0, 1.0)
    return (np.round(within * 127.0) + 128.0).astype(np.uint8)


def shares(values: np.ndarray) -> np.ndarray:
    """Return bytes for numbers in 0..1: 0 to 255.

    Example:
        >>> shares(np.array([0.0, 0.5, 1.0])).tolist()
        [0, 128, 255]
    """
    return np.round(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)


def logarithmic(values: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Return bytes on a logarithmic scale, and its ends: 1 means the lowest, or less, 255 the highest, 0 means zero.

    The scale covers the positive numbers, but at most `DECADES` powers of ten. What is not finite is as the highest.

    Args:
        values: numbers >= 0.

    Example:
        >>> logarithmic(np.array([0.0, 1e-2, 1e-1, 1.0]))
        (array([  0,   1, 128, 255], dtype=uint8), (0.01, 1.0))
    """
    known = values[np.isfinite(values) & (values > 0.0)].astype(np.float64)
    if not known.size:
        return np.where(np.isfinite(values), 0, 255).astype(np.uint8), (0.0, 0.0)
    high = float(known.max())
    low = max(float(known.min()), high * 10.0**-DECADES)
    span = max(np.log(high / low), 1e-12)
    finite = np.where(np.isfinite(values), values, high).astype(np.float64)
    level = np.log(np.maximum(finite, low) / low) / span if high > low else np.ones(values.shape)
    return np.where(finite > 0.0, np.round(1.0 + 254.0 * np.clip(level, 0.0, 1.0)), 0.0).astype(np.uint8), (low, high)


def thinned(count: int, most: int) -> np.ndarray:
    """Return the indices of at most `most` of `count` things, evenly spread, the first and the last among them.

    Example:
        >>> thinned(10, 4).tolist(), thinned(3, 4).tolist()
        ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def thumbnail(sample: np.ndarray, side: int = 32) -> Image | None:
    """Return a sample as a small grey image, from its lowest to its highest value; None if it is no image.

    An image has rows and columns, and may have one to four channels as its first or its last axis, which are averaged.
    A larger one is reduced: a pixel then averages a block.

    Args:
        sample: of any shape.
        side: rows and columns, at most.

    Example:
        >>> thumbnail(np.array([[0.0, 1.0], [2.0, 4.0]]))
        {'rows': 2, 'columns': 2, 'bytes': b'\\x00?\\x7f\\xff'}
        >>> thumbnail(np.zeros(5)) is None
        True
    """
    values = np.asarray(sample, np.float32)
    if not wording.is_image(values.shape):
        return None
    if values.ndim == 3:
        values = values.mean(0 if values.shape[0] <= wording.CHANNELS else 2)
    block = -(-max(values.shape) // side)
    values = averaged(averaged(values, block, axis=0), block, axis=1)
    low, high = float(values.min()), float(values.max())
    return image((values - low) * (255.0 / max(high - low, 1e-9)))


SPARK = 24  # points of a line in a thumbnail, about


def spark(sample: np.ndarray) -> bytes | None:
    """Return the first channel of a signal `(time, channels)` as a short line; None if the sample is no such signal.

    Returns:
        Bytes, float32, from 0 at its lowest value to 1 at its highest.

    Example:
        >>> line = spark(np.array([[0.0], [1.0], [4.0], [2.0], [2.0], [0.0], [1.0], [0.0]]))
        >>> np.frombuffer(line, np.float32).tolist()
        [0.0, 0.25, 1.0, 0.5, 0.5, 0.0, 0.25, 0.0]
    """
    if sample.ndim != 2 or sample.shape[1] > wording.CHANNELS or len(sample) < 2 * wording.CHANNELS:
        return None
    line = extremes(np.asarray(sample[:, :1], np.float32), -(-len(sample) // SPARK))[:, 0]
    return ((line - line.min()) / max(float(np.ptp(line)), 1e-9)).astype(np.float32).tobytes()


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """Return the axis of the one to four channels of an image, its first or its last; None if it has no such axis.

    Example:
        >>> channel_axis((3, 32, 32)), channel_axis((32, 32, 1)), channel_axis((28, 28))
        (0, 2, None)
    """
    if len(shape) != 3 or min(shape[0], shape[2]) > 4:
        return None
    return 0 if shape[0] <= 4 else 2


def averaged(values: np.ndarray, block: int, axis: int) -> np.ndarray:
    """Average `block` neighbours along an axis; the last of them may be fewer.

    Example:
        >>> averaged(np.array([1.0, 3.0, 5.0]), block=2, axis=0).tolist()
        [2.0, 5.0]
    """
    if block == 1:
        return values
    length = values.shape[axis]
    starts = np.arange(0, length, block)
    sums = np.moveaxis(np.add.reduceat(values, starts, axis=axis), axis, -1)
    return np.moveaxis(sums / np.minimum(block, length - starts), -1, axis)


def range_words(low: float, high: float) -> str:
    """Say the ends of a scale.

    Example:
        >>> range_words(1.25e-6, 0.34)
        'from 1.25 × 10⁻⁶ to 0.34'
    """
    return f"from {numbers.number(low)} to {numbers.number(high)}"
