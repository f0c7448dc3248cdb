"""What is known of a model, whoever wrote it."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from snnlab import models
from snnlab.config import LATENCY_CONV, ConvConfig, LstmConfig, SnnConfig
from snnlab.dynamics import LifParams, expon_step, leaky_step, lif_init, lif_step
from snnlab.encode import Latency
from snnlab.errors import ArgumentError
from snnlab.export import load, save
from snnlab.layers import Delay, Expon, LifRef, Projection, Recurrent, Stack
from snnlab.models import Description, describe
from snnlab.surrogate import SURROGATES
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


DELAYED = SnnConfig(hidden=(9, 7), num_steps=30, most_delay=12)


def test_what_feeds_a_layer_has_delays_of_its_own():
    """Drawn anywhere in their range, one for each input and each hidden neuron."""
    net = models.build(DELAYED, sample_shape=(8, 8), num_classes=3, seed=5)
    delays = {name: layer.delay for name, layer in net.stack.layers.items()}
    assert {name: delay.features for name, delay in delays.items()} == {"hidden1": 64, "hidden2": 9, "readout": 7}
    steps = np.concatenate([np.asarray(delay.steps[...]) for delay in delays.values()])
    assert (steps >= 0.0).all() and (steps <= 12.0).all() and len(np.unique(steps)) == len(steps)
    assert abs(steps.mean() - 6.0) < 4.0 * 12.0 / np.sqrt(12.0 * len(steps))  # of an even distribution, 4 deviations
    again = models.build(DELAYED, sample_shape=(8, 8), num_classes=3, seed=5)
    np.testing.assert_array_equal(again.stack.layers["hidden1"].delay.steps[...], delays["hidden1"].steps[...])
    plain = models.build(replace(DELAYED, most_delay=None, delay=2), sample_shape=(8, 8), num_classes=3)
    assert [layer.delay for layer in plain.stack.layers.values()] == [0, 0, 2]


def test_delays_are_learned_within_their_range_and_come_back_from_a_file(small, tmp_path):
    """The first step of Adam moves each by ten times the learning rate, up or down, or less where the gradient is as
    small as its epsilon."""
    net = models.build(replace(DELAYED, hidden=20, v_th=0.3), sample_shape=(8, 8), num_classes=10)

    def delays(model):
        return {name: np.asarray(layer.delay.steps[...]) for name, layer in model.stack.layers.items()}

    before, trainer = delays(net), Trainer(net, small, epochs=4, batch_size=32, learning_rate=0.01, schedule="constant")
    trainer.fit(until=1)
    for name, first in before.items():
        moved = np.abs(delays(trainer.model)[name] - first)
        inside = (first > 0.1) & (first < 11.9) & (moved > 0.0)
        assert inside.sum() > 3 and np.median(moved[inside]) == pytest.approx(0.1, abs=1e-3) and moved.max() < 0.1001
    trainer.fit()
    after = delays(trainer.model)
    for name, first in before.items():
        assert (after[name] >= 0.0).all() and (after[name] <= 12.0).all() and np.abs(after[name] - first).max() > 0.3
    again = load(save(trainer.model, tmp_path / "net.safetensors"))
    assert isinstance(again.stack.layers["readout"].delay, Delay) and again.recipe.config.most_delay == 12
    np.testing.assert_array_equal(again(small.x_test).readout, trainer.model(small.x_test).readout)


@pytest.mark.parametrize(("code", "steps"), [("rows", 8), ("latency", 20)])
def test_a_delay_ends_before_the_sequence(code, steps):
    config = SnnConfig(hidden=5, code=code, num_steps=20 if code == "latency" else 100, most_delay=steps)
    with pytest.raises(ArgumentError, match=f"most_delay: must be less than the {steps} steps .* got {steps}"):
        models.build(config, sample_shape=(8, 8), num_classes=2)


def test_a_convolutional_network_has_room_for_small_images_and_large_ones():
    """Windows keep the size of an image, pooling and strides divide it: 28 x 28, then 14 x 14 sums, then 7 x 7."""
    net = models.build(
        replace(LATENCY_CONV, channels=(3, 5), num_steps=7, dt=2.0), sample_shape=(28, 28), num_classes=4
    )
    known = describe(net)
    assert [layer.module.out_shape for layer in known.layers.values()] == [(3, 28, 28), (5, 7, 7), (4, 1, 1)]
    assert [layer.features for layer in known.layers.values()] == [2352, 245, 4] and known.dt == 2.0
    assert net.stack.layers["readout"].kernel.shape == (7 * 7 * 5, 4)
    record = net(jnp.ones((2, 28, 28)))
    assert record.readout.shape == (7, 2, 4) and record.counts["conv1"].shape == (2, 2352)


def scanned(step, first, values):
    return jax.lax.scan(step, first, values)[1]


def filtered(x, step, tau, dt):
    """The values of a synapse or of a leaky integrator at every step."""
    return scanned(lambda g, now: (step(g, now, tau, dt=dt),) * 2, jnp.zeros_like(x[0]), x)


def fired(current, config):
    """The spikes of LIF neurons, by the equations."""
    fixed = (config.tau_mem, config.v_th, 0.0, 0.0, 1.0, 0.0, config.steepness, config.v_th)
    params = LifParams(*map(jnp.float32, fixed))
    options = {"dt": config.dt, "spike": SURROGATES[config.surrogate].spike}
    return scanned(lambda s, now: lif_step(s, now, params, **options), lif_init(current.shape[1:], params), current)


def convolved(images, kernel, size, stride):
    """Spikes `(time, batch, channel, row, column)` through a padded convolution of XLA."""
    filters, flat = kernel.reshape(size, size, images.shape[2], -1), images.reshape(-1, *images.shape[2:])
    axes, half = ("NCHW", "HWIO", "NCHW"), size // 2
    out = jax.lax.conv_general_dilated(flat, filters, (stride,) * 2, [(half, half)] * 2, dimension_numbers=axes)
    return out.reshape(*images.shape[:2], *out.shape[1:])


@pytest.mark.parametrize("code", ["latency", "current"])
def test_strides_and_pools_are_those_of_xla(code):
    """The readout and its gradient in all weights: `lax.conv` over dense spikes, or over the pixels themselves at every
    step, and the equations step by step."""
    geometry = {"window": (5, 3), "stride": (2, 1), "pool": (1, 2)}
    config = replace(LATENCY_CONV, channels=(3, 4), code=code, num_steps=12, dt=5.0, v_th=0.3, **geometry)
    net = models.build(config, sample_shape=(9, 8), num_classes=2)
    assert [layer.out_shape for layer in net.stack.layers.values()] == [(3, 5, 4), (4, 5, 4), (2, 1, 1)]
    x = jnp.asarray(np.random.default_rng(0).integers(0, 256, (5, 9, 8), np.uint8))
    factors = jnp.asarray(np.random.default_rng(1).normal(size=(12, 5, 2)), jnp.float32)
    kernels = {name: layer.kernel[...] for name, layer in net.stack.layers.items()}
    synapse = {"step": expon_step, "tau": config.tau_syn, "dt": config.dt}

    def expected(kernels):
        images = net.encoder(x).dense().reshape(12, 5, 1, 9, 8)
        first = fired(filtered(convolved(images, kernels["conv1"], 5, 2), **synapse), config)
        second = fired(filtered(convolved(first, kernels["conv2"], 3, 1), **synapse), config)
        cells = jax.lax.reduce_window(second, 0.0, jax.lax.add, (1, 1, 1, 2, 2), (1, 1, 1, 2, 2), "valid")
        arriving = cells.transpose(0, 1, 3, 4, 2).reshape(12, 5, -1) @ kernels["readout"]
        readout = filtered(filtered(arriving, **synapse), leaky_step, config.tau_out, config.dt)
        return (readout * factors).sum(), (first.sum(), second.sum())

    graph, params, rest = nnx.split(net, nnx.Param, ...)

    def found(params):
        record = nnx.merge(graph, params, rest)(x)
        return (record.readout * factors).sum(), (record.counts["conv1"].sum(), record.counts["conv2"].sum())

    (a, spikes_a), gradient = jax.value_and_grad(found, has_aux=True)(params)
    da = {name: layer.kernel[...] for name, layer in nnx.merge(graph, gradient, rest).stack.layers.items()}
    (b, spikes_b), db = jax.value_and_grad(expected, has_aux=True)(kernels)
    assert spikes_a == spikes_b and min(spikes_a) > 50
    np.testing.assert_allclose(a, b, rtol=1e-4)
    for name in kernels:
        np.testing.assert_allclose(da[name], db[name], atol=1e-4 * float(jnp.abs(db[name]).max()), err_msg=name)


def test_channels_of_an_image_come_first():
    assert models.build(ConvConfig(), sample_shape=(3, 8, 8), num_classes=2).stack.layers["conv1"].kernel.shape == (
        27,
        32,
    )
    for shape, message in [
        ((8, 8, 3), r"channels last; put them first, x\.transpose\(0, 3, 1, 2\)"),
        ((8,), r"sample_shape: must be \(rows, columns\)"),
        ((3, 3), "pool: images of .* have no room for 2 layers"),
        ((1, 8), "channels: images of .* have no room for 2 layers"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            models.build(ConvConfig(), sample_shape=shape, num_classes=2)


@pytest.mark.parametrize("config", [replace(LATENCY_CONV, channels=(8,)), ConvConfig(channels=(8,), dense=(16,))])
def test_a_convolutional_network_learns(digits, config):
    """Random weights would be right for a tenth of the digits."""
    net = models.build(config, sample_shape=(8, 8), num_classes=10)
    trainer = Trainer(net, digits.subset(train=1024, test=256), epochs=3, batch_size=32)
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
