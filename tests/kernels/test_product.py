"""Products in blocks, against NumPy."""

import numpy as np
import pytest
from numba import njit

from snnlab.kernels.cpu import product
from snnlab.kernels.cpu.product import Matrix, add_product
from snnlab.kernels.packed import LANES


def added(out: np.ndarray, a: np.ndarray, w: np.ndarray, begin: int, end: int) -> np.ndarray:
    """`out` `(row, tile, 16)` after the product of `a` `(row, o)` and `w` `(o, tile, 16)`, whatever their strides."""
    out = out.copy()
    row, tile, _ = (stride // 4 for stride in out.strides)
    (a_row, a_o), (w_o, w_tile, _) = (tuple(stride // 4 for stride in array.strides) for array in (a, w))
    places = Matrix(out.ctypes.data, row, tile), Matrix(a.ctypes.data, a_row, a_o), Matrix(w.ctypes.data, w_o, w_tile)
    add_product(*places, a.shape[1], begin, end, out.shape[1])
    return out


@pytest.mark.parametrize(("begin", "end"), [(0, 1), (0, 5), (0, 6), (0, 12), (0, 31), (2, 9), (4, 4)])
@pytest.mark.parametrize("tiles", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_it_is_added_to_the_rows_asked_for(tiles, begin, end, transposed):
    """What was there is added to, other rows are left alone; rows and columns may lie any number of floats apart."""
    rng = np.random.default_rng(begin + end)
    rows, neurons = 31, 7
    a = rng.normal(size=(40, 40)).astype(np.float32)[:rows, :neurons]
    if transposed:
        a = rng.normal(size=(40, 40)).astype(np.float32).T[:rows, :neurons]
    w = rng.normal(size=(neurons, tiles + 1, LANES)).astype(np.float32)[:, :tiles]
    before = rng.normal(size=(rows, tiles, LANES)).astype(np.float32)
    expected = before.astype(float)
    expected[begin:end] += np.einsum("ro,okl->rkl", a[begin:end].astype(float), w.astype(float))
    out = added(before, a, w, begin, end)
    np.testing.assert_allclose(out, expected, atol=1e-5)
    np.testing.assert_array_equal(np.delete(out, np.s_[begin:end], 0), np.delete(before, np.s_[begin:end], 0))


def test_the_bits_do_not_depend_on_the_block():
    """All at once, or row by row and tile by tile."""
    rng = np.random.default_rng(0)
    a, w = (rng.normal(size=size).astype(np.float32) for size in ((29, 50), (50, 3, LANES)))
    zeros = np.zeros((29, 3, LANES), np.float32)
    singly = np.stack([added(zeros[r : r + 1, :], a[r : r + 1], w, 0, 1)[0] for r in range(29)])
    by_tile = np.concatenate([added(zeros[:, k : k + 1].copy(), a, w[:, k : k + 1], 0, 29) for k in range(3)], axis=1)
    whole = added(zeros, a, w, 0, 29)
    np.testing.assert_array_equal(whole, singly)
    np.testing.assert_array_equal(whole, by_tile)


@pytest.mark.parametrize(("heights", "tiles"), [((6, 3, 1), 1), ((12, 6, 3, 1), 1), ((10, 6, 2, 1), 2)])
def test_the_blocks_of_other_processors(heights, tiles):
    """Those that this processor does not take are right too."""
    add = product._of_tiles(heights, tiles)
    rng = np.random.default_rng(1)
    a, w = (rng.normal(size=size).astype(np.float32) for size in ((29, 8), (8, tiles, LANES)))
    out = np.zeros((29, tiles, LANES), np.float32)

    @njit
    def run(to, of, by):
        add(Matrix(to, tiles * LANES, LANES), Matrix(of, 8, 1), Matrix(by, tiles * LANES, LANES), 8, 0, 29, 0)

    run(out.ctypes.data, a.ctypes.data, w.ctypes.data)
    np.testing.assert_allclose(out, np.einsum("ro,okl->rkl", a.astype(float), w.astype(float)), atol=1e-5)
