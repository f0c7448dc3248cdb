"""The spiking network of BrainPy's tutorial, trained by its `BPTT`: single steps on ready-made input, or epochs."""

import time
from collections.abc import Callable, Iterator

import brainpy as bp
import brainpy.math as bm
import numpy as np

from benchmarks.peers import brainpy_step
from benchmarks.peers.brainpy_snn import hidden_layer, matrix
from benchmarks.peers.workload import (
    BATCH,
    CLASSES,
    HIDDEN,
    LEARNING_RATE,
    PIXELS,
    REFERENCE,
    TAU_OUT,
    TAU_SYN,
    Measured,
    dense,
    firing_steps,
    initial_weights,
    spike_batches,
)
from snnlab.data import load

GAIN = float(np.exp(1.0 / TAU_SYN))  # its projections hand a spike to the synapse before this decays


class Network(bp.DynamicalSystem):
    """The tutorial's: all layers at every step, the readout sees the spikes of the step before."""

    def __init__(self):
        super().__init__()
        self.hidden, self.readout = hidden_layer(HIDDEN), bp.dyn.Leaky(CLASSES, tau=TAU_OUT)
        to_hidden, to_readout = (weights.kernel for weights in initial_weights())
        self.to_hidden = project(to_hidden, self.hidden)
        self.to_readout = project(to_readout, self.readout)

    def update(self, spikes):
        self.to_hidden(spikes)
        self.to_readout(self.hidden.spike.value)
        self.hidden()
        self.readout()
        return self.readout.x.value


def project(weights, post) -> bp.dyn.HalfProjAlignPost:
    """Product, exponential synapse, current."""
    synapse = bp.dyn.Expon(post.num, tau=TAU_SYN)
    return bp.dyn.HalfProjAlignPost(comm=matrix(weights), syn=synapse, out=bp.dyn.CUBA(), post=post)


class Trainer:
    """Its trainer.

    Args:
        time_axis: of its input, 0 or 1; the other one is the batch.
    """

    def __init__(self, time_axis: int):
        self.network = Network()

        def loss(predicted, labels):
            readout, recorded = predicted
            return brainpy_step.loss(readout, [recorded["spikes"]], labels, GAIN, time_axis)

        self._trainer = bp.BPTT(
            self.network,
            loss_fun=loss,
            loss_has_aux=True,
            optimizer=bp.optim.Adam(lr=LEARNING_RATE),
            monitors={"spikes": self.network.hidden.spike},
            data_first_axis="TB"[time_axis],
        )

    def fit(self, batches) -> tuple[float, float, float]:
        """Train on batches: seconds, and means of loss and spikes per sample."""
        started = time.perf_counter()
        self._trainer.fit(batches, num_epoch=1)
        brainpy_step.wait_for(self.network)
        seconds = time.perf_counter() - started
        return seconds, *(float(self._trainer.get_hist_metric("fit", name)[-1]) for name in ("loss", "spikes"))


def steps(folder: str) -> Callable[[int], Measured]:
    """Steps on ready-made input, time first, which spares it a transposition; the loss is the mean over a call."""
    trainer, batches = Trainer(time_axis=0), brainpy_step.arrays(spike_batches(folder, amplitude=GAIN))

    def run(count: int) -> Measured:
        seconds, loss, spikes = trainer.fit([batches[i % len(batches)] for i in range(count)])
        return Measured(seconds, count, loss, spikes)

    return run


def epochs(folder: str, tuned: bool) -> Callable[[int], Measured]:
    """Epochs with shuffling, encoding and metrics; `run(n)` takes n steps of one and scales them to all of it.

    Args:
        folder: of Fashion-MNIST.
        tuned: fill a batch in NumPy and put time first, instead of what the tutorial does.
    """
    data, trainer = load(folder), Trainer(time_axis=0 if tuned else 1)
    images = data.x_train.reshape(-1, PIXELS).astype(np.float32) / 255.0
    make = dense_batches if tuned else indexed_batches
    rng, total = np.random.default_rng(0), len(images) // BATCH

    def run(count: int) -> Measured:
        chosen = rng.permutation(len(images))[: total * BATCH].reshape(total, BATCH)[:count]
        prepared = []  # when the codes of all images were ready: an epoch does that once, however many steps we take

        def batches():
            times = firing_steps(images)
            prepared.append(time.perf_counter())
            yield from make(times, data.y_train, chosen)

        started = time.perf_counter()
        seconds, loss, spikes = trainer.fit(batches)
        once = prepared[0] - started
        return Measured(once + (seconds - once) * total / len(chosen), total, loss, spikes)

    return run


def indexed_batches(times: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> Iterator[tuple]:
    """As the tutorial does it: an empty batch on the device, batch first, and the spikes written to it by index."""
    for index in chosen:
        sample, pixel = np.nonzero(times[index] < REFERENCE.steps)
        x = bm.zeros((BATCH, REFERENCE.steps, PIXELS))
        x[sample, times[index][sample, pixel], pixel] = GAIN
        yield x, bm.asarray(labels[index])


def dense_batches(times: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> Iterator[tuple]:
    """Filled in NumPy, time first."""
    for index in chosen:
        yield bm.asarray(dense(times[index], GAIN)), bm.asarray(labels[index])
