"""The network that most tests train: small, and the same everywhere, so that it is compiled once for all tests."""

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
