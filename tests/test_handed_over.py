"""Whatever is handed over for an array: it works, or one sentence names the argument and what is accepted."""

import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from snnlab import kernels, models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.data import Dataset
from snnlab.encode import Delta, Latency, Population, Rows
from snnlab.errors import ArgumentError
from snnlab.export import save
from snnlab.kernels import Drive
from snnlab.layers import IF, LSTM, Expon, Leaky, LifRef, Projection, Recurrent, Scale, Stack
from snnlab.losses import Classification


class MapStyle:
    """A data set as torch's loaders read it: its samples have no end, unless one asks for the length."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return np.zeros((8, 8)), index % 2


class Tensor:
    """An array of another library."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


X, Y = np.random.default_rng(0).uniform(size=(6, 8, 8)), np.arange(6) % 3
NO_ARRAYS = [MapStyle(), [MapStyle()], (n for n in (1, 2)), {"x": X}, None, len, nnx.Linear]


def dataset(**changed) -> Dataset:
    return Dataset(**{"name": "mine", "x_train": X, "y_train": Y, "x_test": X, "y_test": Y} | changed)


@pytest.mark.parametrize("given", NO_ARRAYS, ids=lambda given: type(given).__name__)
def test_what_is_no_array_is_refused_and_not_iterated(given):
    net = models.build(SnnConfig(hidden=4, num_steps=5), sample_shape=(8, 8), num_classes=3)
    calls = {"x_train": lambda: dataset(x_train=given), "y_test": lambda: dataset(y_test=given)}
    for name, call in [*calls.items(), ("x", lambda: net(given)), ("x", lambda: Drive.of(given))]:
        with pytest.raises(ArgumentError, match=f"^{name}: must be an array or nested lists of numbers, got"):
            call()


@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "bool", "list", "tensor"])
def test_what_holds_numbers_becomes_an_array(kind):
    spikes = np.random.default_rng(0).uniform(size=(4, 2, 5)) > 0.5
    given = {"list": spikes.tolist(), "tensor": Tensor(spikes)}.get(kind)
    given = spikes.astype(kind) if given is None else given
    np.testing.assert_array_equal(kernels.leaky(given, 1e30, dt=1.0)[0], np.cumsum(spikes, 0))


@pytest.mark.endure
def test_what_holds_numbers_works_in_every_layer():
    """In a process of its own, because the layers' types are checked in this one."""
    code = "import test_handed_over; test_handed_over.run_every_layer()"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def run_every_layer():
    spikes, rngs = np.random.default_rng(0).uniform(size=(4, 2, 5)) > 0.5, nnx.Rngs(0)
    layers = [Leaky(5), LifRef(5), IF(5), Expon(5), Scale(np.ones(5)), LSTM(5, 3, rngs=rngs)]
    layers += [Recurrent(5, LifRef(3), rngs=rngs), Stack(one=Projection(5, LifRef(3), rngs=rngs), two=Leaky(3))]
    for layer in layers:
        wanted = layer(jnp.asarray(spikes, jnp.float32))
        for given in (spikes, spikes.astype(int), spikes.astype(float), spikes.tolist(), Tensor(spikes)):
            found, expected = (getattr(r, "readout", getattr(r, "state", r)) for r in (layer(given), wanted))
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        for other in (spikes[0], spikes[None], spikes[:0], None, MapStyle(), "spikes"):
            with pytest.raises(ArgumentError, match=r"^x: must be "):
                layer(other)
    others = {
        "neuron": lambda: Projection(5, "lif", rngs=rngs),
        "neuron: must be neurons, such as LifRef(100), got the class LifRef": lambda: Projection(5, LifRef, rngs=rngs),
        "synapse": lambda: Projection(5, LifRef(3), synapse=5.0, rngs=rngs),
        "rngs": lambda: Projection(5, LifRef(3), rngs=0),
        "rngs: must be random streams, such as nnx.Rngs(0), got": lambda: LSTM(5, 3, rngs=jax.random.key(0)),
        "record": lambda: Classification()(np.zeros((5, 2, 3)), np.zeros(2, int)),
    }
    for words, call in others.items():
        with pytest.raises(ArgumentError, match="^" + re.escape(words)):
            call()


@pytest.mark.parametrize("code", [Latency(num_steps=5), Population(num_steps=5), Delta(), Rows()])
def test_codes_read_lists_and_tensors(code):
    for given in (X.tolist(), Tensor(X), jnp.asarray(X)):
        dense = [getattr(code(x), "times", code(x)) for x in (given, X)]
        np.testing.assert_array_equal(*dense)


@pytest.mark.parametrize("shape", [(4,), (4, 5), (4, 2, 5, 1), (0, 2, 5)])
def test_other_axes_are_named(shape):
    with pytest.raises(ArgumentError, match=r"^x: must be "):
        Drive.of(np.zeros(shape))


def test_other_things_for_the_parts_of_a_network():
    stack = Stack(readout=Projection(64, Leaky(3), rngs=nnx.Rngs(0)))
    for encoder in ("latency", Latency, None):
        with pytest.raises(ArgumentError, match=r"^encoder: must be a code, such as Latency"):
            models.Network(encoder, stack)
    for layers in ([stack], {"readout": stack}, len, None):
        with pytest.raises(ArgumentError, match=r"^stack: must be the layers, such as Stack"):
            models.Network(Latency(), layers)


def test_other_things_for_a_network_and_its_shape(tmp_path):
    for given in (lambda x: x, SnnConfig(), nnx.Linear, None):
        with pytest.raises(ArgumentError, match=r"^model: must be an nnx.Module"):
            save(given, tmp_path / "net.safetensors")
    for shape in (8, "ab", (8, 8.5)):
        with pytest.raises(ArgumentError, match=r"^sample_shape: must be"):
            models.build(LstmConfig(), sample_shape=shape, num_classes=3)
    net = models.build(LstmConfig(hidden=3), sample_shape=np.array([8, 8]), num_classes=3)
    assert net.recipe.sample_shape == (8, 8)
