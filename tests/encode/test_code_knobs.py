"""The constants of an encoder are knobs: a call with other values is the encoder made with these values."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import SMALL, make_trainer

from snnlab import models
from snnlab.encode import Latency, Population, Rate, SpikeTimes
from snnlab.encode.codes import Delta
from snnlab.errors import ArgumentError
from snnlab.live.look.prober import Prober

IMAGES = np.random.default_rng(0).integers(0, 256, (16, 8, 8)).astype(np.uint8)
SIGNALS = np.random.default_rng(1).random((5, 30, 3)).astype(np.float32)
KEY = jax.random.key(3)


def coded(encoder, x, **knobs) -> np.ndarray:
    """What an encoder makes of samples, compiled, so that the knobs are traced."""
    code = jax.jit(lambda x, knobs: encoder(x, key=KEY, **knobs))(x, {k: jnp.float32(v) for k, v in knobs.items()})
    return np.asarray(code.times if isinstance(code, SpikeTimes) else code)


@pytest.mark.parametrize("x", [IMAGES, (IMAGES / 255.0).astype(np.float32)], ids=["bytes", "floats"])
@pytest.mark.parametrize("dt", [1.0, 0.1, 0.3])
@pytest.mark.parametrize("tau", [20.0, 7.3])
def test_knobs_that_were_not_moved_change_no_bit(x, dt, tau):
    encoder = Latency(tau=tau, dt=dt, threshold=0.1)
    np.testing.assert_array_equal(coded(encoder, x, tau=tau, threshold=0.1), coded(encoder, x))


@pytest.mark.parametrize("x", [IMAGES, (IMAGES / 255.0).astype(np.float32)], ids=["bytes", "floats"])
@pytest.mark.parametrize(("tau", "threshold"), [(5.0, 0.2), (33.3, 0.05), (20.0, 0.5)])
def test_latency_with_moved_knobs(x, tau, threshold):
    """T = tau ln(x / (x - threshold)), in whole steps, computed here with double precision."""
    values = x.reshape(len(x), -1).astype(np.float64) / (255.0 if x.dtype == np.uint8 else 1.0)
    with np.errstate(all="ignore"):
        exact = tau * np.log(values / (values - threshold))
    silent = ~(values > threshold) | ~(exact < 100)
    found = coded(Latency(num_steps=100), x, tau=tau, threshold=threshold)
    with np.errstate(all="ignore"):  # single precision may round the others either way
        clear = (np.abs(values - threshold) > 1e-6) & ~(np.abs(exact - np.round(exact)) < 1e-4)
    assert (found[silent & clear] == 100).all() and clear.mean() > 0.9
    np.testing.assert_array_equal(found[~silent & clear], np.floor(exact[~silent & clear]))


@pytest.mark.parametrize(
    ("encoder", "x", "knobs"),
    [
        (Population(num_steps=20, fields=5), (IMAGES / 255.0).astype(np.float32), {"cutoff": 0.4}),
        (Rate(num_steps=200), IMAGES, {"max_rate": 37.0}),
        (Delta(), SIGNALS, {"threshold": 0.25}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_other_codes_with_moved_knobs(encoder, x, knobs):
    made = dataclasses.replace(encoder, **knobs)
    assert set(encoder.KNOBS) == set(knobs)
    np.testing.assert_array_equal(coded(encoder, x, **knobs), coded(made, x))
    assert (coded(made, x) != coded(encoder, x)).any()


def test_the_input_follows_its_knobs_at_once(small):
    """No step was taken yet, and nothing is compiled anew."""
    trainer = make_trainer(small)
    probe = Prober(trainer.model, small)
    before = probe(trainer.preview()[0], 3).rasters["input"]
    trainer.set({"code.tau": 12.0})
    model, ahead = trainer.preview()
    encoder = dataclasses.replace(trainer.model.encoder, tau=12.0)
    expected = encoder(small.x_test[3:4]).dense()[:, 0] > 0
    assert ahead and not np.array_equal(before, expected)
    np.testing.assert_array_equal(probe(model, 3).rasters["input"], expected)
    trainer.fit()
    assert trainer.compilations == 1 and trainer.history.interventions[0]["knob"] == "code.tau"
    with pytest.raises(ArgumentError, match=r"code.tau: must be a finite number >= 0 ms"):
        trainer.set({"code.tau": -1.0})


def test_another_encoder_brings_its_own_knobs():
    net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
    assert set(net.code) == {"tau", "threshold"}
    net.encoder = Rate(num_steps=40)
    assert set(net.code) == {"max_rate"}
    assert net(jnp.asarray(IMAGES), key=KEY).readout.shape == (40, 16, 10)
