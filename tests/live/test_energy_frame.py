"""Synaptic operations of small networks, counted by hand: by loops over samples, steps, inputs and weights."""

import itertools

import numpy as np
import pytest
from flax import nnx
from networks import make_trainer

from snnlab import models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.data import Dataset, EventLists
from snnlab.encode import Latency, Rows
from snnlab.errors import ArgumentError
from snnlab.layers import ConvProjection, Delay, Expon, Graph, Leaky, LifRef, Projection, Recurrent, Stack
from snnlab.layers.operators import Conv
from snnlab.live.frames.energy import energy_frame
from snnlab.live.look.energy import Meter
from snnlab.models import Network
from snnlab.train import Trainer


def by_hand(inputs: np.ndarray, kernel: np.ndarray, delay: int = 0) -> int:
    """One operation for each input that is not 0 when it arrives, through each weight that is not 0."""
    steps, batch, pre = inputs.shape
    total = 0
    for t, b, i in itertools.product(range(steps), range(batch), range(pre)):
        if inputs[t, b, i] and t + delay < steps:
            total += int(np.count_nonzero(kernel[i]))
    return total


@pytest.mark.parametrize("delay", [0, 2, 3.5])
def test_steps_after_the_end_of_a_sample_cost_nothing(delay):
    """As if each sample were run alone, no longer than it is: with what comes after its end, noise and a last spike
    that would arrive too late. A spike between two steps arrives in two parts, as real numbers."""
    rng, lengths = np.random.default_rng(0), np.array([3, 11, 6, 8])
    x = (rng.random((4, 11, 5)) < 0.5).astype(np.float32)
    x += 0.5 * (np.arange(11)[:, None] >= lengths[:, None, None])  # whatever is in the padding
    y = np.arange(4) % 2
    arrays = {
        f"{name}_{part}": a for name, a in (("x", x), ("y", y), ("lengths", lengths)) for part in ("train", "test")
    }
    travel = delay if delay in (0, 2) else Delay(nnx.Param(np.full(7, delay)), most=5)
    rngs = nnx.Rngs(0)
    hidden = Recurrent(5, LifRef(7, v_th=0.05), rngs=rngs)
    net = Network(Rows(), Stack(hidden=hidden, readout=Projection(7, Leaky(2), delay=travel, rngs=rngs)))
    trainer = Trainer(net, Dataset(name="mine", **arrays), batch_size=4)
    energy = Meter(trainer.stepper, trainer.data)(trainer.state)
    wanted, silent, run = np.zeros(2), 0, nnx.jit(lambda net, x: net(x))
    for sample, steps in zip(x, lengths, strict=True):
        alone = sample[:steps][None]
        fired = np.asarray(run(net, alone).spikes["hidden"])
        silent += int((fired == 0).sum())
        wanted[0] += by_hand(alone.swapaxes(0, 1), np.asarray(hidden.kernel[...]))
        wanted[0] += by_hand(fired, np.asarray(hidden.recurrent_kernel[...]), 1)
        arrives = fired if delay in (0, 2) else np.stack([delayed(fired, k) for k in (3, 4)]).sum(0)
        wanted[1] += by_hand(arrives, np.ones((7, 2)), delay if delay in (0, 2) else 0)
    assert [layer.acs + layer.macs for layer in energy.layers] == pytest.approx(wanted / 4)
    assert [layer.macs > 0 for layer in energy.layers] == [False, delay == 3.5]
    assert energy.dense == pytest.approx(lengths.mean() * (5 * 7 + 7 * 7 + 7 * 2))
    assert energy.silent == pytest.approx(silent / (7 * lengths.sum())) and wanted.min() > 20


def delayed(x, steps):
    """The same, some steps later."""
    return np.concatenate([np.zeros_like(x[:steps]), x])[: len(x)]


def measured(net, data, samples):
    trainer = Trainer(net, data, batch_size=32)
    return Meter(trainer.stepper, data, samples=samples)(trainer.state)


@pytest.fixture(scope="module")
def spiking(small):
    """A network with a delay, with some weights of 0, whose neurons fire; and its dense record."""
    rngs = nnx.Rngs(0)
    hidden = Recurrent(64, LifRef(9, v_th=0.05), synapse=Expon(9), rngs=rngs)
    readout = Projection(9, Leaky(10), delay=4, rngs=rngs)
    for layer in (hidden, readout):
        kernel = np.array(layer.kernel[...])
        kernel[::3, ::2] = 0.0
        layer.kernel.set_value(kernel)
    net = Network(Latency(num_steps=20), Stack(hidden=hidden, readout=readout))
    return net, measured(net, small, 5)


def test_spikes_are_accumulated(small, spiking):
    """Input, recurrent and delayed spikes; each array of weights in its own way."""
    net, energy = spiking
    code = np.asarray(net.encoder(small.x_test[:5]).dense())
    record = nnx.jit(lambda net, x: net(x))(net, small.x_test[:5])
    fired = np.asarray(record.spikes["hidden"])
    hidden, readout = net.stack.layers["hidden"], net.stack.layers["readout"]
    wanted = by_hand(code, np.asarray(hidden.kernel[...])) + by_hand(fired, np.asarray(hidden.recurrent_kernel[...]), 1)
    assert fired.sum() > 20
    assert [layer.layer for layer in energy.layers] == ["hidden", "readout"] and energy.samples == 5
    assert energy.layers[0].acs == pytest.approx(wanted / 5)
    assert energy.layers[1].acs == pytest.approx(by_hand(fired, np.asarray(readout.kernel[...]), 4) / 5)
    assert energy.dense == 20 * (64 * 9 + 9 * 9 + 9 * 10) and all(layer.macs == 0.0 for layer in energy.layers)
    assert energy.silent == pytest.approx(1.0 - fired.mean())
    zeros = 22 * 5 + 3 * 5
    assert energy.missing == pytest.approx(zeros / (64 * 9 + 9 * 9 + 9 * 10)) and energy.uncounted == ()


def test_words(spiking):
    frame = energy_frame(spiking[1])
    assert frame["acs"] + frame["macs"] == pytest.approx(spiking[1].effective) and frame["missing"] > 0
    assert "accumulates), " in frame["words"] and "mean of 5 test samples" in frame["words"]
    assert energy_frame(None)["reason"]


def test_real_numbers_are_multiplied(small):
    """An LSTM reads pixels, and its own outputs one step later; its readout reads these."""
    net = models.build(LstmConfig(hidden=6), sample_shape=(8, 8), num_classes=10)
    energy = measured(net, small, 4)
    rows = np.asarray(small.x_test[:4], float).swapaxes(0, 1)
    lstm, readout = net.stack.layers["hidden"], net.stack.layers["readout"]
    outputs = np.asarray(nnx.jit(lambda net, x: net(x))(net, small.x_test[:4]).layers["hidden"].state)
    wanted = by_hand(rows, np.asarray(lstm.w_x[...])) + by_hand(outputs, np.asarray(lstm.w_h[...]), 1)
    assert energy.layers[0].macs == pytest.approx(wanted / 4) and energy.layers[0].acs == 0.0
    assert energy.layers[1].macs == pytest.approx(by_hand(outputs, np.asarray(readout.kernel[...])) / 4)
    assert energy.dense == 8 * (8 * 24 + 6 * 24 + 6 * 10)
    assert energy.silent == pytest.approx((outputs == 0).mean())


def test_events_count_one_by_one():
    """Two events of one pixel in one step are two accumulates."""
    lists = [[(100, 0, 0, 0), (200, 0, 0, 0), (1500, 2, 1, 0)], [(2100, 1, 0, 0)]] * 5
    events, y = EventLists.from_lists(lists, sensor=(1, 2, 3)), np.arange(10) % 2
    data = Dataset(name="events", x_train=events, y_train=y, x_test=events, y_test=y)
    net = models.build(SnnConfig(hidden=7, num_steps=4, code="events"), sample_shape=(1, 2, 3), num_classes=2)
    trainer = Trainer(net, data, batch_size=10)
    energy = Meter(trainer.stepper, data)(trainer.state)
    assert energy.samples == 10 and energy.layers[0].acs == pytest.approx(7 * (3 + 1) / 2)


def test_convolutions(small):
    """Every window of every step by hand; zeros of the padding are no inputs, and stride leaves some pixels out."""
    kernel = np.random.default_rng(0).normal(size=(3, 1, 3, 3))
    kernel[1, 0, 0] = 0.0
    conv = Conv(kernel, shape=(1, 8, 8), stride=(2, 2), padding=((1, 1), (1, 1)))
    layers = Stack(conv=conv, fire=LifRef(48, v_th=0.1), out=nnx.Linear(48, 10, rngs=nnx.Rngs(0)))
    net = Network(Latency(num_steps=5), layers)
    energy = measured(net, small, 3)
    code = np.asarray(net.encoder(small.x_test[:3]).dense()).reshape(5, 3, 8, 8)
    effective = dense = 0
    for row, column, a, b in itertools.product(range(4), range(4), range(3), range(3)):
        y, x = 2 * row + a - 1, 2 * column + b - 1
        if 0 <= y < 8 and 0 <= x < 8:
            dense += 3
            effective += np.count_nonzero(code[:, :, y, x]) * np.count_nonzero(kernel[:, 0, a, b])
    assert energy.layers[0].layer == "conv" and energy.layers[0].acs == pytest.approx(effective / 3)
    assert energy.layers[0].dense == 5 * dense and energy.layers[0].zeros == 3
    assert [layer.layer for layer in energy.layers] == ["conv", "out"] and energy.layers[1].macs == 0.0


def test_convolutions_of_spiking_neurons(small):
    """The same by hand, over the sums of 2 x 2 pixels: every spike of a pixel goes through the weights of its cell."""
    layer = ConvProjection(
        (8, 8), LifRef(3, v_th=0.1), window=3, stride=2, padding=1, pool=2, delay=1, rngs=nnx.Rngs(0)
    )
    layer.kernel[...] = layer.kernel[...].at[1, 0].set(0.0)
    readout = ConvProjection(layer.out_shape, LifRef(10), window=layer.out_shape[1:], rngs=nnx.Rngs(0))
    net = Network(Latency(num_steps=30), Stack(conv=layer, out=readout))
    energy = measured(net, small, 3)
    code = np.asarray(net.encoder(small.x_test[:3]).dense()).reshape(30, 3, 8, 8)[:-1]  # the last step arrives too late
    weights = np.asarray(layer.kernel[...]).reshape(3, 3, 3)
    effective = dense = 0
    for row, column, a, b in itertools.product(range(2), range(2), range(3), range(3)):
        y, x = 2 * row + a - 1, 2 * column + b - 1
        if 0 <= y < 4 and 0 <= x < 4:
            dense += 4 * 3
            pixels = code[:, :, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
            effective += np.count_nonzero(pixels) * np.count_nonzero(weights[a, b])
    assert energy.layers[0].layer == "conv" and energy.layers[0].acs == pytest.approx(effective / 3) and effective > 100
    assert energy.layers[0].dense == 30 * dense and energy.layers[0].zeros == 1 and energy.uncounted == ()


def test_feedback_and_layers_of_ones_own(small):
    """What waits a step on its way back does not arrive after the end; a layer of one's own is named, not guessed."""
    rngs = nnx.Rngs(0)
    layers = {
        "in": nnx.Linear(64, 6, use_bias=False, rngs=rngs),
        "fire": LifRef(6, v_th=0.02),
        "back": nnx.Linear(6, 6, use_bias=False, rngs=rngs),
        "out": nnx.Linear(6, 10, rngs=rngs),
    }
    edges = [("input", "in"), ("in", "fire"), ("fire", "back"), ("back", "fire"), ("fire", "out"), ("out", "output")]
    net = Network(Latency(num_steps=12), Graph(layers, edges))
    assert net.stack.late == (("fire", "back"),)
    energy = measured(net, small, 3)
    fired = np.asarray(nnx.jit(lambda net, x: net(x))(net, small.x_test[:3]).spikes["fire"])
    wanted = {"in": None, "back": fired[:-1].sum() * 6 / 3, "out": fired.sum() * 10 / 3}
    found = {layer.layer: layer.acs for layer in energy.layers}
    assert set(found) == set(wanted) and found["back"] == pytest.approx(wanted["back"]) and fired.sum() > 5
    assert found["out"] == pytest.approx(wanted["out"])

    class Mine(nnx.Module):
        def __init__(self):
            self.weights = nnx.Param(np.ones((8, 10), np.float32))

        def __call__(self, x):
            return x @ self.weights[...]

    own = measured(Network(Rows(), Stack(mine=Mine())), small, 3)
    assert own.uncounted == ("mine",) and own.layers == () and energy_frame(own)["reason"]

    class Whole(nnx.Module):
        def __init__(self):
            self.linear = nnx.Linear(64, 10, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return self.linear(x.reshape(1, len(x), -1).astype(np.float32))

    assert measured(Whole(), small, 3) is None


def test_compiled_once(small):
    trainer = make_trainer(small)
    meter = Meter(trainer.stepper, small)
    before = meter(trainer.state)
    trainer.fit(3)
    after = meter(trainer.state)
    assert (before.step, after.step) == (0, 3) and meter._count._cache_size() == 1
    assert before.layers[0].acs == after.layers[0].acs  # the code of the samples does not depend on the weights
    with pytest.raises(ArgumentError, match="samples: must be an integer >= 1, got 0"):
        Meter(trainer.stepper, small, samples=0)
