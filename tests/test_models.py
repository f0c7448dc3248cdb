"""What is known of a model, whoever wrote it."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from snnlab import models
from snnlab.config import ConvConfig, LstmConfig, SnnConfig
from snnlab.encode import Latency
from snnlab.errors import ArgumentError
from snnlab.export import load, save
from snnlab.layers import Expon, LifRef, Projection, Recurrent, Stack
from snnlab.models import Description, describe
from snnlab.train import Trainer


class Mine(nnx.Module):
    """A model of one's own, which tells nothing."""

    def __call__(self, x):
        return jnp.zeros((3, len(x), 2))


class Twice(models.Network):
    """A network whose call is more than its stack."""

    def __call__(self, x, *, key=None):
        return super().__call__(2.0 * x, key=key)


def test_nothing_is_known_of_a_model_that_tells_nothing():
    assert describe(Mine()) == Description()
    assert describe(Mine()).hidden == [] and describe(Mine()).config is None


@pytest.mark.parametrize("config", [SnnConfig(hidden=7, dt=2.0), LstmConfig(hidden=7)])
def test_all_is_known_of_a_network_that_was_built(config):
    net = models.build(config, sample_shape=(4, 4), num_classes=3)
    known = describe(net)
    assert known.encoder is net.encoder and known.stack is net.stack and known.network is net
    assert known.config is config and known.recipe.num_classes == 3
    assert known.hidden == ["hidden"] and [layer.features for layer in known.layers.values()] == [7, 3]
    spiking = isinstance(config, SnnConfig)
    assert known.dt == (2.0 if spiking else None)
    assert [layer.dt for layer in known.layers.values()] == ([2.0, 2.0] if spiking else [None, None])


DEEP = SnnConfig(hidden=(9, 7), recurrent=True, neuron="alif", beta=0.3, tau_adapt=50.0, num_steps=30)


def test_layers_are_as_many_as_the_config_has():
    known = describe(models.build(DEEP, sample_shape=(4, 4), num_classes=3))
    assert known.hidden == ["hidden1", "hidden2"] and [layer.features for layer in known.layers.values()] == [9, 7, 3]
    for name in known.hidden:
        layer = known.layers[name]
        assert isinstance(layer.module, Recurrent) and float(layer.neuron.beta[...]) == pytest.approx(0.3)
        assert float(layer.neuron.tau_adapt[...]) == 50.0
    plain = describe(models.build(SnnConfig(hidden=(9, 7)), sample_shape=(4, 4), num_classes=3))
    assert all(type(plain.layers[name].module) is Projection for name in plain.hidden)
    assert plain.layers["hidden1"].neuron.beta is None


@pytest.mark.endure
def test_a_deep_network_of_neurons_that_adapt_learns_and_comes_back_from_a_file(digits, tmp_path):
    net = models.build(replace(DEEP, hidden=(40, 30), v_th=0.5), sample_shape=(8, 8), num_classes=10)
    trainer = Trainer(net, digits.subset(train=1024, test=256), epochs=5, batch_size=32)
    last = [report for report in trainer if report.phase == "epoch"][-1].metrics
    assert last["test_acc"] > 0.5 and len([name for name in trainer.mailbox.knobs if "tau_adapt" in name]) == 2
    again = load(save(trainer.model, tmp_path / "net.safetensors"))
    x = digits.x_test[:20]
    np.testing.assert_array_equal(again(x).readout, trainer.model(x).readout)


def test_a_convolutional_network_has_room_for_small_images_and_large_ones():
    """Windows keep the size of an image, and pooling divides it: 28 x 28, 14 x 14, then the 7 x 7 of the readout."""
    net = models.build(ConvConfig(channels=(3, 5), num_steps=7, dt=2.0), sample_shape=(28, 28), num_classes=4)
    known = describe(net)
    assert [layer.module.out_shape for layer in known.layers.values()] == [(3, 28, 28), (5, 14, 14), (4, 1, 1)]
    assert [layer.features for layer in known.layers.values()] == [2352, 980, 4] and known.dt == 2.0
    assert net.stack.layers["readout"].kernel.shape == (7 * 7 * 5, 4)
    record = net(jnp.ones((2, 28, 28)))
    assert record.readout.shape == (7, 2, 4) and record.counts["conv1"].shape == (2, 2352)


def test_channels_of_an_image_come_first():
    assert models.build(ConvConfig(), sample_shape=(3, 8, 8), num_classes=2).stack.layers["conv1"].kernel.shape == (
        27,
        16,
    )
    for shape, message in [
        ((8, 8, 3), r"channels last; put them first, x\.transpose\(0, 3, 1, 2\)"),
        ((8,), r"sample_shape: must be \(rows, columns\)"),
        ((3, 3), "pool: images of .* have no room for 2 layers"),
        ((1, 8), "channels: images of .* have no room for 2 layers"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            models.build(ConvConfig(), sample_shape=shape, num_classes=2)


def test_a_convolutional_network_learns(digits):
    """Random weights would be right for a tenth of the digits."""
    net = models.build(ConvConfig(channels=(8,), num_steps=30), sample_shape=(8, 8), num_classes=10)
    trainer = Trainer(net, digits.subset(train=1024, test=256), epochs=3, batch_size=32, learning_rate=3e-3)
    last = [report for report in trainer if report.phase == "epoch"][-1].metrics
    assert last["test_acc"] > 0.5 and last["spikes_per_sample"] > 10


def test_parts_of_layers():
    """A projection has neurons and perhaps a synapse; neurons alone are their own; a function has nothing."""
    rngs, lif, synapse = nnx.Rngs(0), LifRef(5), Expon(5)
    stack = Stack(a=Projection(4, lif, synapse=synapse, rngs=rngs), b=LifRef(5), c=jnp.tanh)
    a, b, c = describe(models.Network(Latency(), stack)).layers.values()
    assert (a.neuron, a.synapse, a.features, a.dt) == (lif, synapse, 5, 1.0)
    assert (b.neuron, b.synapse) == (b.module, None)
    assert (c.neuron, c.synapse, c.features, c.dt) == (jnp.tanh, None, None, None)


def test_a_bare_stack_tells_its_layers_but_has_no_encoder():
    known = describe(Stack(hidden=LifRef(5), readout=jnp.tanh))
    assert known.hidden == ["hidden"] and known.encoder is None and known.network is None


def test_a_network_that_does_more_than_its_stack_cannot_be_walked():
    net = models.build(LstmConfig(hidden=5), sample_shape=(4, 4), num_classes=2)
    other = Twice(net.encoder, net.stack)
    assert describe(other).stack is net.stack and describe(other).network is None
