"""snnlab: what `Trainer` does, from uint8 images on, with encoding, shuffling and all of its metrics."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from flax import nnx

import snnlab
from benchmarks.peers.workload import (
    BETA,
    PIXELS,
    REFERENCE,
    TAU_ADAPT,
    TAU_SYN,
    Measured,
    Network,
    initial_weights,
    streams,
)
from snnlab import kernels
from snnlab.config import LATENCY_CONV
from snnlab.data.eventlists import EVENT
from snnlab.losses import Classification
from snnlab.train import Trainer

ENDLESS = 100_000  # epochs


def _trainer(folder: str, network: Network | None) -> Trainer:
    """Of a spiking network, or of the LSTM."""
    recorded = network is not None and network.inputs != PIXELS
    return trainer(events(network) if recorded else snnlab.data.load(folder), network)


def events(network: Network) -> snnlab.Dataset:
    """The random spikes of the peers as a data set of event lists; the first batch is the test, too."""
    steps, units, labels = (np.concatenate(column) for column in zip(*streams(network), strict=True))
    lists = np.zeros(steps.shape, EVENT)
    lists["t"], lists["x"] = 1000.0 * network.dt * steps, units
    x = snnlab.data.EventLists.from_lists(lists, sensor=(1, 1, network.inputs))
    part = slice(0, network.batch)
    x_test = snnlab.data.EventLists.from_lists(lists[part], sensor=(1, 1, network.inputs))
    return snnlab.Dataset(name="events", x_train=x, y_train=labels, x_test=x_test, y_test=labels[part])


def trainer(data: snnlab.Dataset, network: Network | None) -> Trainer:
    """Make the trainer of a spiking network, or of the LSTM."""
    config = snnlab.LstmConfig() if network is None else _config(network)
    model = snnlab.build(config, sample_shape=data.sample_shape, num_classes=data.num_classes)
    usual, loss = network or REFERENCE, Classification()
    if network is not None:
        loss = Classification("mean" if network.loss.mean else "max", l1=network.loss.l1, l2=network.loss.l2)
        for layer, weights in zip(model.stack.layers.values(), initial_weights(network), strict=True):
            layer.kernel[...] = weights.kernel.reshape(layer.kernel.shape)
            if weights.recurrent is not None:
                layer.recurrent_kernel[...] = weights.recurrent
    if usual.conv:
        for _, parameter in nnx.iter_graph(model):
            if isinstance(parameter, nnx.Param):
                parameter.set_metadata(pace=1.0)  # the rate of the peers
    settings = {"batch_size": usual.batch, "learning_rate": usual.learning_rate, "schedule": "constant"}
    return Trainer(model, data, loss=loss, epochs=ENDLESS, **settings)


def _config(network: Network) -> snnlab.SnnConfig | snnlab.ConvConfig:
    """The settings of a network; constants are defaults, but those of `LATENCY_CONV` are others, and no input is
    dropped, which the peers would not do."""
    if network.conv:
        base, changed = snnlab.ConvConfig(), {}
        if not network.steady:
            base, changed = LATENCY_CONV, {"window": 3, "stride": 1, "pool": 2, "tau_syn": TAU_SYN}
        changed |= {"channels": network.hidden, "dense": network.dense, "norm": network.norm}
        changed |= {"num_steps": network.steps, "dt": network.dt, "tau_mem": network.tau_mem, "slope": network.slope}
        return replace(base, **changed)
    code = {"code": "events"} if network.inputs != PIXELS else {}
    adapts = {"neuron": "alif", "beta": BETA, "tau_adapt": TAU_ADAPT} if network.adaptive else {}
    return snnlab.SnnConfig(
        hidden=network.hidden,
        recurrent=network.recurrent,
        num_steps=network.steps,
        dt=network.dt,
        input_dropout=0.0,
        **code,
        **adapts,
    )


def _measured(trainer: Trainer, seconds: float, steps: int) -> Measured:
    last = {name: float(column[-1]) for name, column in trainer.history.steps().items()}
    return Measured(seconds, steps, last["loss"], last.get("spikes_per_sample"))


def _runner(
    folder: str, network: Network | None, enough: Callable[[int, float, str], bool]
) -> Callable[[int], Measured]:
    """`run(n)` takes reports of the trainer until `enough`; those of the test set are taken, but not timed."""
    trainer = _trainer(folder, network)
    reports = iter(trainer)

    def run(count: int) -> Measured:
        seconds, first, phase = 0.0, len(trainer.history), "train"
        while not enough(len(trainer.history) - first - count, seconds, phase):
            started = time.perf_counter()
            phase = next(reports).phase
            if phase == "train":  # a report is made when all of its steps are computed
                seconds += time.perf_counter() - started
        return _measured(trainer, seconds, len(trainer.history) - first)

    return run


def _check_kernels(fused: bool) -> None:
    """Kernels that do not work fall back to the reference, and its time would be taken for theirs."""
    if fused != (kernels.backend() != "reference"):
        wanted = "kernels" if fused else "the reference"
        raise RuntimeError(f"SNNLAB_KERNELS: wanted {wanted}, but {kernels.backend()!r} runs")


def _taken(more: int, seconds: float, phase: str) -> bool:
    """At least as many steps as asked for, and for half a second: its chunks are shorter than the peers' calls."""
    return more >= 0 and seconds >= 0.5


def snn(folder: str, network: Network, fused: bool = True) -> Callable[[int], Measured]:
    """Steps of a spiking network, with kernels or without."""
    _check_kernels(fused)
    return _runner(folder, network, _taken)


def lstm(folder: str) -> Callable[[int], Measured]:
    """Steps of the LSTM."""
    return _runner(folder, None, _taken)


def epochs(folder: str) -> Callable[[int], Measured]:
    """Whole epochs of the spiking network, however many steps are asked for."""
    _check_kernels(fused=True)
    return _runner(folder, REFERENCE, lambda more, seconds, phase: phase == "epoch")
