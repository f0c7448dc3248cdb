"""The network that most tests train: small, and the same everywhere, so that it is compiled once for all tests."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from snnlab import models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.data import Dataset
from snnlab.train import Trainer

SMALL = SnnConfig(hidden=32, num_steps=40)  # some of its neurons fire from the first step on
ENDLESS = 100_000  # epochs of a run that a test stops


def make_trainer(data: Dataset, config: SnnConfig | LstmConfig = SMALL, **options) -> Trainer:
    """A trainer of two epochs; on the fixture `small` they have 8 steps each."""
    net = models.build(config, sample_shape=data.sample_shape, num_classes=data.num_classes)
    return Trainer(net, data, **{"epochs": 2, "batch_size": 32} | options)


BATCH = 32


def streamed_batches(data: Dataset, epoch: int, seed: int = 0) -> Iterator[tuple]:
    """The training batches of a data set, in the order in which a trainer takes them."""
    order = np.random.default_rng([seed, epoch]).permutation(len(data.x_train))
    for row in order[: len(order) // BATCH * BATCH].reshape(-1, BATCH):
        yield data.x_train[row], data.y_train[row]


def streamed_tests(data: Dataset) -> list[tuple]:
    """The test batches of a data set."""
    return [(data.x_test[k : k + BATCH], data.y_test[k : k + BATCH]) for k in range(0, len(data.x_test), BATCH)]


def streamed_trainer(data: Dataset, train: Any, **options) -> Trainer:
    """A trainer as `make_trainer` returns, whose training data are a source."""
    net = models.build(SMALL, sample_shape=data.sample_shape, num_classes=data.num_classes)
    if isinstance(train, tuple):  # of arrays, of which batches are made
        options = {"batch_size": BATCH} | options
    return Trainer(net, train, test=streamed_tests(data), **{"epochs": 2} | options)


def priced_entropy(net: nnx.Module, x, y):
    """Cross-entropy of the highest readout, and a price for the spikes of the layer "b"."""
    record = net(x)
    return -jax.nn.log_softmax(record.peak)[jnp.arange(len(y)), y].mean() + 1e-3 * record.counts["b"].mean()


def check_learning(net: nnx.Module, x, y) -> None:
    """Fifteen steps down the gradient lower `priced_entropy`, in one program, while all that is no weight moves."""
    graphdef, params, rest = nnx.split(net, nnx.Param, ...)

    @jax.jit
    def step(params, rest):
        value, gradient = jax.value_and_grad(lambda p: priced_entropy(nnx.merge(graphdef, p, rest), x, y))(params)
        return value, jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)

    losses = []
    for k in range(15):
        moved = jax.tree.map(lambda v: v * (1.0 + 0.001 * k), rest)  # noqa: B023 (a slider that moves)
        value, params = step(params, moved)
        losses.append(float(value))
    assert step._cache_size() == 1
    assert losses[-1] < 0.8 * losses[0]
