"""Summaries of long series of numbers, in memory that does not grow with them. NumPy only.

A small network takes a thousand steps per second, and each of its curves is drawn several times per second. Without
these summaries, copies of the curves would soon be the largest objects in the process.
"""

import numpy as np

MAX_POINTS = 300  # of a curve: about one per pixel
PIECE = 16_384  # values processed at once
RISE = 1.0  # of the first loss: healthy runs rise by 0.7 of it at most, a learning rate of 0.3 by 1.7 and more


def loss_scale(losses: np.ndarray) -> float:
    """The unit in which a rise or fall of the loss is measured: its first value, or 1 if that is smaller.

    Example:
        >>> loss_scale(np.array([2.3, 0.5])), loss_scale(np.array([0.1, 5.0]))
        (2.3, 1.0)
    """
    return max(abs(float(losses[0])), 1.0)


def has_risen(losses: np.ndarray) -> bool:
    """Whether the newest loss is far above the first.

    Example:
        >>> has_risen(np.array([2.0, 3.5])), has_risen(np.array([2.0, 4.5])), has_risen(np.array([]))
        (False, True, False)
    """
    return len(losses) > 0 and bool(losses[-1] - losses[0] > RISE * loss_scale(losses))


def bin_means(values: np.ndarray, points: int = MAX_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of equal bins, at most `points` of them: `(step at the bin's end, mean)`, float32 for the wire.

    Example:
        >>> [part.tolist() for part in bin_means(np.array([1.0, 3.0, 5.0, 7.0]), points=2)]
        [[2.0, 4.0], [2.0, 6.0]]
    """
    count, bins = len(values), min(len(values), points)
    if count == 0:
        return np.empty(0, np.float32), np.empty(0, np.float32)
    edges = np.linspace(0, count, bins + 1).astype(int)
    sums, at_once = np.empty(bins), max(1, PIECE * bins // count)
    for k in range(0, bins, at_once):
        begins, end = edges[:-1][k : k + at_once], edges[min(k + at_once, bins)]
        sums[k : k + at_once] = np.add.reduceat(values[begins[0] : end], begins - begins[0], dtype=np.float64)
    return edges[1:].astype(np.float32), (sums / np.diff(edges)).astype(np.float32)


def worst_rise(values: np.ndarray, window: int) -> tuple[float, float, float]:
    """Find the largest rise of a moving mean above its lowest value before.

    The mean is taken over the last `window` values; the first value is repeated before the start.

    Returns:
        The mean before the rise, the mean after it, and the last mean of all.

    Example:
        >>> worst_rise(np.array([3.0, 1.0, 2.0, 4.0, 3.0, 3.0]), window=1)
        (1.0, 4.0, 3.0)
    """
    lowest, worst, newest = np.inf, (0.0, -1.0), np.nan
    for start in range(0, len(values), PIECE):
        part = values[max(0, start - window + 1) : start + PIECE]
        if start == 0:
            part = np.concatenate([np.full(window - 1, part[0]), part])
        means = np.convolve(part.astype(np.float64), np.full(window, 1.0 / window), "valid")
        lows = np.minimum(np.minimum.accumulate(means), lowest)
        k = int((means - lows).argmax())
        worst = max(worst, (float(lows[k]), float(means[k])), key=lambda pair: pair[1] - pair[0])
        lowest, newest = lows[-1], float(means[-1])
    return *worst, newest
