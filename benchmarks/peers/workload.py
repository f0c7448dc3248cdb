"""What every contender computes: the networks, their data, and the loop that is timed. NumPy and the standard library.

The networks are snnlab's spiking reference networks, in milliseconds: latency-coded images -> hidden layers -> leaky
readout of 10 (tau 5), its maximum over time into a cross-entropy, plus two regularizers on `c`, the spikes of a neuron
per sample: L1 sum(c) + L2 mean(c^2), summed over the hidden layers; Adam. Every layer is weights -> Expon(tau 10) ->
neurons; hidden ones are LIF (tau 10, threshold 1, soft reset). `Network` tells what else a network may have, or in
place of this.
"""

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from snnlab.data import load

SIDE, PIXELS, CLASSES = 28, 784, 10
TAU_SYN, TAU_MEM, TAU_OUT = 10.0, 10.0, 5.0  # ms
BETA, TAU_ADAPT = 0.2, 200.0  # what a spike adds to a threshold that adapts, and how long [ms] that lasts
TAU_LATENCY, THRESHOLD_LATENCY = 60.0, 0.1  # of the latency code [ms], and in 0..1
SLOPE = 10.0  # of the surrogate 1 / (slope |x| + 1)^2
L1 = L2 = 1e-5
LEARNING_RATE = 1e-3
HIDDEN, BATCH = 100, 256  # units of the LSTM, and samples in a batch
BATCHES = 4  # ready-made ones, taken in turns; each is of 20 to 80 MB and thus in no cache when its turn comes
SPIKES_OF_INPUT = 10  # in a sample, where they come at any step; in the Spiking Heidelberg Digits these are 11
CONV_GAIN, QUIET = 2.0, 0.1  # of the first weights of convolutions and of the readout behind them, times He's


class Loss(NamedTuple):
    """What is minimized.

    Attributes:
        mean: the mean of the readout over time goes into the cross-entropy, not the maximum.
        l1: price of the spikes of a sample.
        l2: price of the mean squared spikes of a neuron.
    """

    mean: bool = False
    l1: float = L1
    l2: float = L2


USUAL_LOSS = Loss()


@dataclass(frozen=True, kw_only=True)
class Network:
    """A spiking network.

    Attributes:
        inputs: pixels of an image; or, if these are not 784, units of random spikes at any step, see `streams`.
        hidden: neurons of each hidden layer; or, if `conv`, channels of each.
        classes: units of the readout.
        conv: hidden layers are convolutions, 3 x 3 and padded; what follows one sees the sums of 2 x 2 pixels.
        dense: neurons of each further hidden layer behind the convolutions, which sees the whole image.
        norm: what arrives at hidden neurons is normalized by its mean and variance over samples, steps and places.
        steady: pixels are constant currents in place of spikes, and a current lasts one step: there are no synapses,
            and the readout has no memory.
        recurrent: neurons of a hidden layer also reach each other, one step later and through the same synapse.
        adaptive: a spike raises the threshold by BETA, which decays with TAU_ADAPT.
        batch: samples.
        steps: of time.
        dt: length of a step [ms].
        tau_mem: of hidden neurons [ms].
        slope: of the surrogate.
        learning_rate: of Adam.
        loss: see there.
    """

    inputs: int = PIXELS
    hidden: tuple[int, ...] = (HIDDEN,)
    classes: int = CLASSES
    conv: bool = False
    dense: tuple[int, ...] = ()
    norm: bool = False
    steady: bool = False
    recurrent: bool = False
    adaptive: bool = False
    batch: int = BATCH
    steps: int = 100
    dt: float = 1.0
    tau_mem: float = TAU_MEM
    slope: float = SLOPE
    learning_rate: float = LEARNING_RATE
    loss: Loss = USUAL_LOSS

    def decay(self, tau: float) -> float:
        """Decay in a step. An exponential Euler step multiplies the current by `1 - decay`."""
        return float(np.exp(-self.dt / tau))


REFERENCE = Network()
DEEP = Network(hidden=(256, 128))
RECURRENT = Network(recurrent=True)
ADAPTIVE = Network(adaptive=True)
# The size of the Spiking Heidelberg Digits.
COCHLEA = Network(inputs=700, hidden=(128,), classes=20, recurrent=True, batch=128, steps=256)
# Its readout hears thousands of spikes: with 1e-3 the loss rises before it falls.
CONV = Network(hidden=(16, 32), conv=True, batch=128, steps=50, dt=2.0, learning_rate=1e-4)
# What `snnlab train conv` trains if nothing else is said, but the learning rate stays.
NORMALIZED = Network(
    hidden=(32, 64),
    conv=True,
    dense=(256,),
    norm=True,
    steady=True,
    batch=128,
    steps=4,
    dt=10.0,
    tau_mem=15.0,
    slope=3.0,
    learning_rate=3e-3,
    loss=Loss(mean=True, l1=1e-6, l2=1e-4),
)


class Weights(NamedTuple):
    """The weights of a layer.

    Attributes:
        kernel: (input, output), or (row, column, input, output) of a convolution. Behind a convolution, inputs are in
            the order row, column, channel.
        recurrent: from neuron to neuron, None if they do not reach each other.
    """

    kernel: np.ndarray
    recurrent: np.ndarray | None = None


class Measured(NamedTuple):
    """What one call of a contender took, and that it truly trains."""

    seconds: float
    steps: int
    loss: float  # of the last step
    spikes: float | None  # per sample in the hidden layers, at the last step


class Loop:
    """`loop(n)` takes n training steps and times them; the clock stops when all of them are computed.

    Args:
        step: `(x, y) -> (loss, spikes)`, may return before it is computed.
        batches: taken in turns.
        finish: waits for what is still being computed.
    """

    def __init__(self, step: Callable, batches: Iterable, finish: Callable[[], object] = lambda: None):
        self._step = step
        self._finish = finish
        self._batches = itertools.cycle(batches)

    def __call__(self, steps: int) -> Measured:
        started = time.perf_counter()
        for x, y in itertools.islice(self._batches, steps):
            loss, spikes = self._step(x, y)
        self._finish()
        seconds = time.perf_counter() - started
        return Measured(seconds, steps, float(loss), None if spikes is None else float(spikes))


def firing_steps(x: np.ndarray, network: Network = REFERENCE) -> np.ndarray:
    """Latency code of brightness 0..1: the step at which a pixel fires; `network.steps` if it never does."""
    fires = x > THRESHOLD_LATENCY
    bright = np.where(fires, x, 1.0)
    steps = np.floor(TAU_LATENCY / network.dt * np.log(bright / (bright - THRESHOLD_LATENCY)))
    return np.where(fires, np.minimum(steps, network.steps), network.steps).astype(np.int32)


def dense(steps: np.ndarray, amplitude: float = 1.0, network: Network = REFERENCE) -> np.ndarray:
    """Spike trains (time, sample, pixel) of firing steps (sample, pixel)."""
    spikes = np.zeros((network.steps, *steps.shape), np.float32)
    sample, pixel = np.nonzero(steps < network.steps)
    spikes[steps[sample, pixel], sample, pixel] = amplitude
    return spikes


def spike_batches(
    folder: str, network: Network = REFERENCE, amplitude: float = 1.0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ready-made input of a spiking network: dense trains (time, batch, pixel) and labels. Steady pixels have one step.

    Args:
        folder: of Fashion-MNIST.
        network: whose steps and batches these are.
        amplitude: of a spike.
    """
    if network.inputs != PIXELS:
        return [(amplitude * _counts(*batch, network), labels) for *batch, labels in streams(network)]
    images, labels = _images(folder, network.batch)
    pixels = images.reshape(BATCHES, network.batch, PIXELS) / 255.0
    if network.steady:
        return list(zip(pixels[:, None].astype(np.float32), labels, strict=True))
    coded = (dense(firing_steps(batch, network), amplitude, network) for batch in pixels)
    return list(zip(coded, labels, strict=True))


def streams(network: Network) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Batches of random spikes: their steps, in order, and their units (sample, spike); and labels."""
    rng = np.random.default_rng(0)
    shape = network.batch, SPIKES_OF_INPUT * network.inputs
    return [
        (
            np.sort(rng.integers(0, network.steps, shape), axis=1),
            rng.integers(0, network.inputs, shape),
            rng.integers(0, network.classes, network.batch),
        )
        for _ in range(BATCHES)
    ]


def _counts(steps: np.ndarray, units: np.ndarray, network: Network) -> np.ndarray:
    """Spikes of every unit at every step (time, sample, unit)."""
    counts = np.zeros((network.steps, len(steps), network.inputs), np.float32)
    np.add.at(counts, (steps, np.arange(len(steps))[:, None], units), 1.0)
    return counts


def row_batches(folder: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ready-made input of the LSTM: images (row, batch, column) as floats in 0..1, and labels."""
    images, labels = _images(folder, BATCH)
    rows = np.ascontiguousarray(images.transpose(0, 2, 1, 3) / np.float32(255.0))
    return list(zip(rows, labels, strict=True))


def initial_weights(network: Network = REFERENCE) -> list[Weights]:
    """The weights that all contenders start from, of the hidden layers and of the readout.

    Normal, with He's deviation; recurrent ones have the deviation `1 / sqrt(n)`. Normalization begins with scales of 1
    and offsets of 0.
    """
    rng = np.random.default_rng(0)

    def normal(*shape: int, deviation: float) -> np.ndarray:
        return rng.normal(0.0, deviation, shape).astype(np.float32)

    layers, units = [], 1 if network.conv else network.inputs
    gain = CONV_GAIN if network.conv and not network.norm else 1.0
    window = (3, 3) if network.conv else ()
    for width in network.hidden:
        deviation = gain * np.sqrt(2.0 / (np.prod(window) * units))
        kernel = normal(*window, units, width, deviation=deviation)
        between = normal(width, width, deviation=1.0 / np.sqrt(width)) if network.recurrent else None
        layers.append(Weights(kernel, between))
        units = width
    if network.conv:
        units *= (SIDE // 2 ** len(network.hidden)) ** 2
    for width in network.dense:
        layers.append(Weights(normal(units, width, deviation=np.sqrt(2.0 / units))))
        units = width
    gain = QUIET if network.conv else 1.0
    return [*layers, Weights(normal(units, network.classes, deviation=gain * np.sqrt(2.0 / units)))]


def _images(folder: str, batch: int) -> tuple[np.ndarray, np.ndarray]:
    data, count = load(folder), BATCHES * batch
    images = data.x_train[:count].reshape(BATCHES, batch, SIDE, SIDE)
    return images, data.y_train[:count].reshape(BATCHES, batch).astype(np.int64)
