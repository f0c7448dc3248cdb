"""Images changed at random: what NumPy makes of them, how often, and never where a network is measured."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import snnlab
from snnlab.config import LATENCY_CONV
from snnlab.encode import Augment, Latency
from snnlab.errors import ArgumentError
from snnlab.models import Network, build
from snnlab.train import Trainer

MANY = 600


def moved(image, down, right):
    """Of one image `(..., rows, columns)`, written with a border and a cut in NumPy."""
    most = max(abs(down), abs(right))
    wide = np.pad(image, [(0, 0)] * (image.ndim - 2) + [(most, most)] * 2)
    rows, columns = image.shape[-2:]
    return wide[..., most - down : most - down + rows, most - right : most - right + columns]


def found(image, changed, shift):
    """Which mirroring and which moves made this of it; there must be exactly one."""
    tried = [
        (flip, down, right)
        for flip in (False, True)
        for down in range(-shift, shift + 1)
        for right in range(-shift, shift + 1)
        if np.array_equal(moved(image[..., ::-1] if flip else image, down, right), changed)
    ]
    assert len(tried) == 1
    return tried[0]


@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 7)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_every_mirroring_and_move_is_that_of_numpy_and_as_frequent_as_the_others(shape, dtype):
    """Half are mirrored, and each of 3 x 3 moves comes to a ninth: within four deviations of a binomial share."""
    image = np.random.default_rng(0).integers(1, 255, shape).astype(dtype)
    change = jax.jit(Augment(flip=True, shift=1))
    changed = np.asarray(change(np.repeat(image[None], MANY, 0), key=jax.random.key(3)))
    assert changed.dtype == dtype
    flips, *moves = np.transpose([found(image, one, 1) for one in changed])
    for share, expected in [
        (flips, 1 / 2),
        *((np.equal(moves, [[down], [right]]).all(0), 1 / 9) for down in (-1, 0, 1) for right in (-1, 0, 1)),
    ]:
        assert abs(share.mean() - expected) < 4.0 * np.sqrt(expected * (1.0 - expected) / MANY)
    assert abs(np.corrcoef(moves)[0, 1]) < 4.0 / np.sqrt(MANY)


def test_a_move_may_be_wider_than_the_image():
    image = np.arange(1, 13, dtype=np.uint8).reshape(3, 4)
    changed = np.asarray(Augment(shift=9)(np.repeat(image[None], MANY, 0), key=jax.random.key(0)))
    made = {moved(image, down, right).tobytes() for down in range(-9, 10) for right in range(-9, 10)}
    assert {one.tobytes() for one in changed} <= made and (changed == 0).all((1, 2)).mean() > 0.5


def test_one_that_does_nothing_returns_the_images():
    images = jnp.ones((2, 3, 4))
    assert not Augment().changes and Augment()(images, key=jax.random.key(0)) is images


@pytest.mark.parametrize("x", [np.zeros((3, 64), np.float32), np.zeros((3, 2, 9), np.int32)], ids=["a table", "events"])
def test_samples_that_are_no_images_are_refused(x):
    with pytest.raises(ArgumentError, match=r"x: only images \(batch, rows, columns\) can be mirrored and moved, got"):
        Augment(flip=True)(x, key=jax.random.key(0))


def make(**options):
    config = replace(LATENCY_CONV, channels=(3,), num_steps=9, v_th=0.3, **options)
    return build(config, sample_shape=(8, 8), num_classes=10)


def test_a_network_changes_images_only_where_it_trains(digits):
    """Twice in `train()`: those of the key. In `eval()`: the images as they are, with a key or without."""
    net, x = make(flip=True, shift=2), jnp.asarray(digits.x_train[:40])
    plain = net.encoder(x).times
    np.testing.assert_array_equal(net.encode(x).times, plain)
    np.testing.assert_array_equal(net.encode(x, key=jax.random.key(0)).times, plain)
    net.train()
    with pytest.raises(ArgumentError, match=r"key: images are changed at random; pass key="):
        net.encode(x)
    first, again, other = (net.encode(x, key=jax.random.key(seed)).times for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() and (first != plain).any()
    for one, image in zip(first.reshape(-1, 8, 8), plain.reshape(-1, 8, 8), strict=True):
        spikes, given = 9 - np.asarray(one), 9 - np.asarray(image)  # 0 for a pixel that never fires
        assert any(
            np.array_equal(spikes, moved(given[:, ::-1] if flip else given, down, right))
            for flip in (False, True)
            for down in range(-2, 3)
            for right in range(-2, 3)
        )


def test_results_are_those_of_the_images_as_they_are(digits):
    """Networks with the same weights are measured alike, whether the one changes what it trains with or not."""
    some = digits.subset(train=64, test=50)
    results = [Trainer(make(**more), some, batch_size=32).evaluate() for more in ({}, {"flip": True, "shift": 3})]
    assert results[0] == results[1]


def test_a_run_repeats_its_changes_and_a_plain_one_does_not_have_them(digits):
    some = digits.subset(train=64, test=20)

    def weights(seed=0, **more):
        net = make(**more)
        Trainer(net, some, epochs=2, batch_size=16, seed=seed).fit()
        return np.asarray(net.stack.layers["conv1"].kernel[...])

    changed = weights(flip=True, shift=1)
    np.testing.assert_array_equal(changed, weights(flip=True, shift=1))
    assert (changed != weights()).any()


def test_any_network_takes_it():
    net = build(snnlab.SnnConfig(hidden=5, num_steps=9), sample_shape=(4, 4), num_classes=2)
    mine = Network(Latency(num_steps=9), net.stack, augment=Augment(shift=1))
    mine.train()
    x = jnp.ones((30, 4, 4))
    assert (mine.encode(x, key=jax.random.key(0)).times == 9).any() and not (mine.encoder(x).times == 9).any()
    with pytest.raises(ArgumentError, match="augment: must be"):
        Network(Latency(), net.stack, augment=True)
