"""The live picture of the front page: a spiking network, trained on the digits when the documentation is built."""

import tempfile
from pathlib import Path

import snnlab
from snnlab.config import SnnConfig
from snnlab.train import Trainer

NAME = "exhibit.html"
EPOCHS = 10


def page() -> str:
    """Train a network for some seconds, and return its exhibit.

    Raises:
        ValueError: if the page does not play every spike as Python does.
    """
    digits = snnlab.load_data("digits")
    net = snnlab.build(SnnConfig(hidden=100), sample_shape=digits.sample_shape, num_classes=digits.num_classes)
    trainer = Trainer(net, digits, epochs=EPOCHS, batch_size=64)
    trainer.fit()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        report = snnlab.exhibit(
            trainer.snapshot(), path, digits, training=trainer.provenance, title="A spiking network that reads digits"
        )
        if report.differing or report.equal < report.samples:
            raise ValueError(f"the live picture of the front page is not what Python computes: {report}")
        return path.read_text(encoding="utf-8")
