"""What every contender computes: the network, its data, and the loop that is timed. NumPy and the standard library.

The network is snnlab's spiking reference network, in milliseconds: latency-coded images -> Expon(tau 10) -> LIF of 100
neurons (tau 10, threshold 1, soft reset) -> Expon(tau 10) -> leaky readout of 10 (tau 5), its maximum over time into
a cross-entropy, plus two regularizers on `c`, the spikes of a neuron per sample: L1 sum(c) + L2 mean(c^2); Adam.
"""

import itertools
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from snnlab.data import load

BATCH = 256  # samples
TIME = 100  # steps of 1 ms
PIXELS, HIDDEN, CLASSES = 784, 100, 10
TAU_SYN, TAU_MEM, TAU_OUT = 10.0, 10.0, 5.0  # ms
SLOPE = 10.0  # of the surrogate 1 / (slope |x| + 1)^2
L1 = L2 = 1e-5
LEARNING_RATE = 1e-3
BATCHES = 4  # ready-made ones, taken in turns; each is of 80 MB and thus in no cache when its turn comes

DECAY = float(np.exp(-1.0 / TAU_MEM))
"""Decay of membrane and synapse in a step of 1 ms. An exponential Euler step multiplies the current by 1 - DECAY."""


class Measured(NamedTuple):
    """What one call of a contender took, and that it truly trains."""

    seconds: float
    steps: int
    loss: float  # of the last step
    spikes: float | None  # per sample in the hidden layer, at the last step


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


def firing_steps(x: np.ndarray, tau: float = 20.0, threshold: float = 0.2) -> np.ndarray:
    """Latency code of brightness 0..1: the step at which a pixel fires; `TIME` if it never does."""
    fires = x > threshold
    bright = np.where(fires, x, 1.0)
    steps = np.floor(tau * np.log(bright / (bright - threshold)))
    return np.where(fires, np.minimum(steps, TIME), TIME).astype(np.int32)


def dense(steps: np.ndarray, amplitude: float = 1.0) -> np.ndarray:
    """Spike trains (time, sample, pixel) of firing steps (sample, pixel)."""
    spikes = np.zeros((TIME, *steps.shape), np.float32)
    sample, pixel = np.nonzero(steps < TIME)
    spikes[steps[sample, pixel], sample, pixel] = amplitude
    return spikes


def spike_batches(folder: str, amplitude: float = 1.0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ready-made input of the spiking network: dense trains (time, batch, pixel) and labels.

    Args:
        folder: of Fashion-MNIST.
        amplitude: of a spike. Libraries scale currents differently; this makes their networks equal at no cost.
    """
    images, labels = _images(folder)
    coded = (dense(firing_steps(batch.reshape(BATCH, PIXELS) / 255.0), amplitude) for batch in images)
    return list(zip(coded, labels, strict=True))


def row_batches(folder: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ready-made input of the LSTM: images (row, batch, column) as floats in 0..1, and labels."""
    images, labels = _images(folder)
    rows = np.ascontiguousarray(images.transpose(0, 2, 1, 3) / np.float32(255.0))
    return list(zip(rows, labels, strict=True))


def initial_weights() -> tuple[np.ndarray, np.ndarray]:
    """The matrices (784, 100) and (100, 10) that all spiking networks start from: He normal."""
    rng = np.random.default_rng(0)
    shapes = (PIXELS, HIDDEN), (HIDDEN, CLASSES)
    return tuple(rng.normal(0.0, np.sqrt(2.0 / shape[0]), shape).astype(np.float32) for shape in shapes)


def _images(folder: str) -> tuple[np.ndarray, np.ndarray]:
    data, count = load(folder), BATCHES * BATCH
    images = data.x_train[:count].reshape(BATCHES, BATCH, 28, 28)
    return images, data.y_train[:count].reshape(BATCHES, BATCH).astype(np.int64)
