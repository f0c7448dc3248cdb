"""The small parts of the benchmarks: contenders get what snnlab has, and answers are counted right."""

import jax.numpy as jnp
import numpy as np
import pytest

import snnlab
from benchmarks.memory import recalls
from benchmarks.peers import workload
from benchmarks.peers.snnlab_trainer import _config
from benchmarks.peers.tasks import PEERS, TASKS, contenders
from benchmarks.peers.workload import ADAPTIVE, CONV, DEEP, RECURRENT, REFERENCE, dense, firing_steps, initial_weights

NETWORKS = {"reference": REFERENCE, "deep": DEEP, "recurrent": RECURRENT, "adaptive": ADAPTIVE, "conv": CONV}


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
    model = snnlab.build(config, sample_shape=(28, 28), num_classes=10)
    given = initial_weights(network)
    assert len(given) == len(model.stack.layers)
    gains = [workload.CONV_GAIN if network.conv else 1.0] * len(network.hidden)
    gains.append(workload.QUIET if network.conv else 1.0)
    for layer, weights, gain in zip(model.stack.layers.values(), given, gains, strict=True):
        kernel = weights.kernel.reshape(layer.kernel.shape)
        expected = gain * np.sqrt(2.0 / len(kernel))
        assert abs(kernel.std() / expected - 1.0) < 4.0 / np.sqrt(2.0 * kernel.size)
        assert (weights.recurrent is None) == (not hasattr(layer, "recurrent_kernel"))
    assert (config.tau_mem, config.tau_syn, config.tau_out) == (workload.TAU_MEM, workload.TAU_SYN, workload.TAU_OUT)
    slope = config.steepness if network.conv else config.slope
    assert (config.v_th, slope, config.reset) == (1.0, workload.SLOPE, "subtract")


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
