"""The histogram of voltages counts every pair (neuron, step) once, and its threshold divides spikes from silence."""

import numpy as np
import pytest
from flax import nnx

from snnlab import models, surrogate
from snnlab.config import LstmConfig, SnnConfig
from snnlab.encode import Latency
from snnlab.layers import IF, Expon, Leaky, LifRef, Projection, Stack
from snnlab.live.frames.voltages import Spiking, before_reset, voltages_frame
from snnlab.live.look import voltages
from snnlab.live.look.prober import Prober
from snnlab.live.look.voltages import spiking


def network(neuron, digits, gain=4.0):
    """Pixels, the neurons and a readout; with weights so large that the neurons fire."""
    rngs = nnx.Rngs(0)
    hidden = Projection(64, neuron, synapse=Expon(neuron.features), rngs=rngs)
    hidden.kernel.set_value(gain * hidden.kernel[...])
    readout = Projection(neuron.features, Leaky(10), rngs=rngs)
    return models.Network(Latency(num_steps=50), Stack(hidden=hidden, readout=readout))


def looked_at(neuron, digits):
    net = network(neuron, digits)
    probe = Prober(net, digits)(net, 3)
    return net, probe.states["hidden"], probe.rasters["hidden"]


def rule(spikes, current, v_rest, v_th, v_reset, a, reset):
    """The equations of a LIF neuron without refractory time, in float64, driven by known currents: `v` before reset."""
    v, seen = np.full(current.shape[1], v_rest), []
    for t in range(len(current)):
        v = v_rest + (v - v_rest) * a + (1.0 - a) * current[t]
        seen.append(v)
        v = np.where(spikes[t], v - (v_th - v_reset) if reset == "subtract" else v_reset, v)
    return np.array(seen)


@pytest.mark.parametrize("reset", ["subtract", "value"])
def test_voltages_before_the_reset(reset):
    """Of a simulation by hand: restored exactly by subtraction, and unknown only at spikes if they set the voltage."""
    import jax.numpy as jnp

    current = np.random.default_rng(0).normal(1.0, 1.5, (60, 7))
    options = {"v_th": 0.8, "v_rest": -0.1, "v_reset": -0.3, "reset": reset}
    trace = LifRef(7, tau_mem=8.0, **options)(jnp.asarray(current[:, None], jnp.float32))
    states, spikes = np.asarray(trace.state[:, 0]), np.asarray(trace.spikes[:, 0]) > 0
    wanted = rule(spikes, current, -0.1, 0.8, -0.3, np.exp(-1.0 / 8.0), reset)
    neurons = Spiking(v_th=np.array(0.8), v_rest=np.array(-0.1), v_reset=np.array(-0.3), reset=reset)
    found = before_reset(states, spikes, neurons)
    known = np.ones_like(spikes) if reset == "subtract" else ~spikes
    assert spikes.sum() > 20 and (wanted[spikes] >= 0.8 - 1e-5).all()
    np.testing.assert_allclose(found[known], wanted[known], atol=2e-5)
    assert np.isnan(found[~known]).all()


@pytest.mark.parametrize("v_th", [1.0, 0.7, np.linspace(0.5, 1.5, 20)], ids=["one", "odd", "many"])
def test_every_pair_is_counted_once(digits, v_th):
    """The bins are those of an independent histogram; with one threshold, all bars right of it are spikes."""
    net, states, spikes = looked_at(LifRef(20, v_th=v_th), digits)
    frame = voltages_frame(states, spikes, spiking(net, "hidden"))
    voltages = states + np.asarray(v_th) * spikes
    bins = round((frame["high"] - frame["low"]) / frame["width"])
    edges = frame["low"] + frame["width"] * np.arange(bins + 1)
    assert len(frame["counts"]) == bins and 40 <= bins <= 120
    assert sum(frame["counts"]) + frame["below"] + frame["above"] == states.size
    safe = np.abs((voltages - frame["low"]) / frame["width"] % 1.0 - 0.5) < 0.4999  # not on an edge but for rounding
    if safe.all():
        np.testing.assert_array_equal(frame["counts"], np.histogram(voltages, edges)[0])
    assert np.abs(np.cumsum(frame["counts"]) - np.cumsum(np.histogram(voltages, edges)[0])).max() <= (~safe).sum()
    assert sum(frame["spiking"]) + frame["above"] == spikes.sum() > 0
    if np.ndim(v_th) == 0:
        edge = (v_th - frame["low"]) / frame["width"]
        assert abs(edge - round(edge)) < 1e-4
        assert frame["spiking"] == [0] * round(edge) + frame["counts"][round(edge) :]
        assert np.frombuffer(frame["thresholds"], np.float32).tolist() == [np.float32(v_th)]
    else:
        assert len(frame["thresholds"]) == 4 * 20 and "thresholds from 0.5 to 1.5" in frame["words"]
    near = np.abs(voltages - np.asarray(v_th)) * 10.0 <= np.asarray(v_th)  # v_scale is the distance to rest
    assert frame["in_window"] == pytest.approx(near.mean(), abs=1e-3)


def test_spikes_that_set_the_voltage_are_counted_apart(digits):
    net, states, spikes = looked_at(LifRef(20, reset="value"), digits)
    frame = voltages_frame(states, spikes, spiking(net, "hidden"))
    assert frame["spiked"] == spikes.sum() > 0 and sum(frame["spiking"]) == 0
    assert sum(frame["counts"]) + frame["below"] + frame["above"] == states.size - spikes.sum()
    assert f"{spikes.sum()} spikes at an unknown voltage" in frame["words"]


FORMULAS = {
    "inv_square": lambda u: 1.0 / (1.0 + abs(u)) ** 2,
    "arctan": lambda u: 1.0 / (1.0 + u**2),
    "sigmoid": lambda u: 1.0 / np.cosh(u / 2.0) ** 2,
    "triangular": lambda u: np.maximum(0.0, 1.0 - abs(u)),
    "gaussian": lambda u: np.exp(-(u**2) / 2.0),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_curve_is_the_derivative_of_the_surrogate(digits, name):
    """In closed form, on the axis of the histogram; in millivolts, with a point exactly at the threshold."""
    neuron = LifRef(3, v_th=-50.0, v_rest=-65.0, v_reset=-70.0, slope=4.0, surrogate=name)
    states = np.linspace(-70.0, -50.5, 3 * 40).reshape(40, 3)
    frame = voltages_frame(states, states > 0.0, spiking(Stack(hidden=neuron), "hidden"))
    at = np.linspace(frame["low"], frame["high"], frame["points"])
    curve = np.frombuffer(frame["curve"], np.float32)
    np.testing.assert_allclose(curve, FORMULAS[name](4.0 * (at + 50.0) / 20.0), atol=2e-5)
    assert curve.max() == 1.0 and at[curve.argmax()] == pytest.approx(-50.0) and frame["rest"] == -65.0


def test_the_curve_of_different_neurons_is_their_mean():
    v_th, slope = np.array([0.5, 1.0, 1.0]), np.array([2.0, 10.0, 10.0])
    neuron = IF(3, v_th=v_th, slope=slope, surrogate="arctan")
    found = spiking(Stack(hidden=neuron), "hidden").derivative(np.array([0.3, 0.9]))
    wanted = [np.mean(1.0 / (1.0 + (slope * (v - v_th) / v_th) ** 2)) for v in (0.3, 0.9)]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    constant = surrogate.make_surrogate(lambda x, slope: 1.0, lambda x, slope: x)  # of a shape of its own
    flat = spiking(Stack(hidden=IF(3, surrogate=constant)), "hidden")
    assert flat.derivative(np.array([0.3, 0.9])).tolist() == [1.0, 1.0]


def test_large_layers_are_sampled_and_say_so():
    rng = np.random.default_rng(0)
    states = rng.random((1000, 4000), np.float32)
    neurons = Spiking(v_th=np.full(4000, 2.0), v_rest=np.zeros(4000), v_reset=np.zeros(4000), reset="subtract")
    frame = voltages_frame(states, np.zeros(states.shape, bool), neurons)
    assert "1,048,000 voltages of 1,048 of 4,000 neurons" in frame["words"]
    assert sum(frame["counts"]) + frame["below"] + frame["above"] == 1_048_000


def test_a_few_strays_do_not_stretch_the_axis():
    states = np.random.default_rng(0).random((100, 100))
    states[3, 4], states[7, 8], states[0, 0] = 1e6, np.nan, -np.inf
    neurons = Spiking(v_th=np.array(1.0), v_rest=np.array(0.0), v_reset=np.array(0.0), reset="subtract")
    frame = voltages_frame(states, np.zeros(states.shape, bool), neurons)
    assert frame["high"] < 2.0 and frame["above"] == 1 and frame["lost"] == 2
    assert "2 not finite, 1 outside of the axis" in frame["words"]


def test_what_is_not_finite_after_a_divergence():
    lost = Spiking(v_th=np.array(np.nan), v_rest=np.array(0.0), v_reset=np.array(0.0), reset="subtract")
    states = np.full((4, 3), np.nan)
    states[0] = 0.25
    frame = voltages_frame(states, np.zeros((4, 3), bool), lost)
    assert frame["lost"] == 9 and sum(frame["counts"]) == 3
    nothing = Spiking(v_th=np.array(np.nan))
    assert voltages_frame(states[1:], np.zeros((3, 3), bool), nothing)["reason"]


def test_layers_without_a_threshold(digits):
    """Outputs of an LSTM and of a readout have a histogram of their own; what is nowhere finite has a reason."""
    net = models.build(LstmConfig(hidden=20), sample_shape=(8, 8), num_classes=10)
    probe = Prober(net, digits)(net, 0)
    frame = voltages_frame(probe.states["hidden"], None, spiking(net, "hidden"))
    assert sum(frame["counts"]) == 8 * 20 and frame["curve"] is None and frame["thresholds"] == b""
    assert frame["words"] == "160 outputs of 20 units"
    assert voltages_frame(np.full((3, 2), np.nan), None, None)["reason"]
    assert voltages_frame(np.full((3, 2), 0.5), None, None)["counts"]  # all alike
    assert spiking(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), "hidden") is None
    snn = models.build(SnnConfig(hidden=7), sample_shape=(8, 8), num_classes=10)
    assert spiking(snn, "nothing") is None


def test_an_axis_of_another_length_compiles_nothing():
    """The range of the voltages changes while a network learns; a program for each axis would hold up the training."""
    hidden = spiking(Stack(hidden=LifRef(3)), "hidden")
    axes = [np.linspace(-1.0, 1.0 + 0.1 * points, points) for points in (161, 201, 361, 401)]
    found = [hidden.derivative(axes[0])]
    programs = voltages._mean_over_neurons._cache_size()
    found += [hidden.derivative(at) for at in axes[1:]]
    assert voltages._mean_over_neurons._cache_size() == programs
    for at, curve in zip(axes, found, strict=True):
        one_by_one = [hidden.derivative(np.array([v]))[0] for v in at[::20]]
        np.testing.assert_array_equal(curve[::20], one_by_one)
