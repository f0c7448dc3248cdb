"""The convolution of dense input on the CPU against that of XLA: values, and the gradients of input and weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlab.kernels import Drive, Window, arriving

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
