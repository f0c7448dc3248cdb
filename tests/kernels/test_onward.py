"""The gradient of spikes as a product, against NumPy."""

import numpy as np
import pytest

from snnlab.kernels.cpu.onward import _add_to_pair, add_product
from snnlab.kernels.packed import LANES


@pytest.mark.parametrize("steps", [1, 5, 6, 13, 18])
def test_two_tiles_at_once(steps):
    """Both tiles get their product, added to what was there; the rest of the rows is left as it was."""
    rng = np.random.default_rng(steps)
    neurons, stride = 7, 9  # the rows lie further apart than they are long
    d_current = rng.normal(size=(steps, stride)).astype(np.float32)
    weights = rng.normal(size=(2, neurons, LANES)).astype(np.float32)
    before = rng.normal(size=(2, steps, LANES)).astype(np.float32)
    out = before.copy()
    done = _add_to_pair(out.ctypes.data, steps, d_current.ctypes.data, stride, weights.ctypes.data, neurons)
    product = np.einsum("to,kol->ktl", d_current[:, :neurons].astype(float), weights.astype(float))
    assert done == 6 * (steps // 6)
    np.testing.assert_allclose(out[:, :done], before[:, :done] + product[:, :done], atol=1e-5)
    np.testing.assert_array_equal(out[:, done:], before[:, done:])


@pytest.mark.parametrize(("begin", "end"), [(0, 13), (2, 9), (4, 4)])
def test_rows_of_one_tile(begin, end):
    rng = np.random.default_rng(begin)
    neurons, stride = 7, 9
    d_current = rng.normal(size=(13, stride)).astype(np.float32)
    weights = rng.normal(size=(neurons, LANES)).astype(np.float32)
    out = np.zeros((13, LANES), np.float32)
    add_product(out.ctypes.data, d_current.ctypes.data, stride, weights.ctypes.data, neurons, begin, end)
    expected = np.zeros((13, LANES))
    expected[begin:end] = d_current[begin:end, :neurons].astype(float) @ weights.astype(float)
    np.testing.assert_allclose(out, expected, atol=1e-5)
