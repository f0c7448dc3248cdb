"""The geometry of a convolution, as the kernels read it from their options."""

from typing import NamedTuple

from numba import njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.ffi import option


class Grid(NamedTuple):
    """The geometry of a convolution; see `layout`."""

    rows: int
    columns: int
    depth: int
    pool: int
    size_rows: int
    size_columns: int
    stride_rows: int
    stride_columns: int
    padding_rows: int
    padding_columns: int
    out_rows: int
    out_columns: int
    channels: int
    delay: int


@njit
def grid_of(frame, first):
    """Read the grid whose entries in the options begin at `first`."""
    return Grid(
        option(frame, first + at.ROWS),
        option(frame, first + at.COLUMNS),
        option(frame, first + at.DEPTH),
        option(frame, first + at.POOL),
        option(frame, first + at.SIZE_ROWS),
        option(frame, first + at.SIZE_COLUMNS),
        option(frame, first + at.STRIDE_ROWS),
        option(frame, first + at.STRIDE_COLUMNS),
        option(frame, first + at.PADDING_ROWS),
        option(frame, first + at.PADDING_COLUMNS),
        option(frame, first + at.OUT_ROWS),
        option(frame, first + at.OUT_COLUMNS),
        option(frame, first + at.OUT_CHANNELS),
        option(frame, first + at.GRID_DELAY),
    )
