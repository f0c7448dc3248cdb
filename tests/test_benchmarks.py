"""The small parts of the benchmarks: contenders get what snnlab has, and answers are counted right."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import snnlab
from benchmarks import gpu
from benchmarks.launches import Launches, Loop, count
from benchmarks.memory import recalls
from benchmarks.peers import jax_step, snnlab_trainer, workload
from benchmarks.peers.snnlab_trainer import _config
from benchmarks.peers.tasks import PEERS, TASKS, contenders
from benchmarks.peers.workload import (
    ADAPTIVE,
    COCHLEA,
    CONV,
    DEEP,
    NORMALIZED,
    RECURRENT,
    REFERENCE,
    dense,
    firing_steps,
    initial_weights,
    spike_batches,
)
from snnlab.config import RATE, TrainConfig
from snnlab.models import SHARED_PACE
from snnlab.train import Trainer

NETWORKS = {"reference": REFERENCE, "deep": DEEP, "recurrent": RECURRENT, "adaptive": ADAPTIVE, "conv": CONV}
NETWORKS |= {"cochlea": COCHLEA, "normalized": NORMALIZED}


@pytest.fixture
def images() -> snnlab.Dataset:
    """Random images, the same eight again and again."""
    rng = np.random.default_rng(0)
    x, y = np.tile(rng.integers(0, 256, (8, 28, 28), np.uint8), (16, 1, 1)), np.tile(np.arange(8), 16)
    return snnlab.Dataset(name="random", x_train=x, y_train=y, x_test=x, y_test=y)


def test_peers_get_the_currents_that_snnlab_makes(images, monkeypatch):
    """One step, which holds for all."""
    monkeypatch.setattr(workload, "load", lambda _: images)
    network = replace(NORMALIZED, batch=8)
    model = snnlab.build(_config(network), sample_shape=(28, 28), num_classes=10)
    for x, labels in spike_batches("", network):
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, model.encode(jnp.asarray(images.x_train[:8])).values[None], rtol=1e-6)
        np.testing.assert_array_equal(labels, np.arange(8))


@pytest.mark.parametrize("network", [REFERENCE, CONV], ids=["reference", "conv"])
def test_peers_get_the_spikes_that_snnlab_makes(network):
    """All 256 brightnesses of a pixel, in the latency code of snnlab's default network and in that of the benchmark."""
    model = snnlab.build(_config(network), sample_shape=(16, 16), num_classes=10)
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    times = np.asarray(model.encode(jnp.asarray(pixels)).times)
    np.testing.assert_array_equal(firing_steps(pixels.reshape(1, 256) / 255.0, network), times)
    spikes = dense(times, 0.25, network)
    assert spikes.shape == (network.steps, 1, 256) and spikes.sum() == 0.25 * (times < network.steps).sum()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_the_weights_and_settings_of_snnlab(name):
    """Sizes of the matrices; He's deviation within four deviations of its estimate; constants are snnlab's defaults."""
    network = NETWORKS[name]
    config = _config(network)
    shape = (28, 28) if network.inputs == workload.PIXELS else (1, 1, network.inputs)
    model = snnlab.build(config, sample_shape=shape, num_classes=network.classes)
    given = initial_weights(network)
    assert len(given) == len(model.stack.layers)
    gains = [workload.CONV_GAIN if network.conv and not network.norm else 1.0] * (len(given) - 1)
    gains.append(workload.QUIET if network.conv else 1.0)
    for layer, weights, gain in zip(model.stack.layers.values(), given, gains, strict=True):
        kernel = weights.kernel.reshape(layer.kernel.shape)
        expected = gain * np.sqrt(2.0 / len(kernel))
        assert abs(kernel.std() / expected - 1.0) < 4.0 / np.sqrt(2.0 * kernel.size)
        assert (weights.recurrent is None) == (not hasattr(layer, "recurrent_kernel"))
        normalized = network.norm and layer is not model.stack.layers["readout"]
        assert normalized == (getattr(layer, "norm", None) is not None)
    synapse_and_readout = (0.0, 0.0) if network.steady else (workload.TAU_SYN, workload.TAU_OUT)
    assert (config.tau_mem, config.tau_syn, config.tau_out) == (network.tau_mem, *synapse_and_readout)
    slope = config.steepness if network.conv else config.slope
    assert (config.v_th, slope, config.reset) == (1.0, network.slope, "subtract")


def test_the_normalized_network_is_the_one_that_is_trained_by_default(images):
    """Settings of the network, of the loss and of the training, but for the schedule of the learning rate."""
    config = _config(NORMALIZED)
    assert replace(config, slope=None) == snnlab.ConvConfig() and config.steepness == snnlab.ConvConfig().steepness
    assert NORMALIZED.batch == TrainConfig().batch_size
    assert NORMALIZED.learning_rate == pytest.approx(RATE * SHARED_PACE)
    model = snnlab.build(snnlab.ConvConfig(), sample_shape=(28, 28), num_classes=8)
    trainers = Trainer(model, images), snnlab_trainer.trainer(images, replace(NORMALIZED, classes=8))
    default, ours = ((loss.readout, float(loss.l1[...]), float(loss.l2[...])) for loss in (t.loss for t in trainers))
    assert ours == default


def test_the_normalized_network_learns_as_that_of_its_peers(images, monkeypatch):
    """The same losses step by step, from the peers' shared code around neurons of three lines, and from the trainer. A
    batch is the whole data set, so that shuffling it changes nothing."""
    network = replace(NORMALIZED, hidden=(4, 8), dense=(16,), classes=8, batch=8)
    monkeypatch.setattr(workload, "load", lambda _: images)

    def smooth(x):
        return x / (1.0 + 3.0 * jnp.abs(x))  # its derivative is 1 / (3 |x| + 1)^2

    def neurons(currents, _):
        v, spikes, decay = 0.0, [], np.exp(-10.0 / 15.0)
        for current in currents:
            v = decay * v + (1.0 - decay) * current
            spikes.append(jax.lax.stop_gradient((v >= 1.0) - smooth(v - 1.0)) + smooth(v - 1.0))
            v = v - spikes[-1]
        return jnp.stack(spikes)

    step = jax_step.train_layers("", network, neurons, lambda currents: currents, norm=jax_step.flax_norm)
    expected = [step(1).loss for _ in range(4)]
    only = images.subset(train=8, test=8)
    trainer = snnlab_trainer.trainer(only, network)
    for _ in trainer:
        if len(trainer.history) >= 4:
            break
    losses = trainer.history.steps()["loss"][:4]
    np.testing.assert_allclose(losses[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(losses, expected, rtol=1e-3)
    assert expected[-1] < expected[0]


def test_every_table_compares_snnlab_with_others():
    for task in TASKS.values():
        first, *others = task.contenders
        assert first == "snnlab" and others
    assert set(contenders(REFERENCE, **dict.fromkeys(PEERS, ""))) == {"snnlab", *PEERS}


def test_recalls_are_answered_by_the_mean_over_their_steps():
    """Two samples, two classes. The first recalls class 1 with 1.0, -0.4, -0.5 in its favour: right on average, wrong
    at most steps; then class 0, wrongly, at the last step. The second recalls class 0 at its first step, rightly."""
    labels = np.array([[-1, 1, 1, 1, -1, 0], [0, -1, -1, -1, -1, -1]])
    favour_of_one = np.array([[9.0, 1.0, -0.4, -0.5, -9.0, 0.1], [-0.1, 9.0, 9.0, 9.0, 9.0, 9.0]])
    readout = np.stack([0.0 * favour_of_one, favour_of_one], axis=-1).swapaxes(0, 1)
    assert recalls(readout, labels) == (2, 3)


def test_peers_get_the_events_that_snnlab_gets():
    """The same spikes at the same steps: in event lists, and counted in a dense array."""
    data = snnlab_trainer.events(COCHLEA)
    model = snnlab.build(_config(COCHLEA), sample_shape=data.sample_shape, num_classes=data.num_classes)
    first = jnp.asarray(data.x_train[np.arange(3)])
    expected, labels = spike_batches("", COCHLEA)[0]
    assert expected.sum() == COCHLEA.batch * COCHLEA.inputs * workload.SPIKES_OF_INPUT
    np.testing.assert_array_equal(model.encode(first).dense(), expected[:, :3])
    np.testing.assert_array_equal(data.y_train[: COCHLEA.batch], labels)


PROGRAM = """HloModule jit_step

%body.1 (param.1: (s32[], f32[4])) -> (s32[], f32[4]) {
  %param.1 = (s32[], f32[4]{0}) parameter(0)
  %x.1 = f32[4]{0} get-tuple-element(%param.1), index=1
  %fusion.1 = f32[4]{0} fusion(%x.1), kind=kLoop, calls=%fused
  ROOT %tuple.1 = (s32[], /*index=1*/f32[4]{0}) tuple(%fusion.1)
}

%graph.1 (p: f32[4]) -> f32[4] {
  %p = f32[4]{0} parameter(0)
  %gemm = (f32[4]{0}, s8[16]{0}) custom-call(%p), custom_call_target="__cublas$gemm"
  ROOT %copy.2 = f32[4]{0} copy(%p)
}

ENTRY %main.1 (x: f32[4]) -> f32[4] {
  %x = f32[4]{0} parameter(0)
  %call.1 = f32[4]{0} call(%x), to_apply=%graph.1
  %while.1 = (s32[], f32[4]{0}) while(%x), body=%body.1, backend_config={"known_trip_count":{"n":"7"}}
  ROOT %copy.3 = f32[4]{0} copy(%x)
}
"""


def test_launches_are_counted_in_loops_calls_and_outside():
    """Seven turns of one kernel; a product and a copy in a called computation; and a copy: ten."""
    found = count(PROGRAM)
    assert found == Launches((Loop(7, 1),), 3) and found.total == 10
    with pytest.raises(ValueError, match="without a known number of turns"):
        count(PROGRAM.replace("known_trip_count", "unknown"))


def test_without_a_gpu_its_benchmark_says_so(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks.gpu"])
    with pytest.raises(SystemExit):
        gpu.main()
    told = capsys.readouterr().err
    assert "There is no GPU here that JAX can use" in told and "benchmarks.launches" in told
