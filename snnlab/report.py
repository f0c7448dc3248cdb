"""What the engine says between two chunks."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Report:
    """What happened since the last report.

    Attributes:
        phase: "train" for a chunk of steps, "test" for a batch of the test set, "epoch" at the end of an epoch.
        epoch: current epoch, from 1.
        step: optimizer steps taken so far, of `total_steps`.
        metrics: "train": means over the chunk of "loss", "accuracy", each term of the loss, "grad_norm" and
            "spikes_per_sample"; "test": the same of the batch; "epoch": the result, as in `History.epochs`.
        samples_per_second: how fast this was.
        eta: estimate of the seconds of computing left.

    Example:
        >>> import snnlab
        >>> digits = snnlab.load_data("digits").subset(train=64, test=64)
        >>> net = snnlab.build(snnlab.SnnConfig(hidden=5, num_steps=20), sample_shape=(8, 8), num_classes=10)
        >>> [report.phase for report in snnlab.Trainer(net, digits, epochs=1, batch_size=64)]
        ['train', 'test', 'epoch']
    """

    phase: str
    epoch: int
    step: int
    total_steps: int
    metrics: dict[str, Any]
    samples_per_second: float
    eta: float
