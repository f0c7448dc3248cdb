"""A convolution that is computed densely on the CPU against that of XLA: values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlab.dynamics import LifParams
from snnlab.encode import Steady
from snnlab.kernels import Drive, Window, arriving, lif
from snnlab.surrogate import inv_square

WINDOWS = {
    "padded": Window(in_shape=(32, 14, 14), size=(3, 3), padding=(1, 1)),
    "strides": Window(in_shape=(3, 9, 8), size=(3, 2), stride=(2, 1), padding=(1, 0)),
    "pooled": Window(in_shape=(2, 7, 5), size=(2, 2), pool=2),
    "one channel": Window(in_shape=(1, 28, 28), size=(5, 5), stride=(2, 3), padding=(2, 2)),
    "one place": Window(in_shape=(5, 6, 4), size=(3, 2), pool=2),
    "one of many": Window(in_shape=(5, 4, 4), size=(3, 4), padding=(0, 1), stride=(2, 3)),
}


def drawn(*shape, seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("out", [16, 37])
@pytest.mark.parametrize("name", WINDOWS)
def test_it_is_the_convolution_of_xla_and_so_are_its_gradients(name, out):
    window = WINDOWS[name]
    x, kernel = drawn(3, 5, window.num_units, seed=0), drawn(window.fan_in, out, seed=1)
    found, back = jax.vjp(
        lambda x, kernel: arriving(Drive(x=x, kernel=kernel, window=window), backend="numba"), x, kernel
    )
    expected, back_there = jax.vjp(window.convolve, x, kernel)
    gradient = drawn(*expected.shape, seed=2)
    for ours, theirs in zip((found, *back(gradient)), (expected, *back_there(gradient)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6 * float(jnp.abs(theirs).max()))


@pytest.mark.parametrize("size", [(2, 2), (3, 2)])  # several places, and one
@pytest.mark.parametrize(("channels", "steady"), [(16, True), (20, True), (20, False), (48, False)])
def test_spikes_of_a_convolution_that_are_pooled(channels, steady, size):
    """Behind neurons at 7 x 5 places: the last row and column fill no cell."""
    first = Window(in_shape=(2, 8, 6), size=(2, 2))
    second = Window(in_shape=(channels, *first.grid), size=size, pool=2)
    params = LifParams(*map(jnp.float32, (10.0, 0.4, 0.0, 0.0, 1.0, 0.0, 10.0)))
    image, wanted = drawn(3, first.num_units, seed=3), drawn(4, 3, 6 * second.pixels, seed=4)
    weights = 2.0 * drawn(first.fan_in, channels, seed=5), drawn(second.fan_in, 6, seed=6)

    def loss(image, weights, backend):
        drive = Drive(x=Steady(values=image, num_steps=4), kernel=weights[0], window=first)
        drive = drive if steady else Drive(x=arriving(drive, backend=backend), window=first)
        fired = lif(drive, params, dt=5.0, surrogate=inv_square, backend=backend)
        x = fired.spikes if fired.packed is None else fired.packed
        y = arriving(Drive(x=x, kernel=weights[1], window=second), backend=backend)
        return (wanted * y).sum() + (fired.counts**2).sum(), fired.counts

    measured = jax.value_and_grad(loss, (0, 1), has_aux=True)
    ours, theirs = (measured(image, weights, backend) for backend in ("numba", "reference"))
    assert 0.1 < float(ours[0][1].mean()) < 3.0
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, atol=5e-6 * float(jnp.abs(other).max()))
