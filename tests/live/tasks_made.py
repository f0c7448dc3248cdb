"""Small data sets of every task, with masks and lengths, and networks for them."""

import numpy as np
from flax import nnx

from snnlab import models
from snnlab.config import SnnConfig
from snnlab.data import Dataset
from snnlab.encode import Rows
from snnlab.layers import Expon, LifRef, Projection, Stack
from snnlab.models import Network

TASKS = ("step_labels", "several_labels", "values", "traces", "spike_trains")
N, T, F = 32, 23, 2


def task_data(task: str, seed: int = 0) -> Dataset:
    """Signals of 23 steps; those of numbers have lengths, traces a mask, and some steps have no label."""
    rng = np.random.default_rng(seed)
    x = rng.random((N, T, F)).astype(np.float32)
    lengths = rng.integers(9, T + 1, N).astype(np.int32)
    labels = (x.sum(2) > 1.0).astype(int) + (x.sum(2) > 1.4)
    labels[:, :2] = -1
    made = {
        "step_labels": {"y": labels},
        "several_labels": {"y": (x[:, :3, 0] > 0.5).astype(int)},
        "values": {"y": 70.0 + 20.0 * x.mean((1, 2)), "lengths": lengths},
        "traces": {"y": np.cumsum(x - 0.5, axis=1) * 30.0, "mask": rng.random((N, T)) > 0.2, "lengths": lengths},
        "spike_trains": {"y": (rng.random((N, T, 3)) < 0.1).astype(int)},
    }[task]
    parts = {f"{name}_{part}": values for name, values in made.items() for part in ("train", "test")}
    names = {"class_names": ("low", "middle", "high")} if task == "step_labels" else {}
    return Dataset(name=task, task=task, x_train=x, x_test=x, **parts, **names)


def task_net(data: Dataset) -> Network:
    """A spiking network; where spike trains are wanted, its readout spikes."""
    if data.task != "spike_trains":
        config = SnnConfig(hidden=12, code="rows", v_th=0.3)
        return models.build(config, sample_shape=data.sample_shape, num_classes=data.num_outputs)
    rngs = nnx.Rngs(0)
    hidden = Projection(F, LifRef(12, v_th=0.3), synapse=Expon(12), rngs=rngs)
    out = Projection(12, LifRef(3, v_th=0.5), synapse=Expon(3), rngs=rngs)
    return Network(Rows(), Stack(hidden=hidden, out=out))
