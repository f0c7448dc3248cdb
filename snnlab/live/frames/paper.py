"""What can be drawn by hand in place of a test sample: an image of bytes, and the input of the network that it is.

A byte of 0 is the lowest value of the training samples, 255 the highest, as ink on paper.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from snnlab.data import Dataset, EventLists
from snnlab.errors import ArgumentError
from snnlab.live.frames.pixels import channel_axis, thinned

SIDES = 4, 256  # rows and columns of an image, at least and at most
MOST = 2000  # training samples that are read for the frame
EDGE = 0.01  # of the ink, that may lie outside of it at each side
LONGEST = 4  # times the shorter side: what is longer is rather a sequence


@dataclass(frozen=True, kw_only=True)
class Paper:
    """The images of a data set, as far as a drawing depends on them; make it with `paper_of`.

    Attributes:
        shape: of a sample.
        dtype: of a sample.
        low: the lowest value of the training samples.
        high: the highest one.
        frame: where the training samples have their ink: the first row and column, the last row and column, without
            the outermost hundredth at each side. None: everywhere.

    Example:
        >>> paper = Paper(shape=(2, 2), dtype=np.dtype("float32"), low=-1.0, high=1.0)
        >>> paper.sample(bytes([0, 51, 204, 255])).tolist()
        [[-1.0, -0.6000000238418579], [0.6000000238418579, 1.0]]
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    low: float
    high: float
    frame: tuple[int, int, int, int] | None = None

    @property
    def rows(self) -> int:
        """Of an image."""
        return self._plane[0]

    @property
    def columns(self) -> int:
        """Of an image."""
        return self._plane[1]

    @property
    def _plane(self) -> tuple[int, ...]:
        axis = channel_axis(self.shape)
        return self.shape if axis is None else self.shape[:axis] + self.shape[axis + 1 :]

    def sample(self, drawing: bytes) -> Shaped[np.ndarray, "..."]:
        """Return the input that a drawing is: `low + byte (high - low) / 255`, the same in every channel.

        Args:
            drawing: one byte a pixel, row by row.

        Raises:
            ArgumentError: if there are more or fewer pixels than the samples have.
        """
        if len(drawing) != self.rows * self.columns:
            raise ArgumentError(f"drawing: must be {self.rows} x {self.columns} bytes, got {len(drawing)}")
        ink = np.frombuffer(drawing, np.uint8).reshape(self.rows, self.columns)
        values = self.low + ink * ((self.high - self.low) / 255.0)
        values = np.round(values) if self.dtype.kind in "iu" else values
        axis = channel_axis(self.shape)
        whole = values if axis is None else np.broadcast_to(np.expand_dims(values, axis), self.shape)
        return np.ascontiguousarray(whole, self.dtype)

    def drawing(self, sample: Shaped[np.ndarray, "..."]) -> bytes:
        """Return a sample as a drawing; its channels are averaged, and what is out of the range is cut off.

        Example:
            >>> paper = Paper(shape=(1, 3), dtype=np.dtype("float32"), low=0.0, high=2.0)
            >>> list(paper.drawing(np.array([[0.0, 1.0, 9.0]])))
            [0, 128, 255]
        """
        axis = channel_axis(self.shape)
        values = np.asarray(sample, np.float64)
        values = values if axis is None else values.mean(axis)
        share = np.clip((values - self.low) / (self.high - self.low), 0.0, 1.0)
        return np.round(255.0 * share).astype(np.uint8).tobytes()


def paper_of(data: Dataset) -> Paper | str:
    """Return what can be drawn in place of the samples of a data set, or a sentence that says why nothing can.

    Example:
        >>> from snnlab import data
        >>> paper_of(data.load("digits"))
        Paper(shape=(8, 8), dtype=dtype('uint8'), low=0.0, high=255.0, frame=(0, 1, 7, 6))
        >>> paper_of(data.load("yinyang"))
        'A sample is (4,) numbers and no image, so there is nothing to draw.'
    """
    instead = "so there is nothing to draw."
    if isinstance(data.x_train, EventLists):
        return f"The samples are events, {instead}"
    shape, axis = data.sample_shape, channel_axis(data.sample_shape)
    plane = shape if axis is None else shape[:axis] + shape[axis + 1 :]
    if len(plane) != 2 or min(plane) < SIDES[0] or max(plane) > LONGEST * min(plane):
        return f"A sample is {shape} numbers and no image, {instead}"
    if max(plane) > SIDES[1]:
        return f"An image of {plane[0]} x {plane[1]} pixels is too large to be sent at every stroke, {instead}"
    low, high = float(data.x_train.min()), float(data.x_train.max())
    if not math.isfinite(high - low) or high <= low:
        return f"All values of the training samples are {low:g}, {instead}"
    ink = data.x_train[thinned(len(data.x_train), MOST)].mean(0, dtype=np.float64) - low
    frame = _frame(ink if axis is None else ink.mean(axis))
    return Paper(shape=shape, dtype=data.x_train.dtype, low=low, high=high, frame=frame)


def _frame(ink: np.ndarray) -> tuple[int, int, int, int]:
    """Where the sums of the rows, and of the columns, pass their first and their last hundredth."""
    ends = [np.searchsorted(np.cumsum(sums) / sums.sum(), (EDGE, 1.0 - EDGE)) for sums in (ink.sum(1), ink.sum(0))]
    (top, bottom), (left, right) = ends
    return int(top), int(left), int(bottom), int(right)
