"""The maximum over windows: of spikes it is whether any neuron of the window fires."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlab.errors import ArgumentError
from snnlab.export import to_nir
from snnlab.layers import Pool, Stack

SHAPE = (2, 5, 6)


def by_hand(x, window, stride, padding, combine):
    """Every window, one after the other, of images with zeros around them."""
    images = np.pad(np.asarray(x).reshape(*x.shape[:2], *SHAPE), ((0, 0), (0, 0), (0, 0), *padding))
    rows, columns = ((n - w) // s + 1 for n, w, s in zip(images.shape[3:], window, stride, strict=True))
    out = np.zeros((*x.shape[:2], SHAPE[0], rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride[0], j * stride[1]
            out[..., i, j] = combine(images[..., top : top + window[0], left : left + window[1]], (-2, -1))
    return out.reshape(*x.shape[:2], -1)


CASES = [((2, 2), (2, 2), ((0, 0), (0, 0))), ((3, 2), (1, 2), ((1, 1), (1, 0))), ((1, 1), (1, 1), ((2, 0), (0, 0)))]


@pytest.mark.parametrize(("window", "stride", "padding"), CASES)
@pytest.mark.parametrize(("kind", "combine"), [("max", np.max), ("sum", np.sum), ("average", np.mean)])
def test_every_window(kind, combine, window, stride, padding):
    x = np.float32(np.random.default_rng(0).normal(-0.5, 1.0, (3, 2, 60)))
    pool = Pool(kind, shape=SHAPE, window=window, stride=stride, padding=padding)
    expected = by_hand(x, window, stride, padding, combine)
    np.testing.assert_allclose(pool(jnp.asarray(x)), expected, rtol=1e-5, atol=1e-6)


def test_the_maximum_of_spikes_is_a_spike_if_any_neuron_fires():
    spikes = np.random.default_rng(1).random((7, 3, 60)) < 0.2
    pool = Pool("max", shape=SHAPE, window=(2, 3), stride=(2, 3))
    any_fires = by_hand(spikes, (2, 3), (2, 3), ((0, 0), (0, 0)), np.any)
    np.testing.assert_array_equal(pool(jnp.asarray(spikes, jnp.float32)), any_fires)


def test_the_gradient_of_a_maximum_goes_to_one_neuron_that_has_it():
    x = jnp.zeros((1, 1, 60)).at[0, 0, [0, 7]].set(1.0)  # both in the first window of 2 x 2
    pool = Pool("max", shape=SHAPE, window=(2, 2), stride=(2, 2))
    gradient = np.asarray(jax.grad(lambda x: pool(x)[0, 0, 0])(x))[0, 0]
    assert gradient.sum() == 1.0 and gradient[0] == 1.0


def test_nir_has_no_maximum():
    with pytest.raises(ArgumentError, match="layer 'm': kind: must be sum or average, as NIR has no maximum"):
        to_nir(Stack(m=Pool("max", shape=SHAPE, window=(2, 2), stride=(2, 2))))
    with pytest.raises(ArgumentError, match="kind: must be one of"):
        Pool("median", shape=SHAPE, window=(2, 2), stride=(2, 2))
