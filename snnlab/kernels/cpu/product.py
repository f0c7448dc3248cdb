"""Matrix products in blocks whose sums stay in the registers of the processor.

    out[r, k] += sum_o a[r, o] w[o, k]

A column `k` of `out` and of `w` is a tile of 16 values. A sum is formed in the order of `o`, in whatever block: its
bits do not depend on how many rows and tiles there are.
"""

from typing import NamedTuple

from llvmlite.binding import get_host_cpu_features
from numba import int64, njit, void
from numba.core import cgutils
from numba.extending import intrinsic

from snnlab.kernels.cpu.memory import WORD
from snnlab.kernels.cpu.simd import FLOAT, FLOATS, multiply_add, splat

AT_ONCE = 6  # so many rows are a block on every processor
_WIDE = bool(get_host_cpu_features().get("avx512f"))  # 32 registers of 16 values; else 16 of 8


class Matrix(NamedTuple):
    """Floats in memory: where they begin, and how many lie between the beginnings of two rows and of two columns."""

    address: int
    row: int
    column: int


@njit
def _after(matrix, row, column):
    """Return the address of an element."""
    return matrix.address + 4 * (row * matrix.row + column * matrix.column)


def _of_tiles(heights, tiles):
    """Make `add(out, a, w, count, begin, end, tile)`: the product for some rows of `tiles` tiles from `tile` on.

    Blocks have `heights[0]` rows as long as there are so many, then `heights[1]`, and so on down to 1. All the sums of
    a block and the weights of its tiles must fit into the registers.
    """
    height, lower = heights[0], heights[1:]
    block, rest = _block(height, tiles), _of_tiles(lower, tiles) if lower else _nothing

    @njit
    def add(out, a, w, count, begin, end, tile):
        r, weights = begin, _after(w, 0, tile)
        while r + height <= end:
            here, values = _after(out, r, tile), _after(a, r, 0)
            block(here, out.row, out.column, values, a.row, a.column, weights, w.row, w.column, count)
            r += height
        rest(out, a, w, count, r, end, tile)

    return add


@njit
def _nothing(_out, _a, _w, _count, _begin, _end, _tile):
    """Add no row: none is left."""


def _block(rows, tiles):
    """Make the product of one block: a function of the address, row and column of `out`, `a`, `w`, and of `count`."""

    def generate(context, builder, _signature, arguments):
        out, out_row, out_column, a, a_row, a_column, w, w_row, w_column, count = arguments
        out, a, w = (builder.inttoptr(address, FLOAT.as_pointer()) for address in (out, a, w))

        def times(stride, number):
            return builder.mul(stride, WORD(number) if isinstance(number, int) else number)

        def tile_at(matrix, row, column):
            return builder.bitcast(builder.gep(matrix, [builder.add(row, column)]), FLOATS.as_pointer())

        cells = {}  # LLVM makes registers of them
        for row in range(rows):
            for k in range(tiles):
                place = tile_at(out, times(out_row, row), times(out_column, k))
                cells[row, k] = place, cgutils.alloca_once_value(builder, builder.load(place, align=4))
        with cgutils.for_range(builder, count) as loop:
            o = loop.index
            weights = [builder.load(tile_at(w, times(w_row, o), times(w_column, k)), align=4) for k in range(tiles)]
            for row in range(rows):
                value = builder.load(builder.gep(a, [builder.add(times(a_row, row), times(a_column, o))]))
                for k in range(tiles):
                    cell = cells[row, k][1]
                    builder.store(multiply_add(builder, weights[k], splat(builder, value), builder.load(cell)), cell)
        for place, cell in cells.values():
            builder.store(builder.load(cell), place, align=4)
        return context.get_dummy_value()

    def add(_typing, _out, _out_row, _out_column, _a, _a_row, _a_column, _w, _w_row, _w_column, _count):
        return void(*[int64] * 10), generate

    return intrinsic(add)


_one, _two = _of_tiles((12, 6, 3, 1) if _WIDE else (6, 3, 1), tiles=1), _of_tiles((10, 6, 2, 1), tiles=2)


@njit
def add_product(out, a, w, count, begin, end, tiles):
    """Add `a w` to the rows of `out` from `begin` to `end`, and to its first `tiles` columns; sum over `count`."""
    k = 0
    while _WIDE and k + 2 <= tiles:
        _two(out, a, w, count, begin, end, k)
        k += 2
    while k < tiles:
        _one(out, a, w, count, begin, end, k)
        k += 1
