"""The network that most tests train: small, and the same everywhere, so that it is compiled once for all tests."""

from collections.abc import Iterator
from typing import Any

import numpy as np

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
