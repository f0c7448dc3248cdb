"""Long series in few numbers: exactly, and without copies of them."""

import tracemalloc

import numpy as np
import pytest

from snnlab.health import Health, diagnose
from snnlab.history import History
from snnlab.history.series import MAX_POINTS, PIECE, bin_means, worst_rise
from snnlab.live.frames import curves

LENGTHS = [1, 7, 300, 301, 12_345, PIECE, PIECE + 1, 5 * PIECE + 3]


@pytest.mark.parametrize("count", LENGTHS)
def test_thinning_takes_the_means_of_equal_bins(count):
    values = np.random.default_rng(0).normal(size=count)
    x, y = bin_means(values)
    assert len(x) == len(y) == min(count, MAX_POINTS) and x.dtype == y.dtype == np.float32
    assert x[-1] == count and np.ptp(np.diff(x, prepend=0)) <= 1
    assert (np.diff(x) > 0).all()
    np.testing.assert_allclose((y * np.diff(x, prepend=0)).sum() / count, values.mean(), atol=1e-6)
    bins = np.split(values, x[:-1].astype(int))
    np.testing.assert_allclose(y, [part.mean() for part in bins], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("count", LENGTHS)
@pytest.mark.parametrize("window", [1, 10])
def test_the_worst_rise_does_not_show_the_pieces(count, window):
    """Against the definition, computed in one piece, on a random walk."""
    values = np.random.default_rng(1).normal(size=count).cumsum()
    means = np.convolve(np.concatenate([np.full(window - 1, values[0]), values]), np.full(window, 1 / window), "valid")
    lows = np.minimum.accumulate(means)
    k = (means - lows).argmax()
    np.testing.assert_allclose(worst_rise(values, window), (lows[k], means[k], means[-1]), rtol=1e-9, atol=1e-9)


def test_looking_at_a_long_run_takes_no_memory_that_grows_with_it():
    """A million steps are 4 MB a curve; what the curves and the diagnosis need is a small part of one."""
    steps = 1_000_000
    names = ("loss", "accuracy", "grad_norm", "spikes_per_sample")
    history = History.of({name: np.linspace(2.0, 1.0, steps, dtype=np.float32) for name in names}, [], [])
    health = Health(step=steps, samples=10, loss=1.0, accuracy=0.5, layers=(), readout_spread=1.0, finite=True)

    def look():
        curves.curves(history, steps_per_epoch=100)
        diagnose(health, history, {})

    look()
    tracemalloc.start()
    look()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
