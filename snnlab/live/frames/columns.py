"""Columns of time: neighbouring steps that are drawn as one."""

import numpy as np


def cells(values: np.ndarray, cell: int) -> np.ndarray:
    """Reshape `(time, n)` to `(columns, cell, n)`; the last column is filled up with the last value.

    Example:
        >>> cells(np.array([[1], [2], [3]]), cell=2)[:, :, 0].tolist()
        [[1, 2], [3, 3]]
    """
    missing = -len(values) % cell
    return np.pad(values, ((0, missing), (0, 0)), mode="edge").reshape(-1, cell, values.shape[1])


def extremes(values: np.ndarray, cell: int) -> np.ndarray:
    """Keep one point for every `cell` steps: the minimum and maximum of every two cells, in their order, as float32.

    Example:
        >>> extremes(np.array([[0.0], [3.0], [1.0], [2.0], [5.0], [4.0], [4.0], [4.0]]), cell=2)[:, 0].tolist()
        [0.0, 3.0, 5.0, 4.0]
    """
    if cell == 1:
        return np.ascontiguousarray(values, np.float32)
    pairs = cells(np.asarray(values, np.float32), 2 * cell)
    low, high = pairs.min(1), pairs.max(1)
    rises = pairs.argmin(1) <= pairs.argmax(1)
    ends = np.stack([np.where(rises, low, high), np.where(rises, high, low)], axis=1)
    return ends.reshape(-1, values.shape[1])
