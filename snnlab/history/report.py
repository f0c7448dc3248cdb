"""The reports of the engine between two chunks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Names of metrics and curves that are no terms.
NOT_TERMS = ("epoch", "loss", "accuracy", "grad_norm", "spikes_per_sample", "test_loss", "test_acc")
# Names of the results of an epoch beside its terms.
RESULTS = ("epoch", "seconds", "train_loss", "train_acc", "test_loss", "test_acc", "spikes_per_sample", "grad_norm")
RESULTS += ("samples_per_second",)
PREFIX = "term "  # before the name of a term that is taken


@dataclass(frozen=True, kw_only=True)
class Report:
    """What happened since the previous report.

    Attributes:
        phase: "train" for a chunk of steps, "test" for a batch of the test set, "epoch" at the end of an epoch.
        epoch: current epoch, from 1.
        step: optimizer steps taken so far, of `total_steps`.
        metrics: "train": means over the chunk of "loss", "accuracy", each term of the loss (see `column_of`),
            "grad_norm" and "spikes_per_sample"; "test": the same of the batch; "epoch": the result, as in
            `History.epochs`.
        samples_per_second: speed since the previous report.
        eta: estimated computing time left [s].

    Example:
        >>> import snnlab
        >>> digits = snnlab.load_data("digits").subset(train=256, test=64)
        >>> net = snnlab.build(snnlab.SnnConfig(hidden=20, num_steps=30), sample_shape=(8, 8), num_classes=10)
        >>> phases = [report.phase for report in snnlab.Trainer(net, digits, epochs=1, batch_size=64)]
        >>> phases[0], phases[-2:]
        ('train', ['test', 'epoch'])
    """

    phase: str
    epoch: int
    step: int
    total_steps: int
    metrics: dict[str, Any]
    samples_per_second: float
    eta: float


def column_of(term: str) -> str:
    """Return the name under which a term of the loss is recorded: its own, or "term ..." if that is taken.

    Names that begin with "term " or "ghost:" are taken, too, so no two terms are recorded under one name.

    Example:
        >>> column_of("cross_entropy"), column_of("accuracy"), column_of("term accuracy")
        ('cross_entropy', 'term accuracy', 'term term accuracy')
    """
    return PREFIX + term if term in NOT_TERMS or term.startswith((PREFIX, "ghost:")) else term


def term_names(metrics: Iterable[str]) -> list[str]:
    """Return the metrics that are terms of the loss.

    Example:
        >>> term_names(["loss", "accuracy", "cross_entropy", "l1"])
        ['cross_entropy', 'l1']
    """
    return [name for name in metrics if name not in NOT_TERMS]


def epoch_result(
    epoch: int, steps: Mapping[str, np.ndarray], count: int, test: Mapping[str, float], seconds: float, speed: float
) -> dict[str, Any]:
    """Return the result of an epoch, as the history stores it.

    Args:
        epoch: its number, from 1.
        steps: metrics of all steps so far, of which the last `count` are those of the epoch.
        count: steps in an epoch.
        test: metrics of the test set.
        seconds: duration of the epoch [s].
        speed: samples per second.

    Example:
        >>> steps = {name: np.array([9.0, 2.0, 1.0]) for name in ("loss", "accuracy", "grad_norm", "l1")}
        >>> row = epoch_result(1, steps, 2, {"loss": 1.2, "accuracy": 0.5}, seconds=0.1, speed=640.0)
        >>> row["train_loss"], row["test_loss"], row["terms"]
        (1.5, 1.2, {'l1': 1.5})
    """
    train = {name: float(column[-count:].mean(dtype=float)) for name, column in steps.items()}
    return {
        "epoch": epoch,
        "seconds": seconds,
        "train_loss": train["loss"],
        "train_acc": train["accuracy"],
        "test_loss": test["loss"],
        "test_acc": test["accuracy"],
        "spikes_per_sample": test.get("spikes_per_sample"),
        "grad_norm": train["grad_norm"],
        "samples_per_second": speed,
        "terms": {name: train[name] for name in term_names(train)},
    }
