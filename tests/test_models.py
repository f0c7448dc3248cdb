"""What is known of a model, whoever wrote it."""

import jax.numpy as jnp
import pytest
from flax import nnx

from snnlab import models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.encode import Latency
from snnlab.layers import Expon, LifRef, Projection, Stack
from snnlab.models import Description, describe


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
