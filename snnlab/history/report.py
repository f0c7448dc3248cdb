"""The reports of the engine between two chunks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

SCORES = {"accuracy": "acc", "r2": "r2", "explained": "explained"}
"""Scores of the tasks, as they are called in the metrics of a step, and in the results of an epoch."""

PARTS = ("train", "val", "test")

# Names of metrics and curves that are no terms.
NOT_TERMS = ("epoch", "loss", "grad_norm", "spikes_per_sample", *SCORES)
NOT_TERMS += tuple(f"{part}_{name}" for part in ("val", "test") for name in ("loss", *SCORES.values()))
TERM_PREFIX = "term "  # before the name of a term that is taken
METRIC_PREFIX = "metric "  # before the name of a metric of the user's own


class Scored(NamedTuple):
    """How a run is scored, and so how its results are called.

    Attributes:
        part: of the data that is looked at while the network learns, "val" or "test".
        score: of the task, one of `SCORES`; the larger, the better.

    Example:
        >>> scored = Scored("val", "accuracy")
        >>> scored.loss, scored.result, scored.words, scored.text(0.914)
        ('val_loss', 'val_acc', 'validation accuracy', '91.4%')
        >>> Scored("test", "r2").words, Scored("test", "r2").text(0.914)
        ('test R2', '0.914')
    """

    part: str = "test"
    score: str = "accuracy"

    @classmethod
    def of(cls, names: Iterable[str]) -> "Scored":
        """Read it from the names of results or of metrics of steps."""
        names = set(names)
        part = "val" if "val_loss" in names else "test"
        known = (score for score, short in SCORES.items() if {score, f"train_{short}", f"{part}_{short}"} & names)
        return cls(part, next(known, "accuracy"))

    @property
    def loss(self) -> str:
        """Name of the result: loss of the part that is looked at."""
        return f"{self.part}_loss"

    @property
    def result(self) -> str:
        """Name of the result: score of the part that is looked at."""
        return f"{self.part}_{SCORES[self.score]}"

    @property
    def train(self) -> str:
        """Name of the result: score in training."""
        return f"train_{SCORES[self.score]}"

    @property
    def name(self) -> str:
        """The score in words."""
        return {"accuracy": "accuracy", "r2": "R2", "explained": "explained"}[self.score]

    @property
    def place(self) -> str:
        """The part in words."""
        return "validation" if self.part == "val" else self.part

    @property
    def words(self) -> str:
        """Score and part in words."""
        return f"{self.place} {self.name}"

    def text(self, value: float) -> str:
        """A value of the score in words."""
        return f"{value:.1%}" if self.score == "accuracy" else f"{value:.3f}"

    @property
    def results(self) -> tuple[str, ...]:
        """Names of the results of an epoch beside terms and metrics."""
        names = ("epoch", "seconds", "train_loss", self.train, self.loss, self.result)
        return (*names, "spikes_per_sample", "grad_norm", "samples_per_second")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What happened since the previous report.

    Attributes:
        phase: "train" for a chunk of steps, "test" for a batch of the part of the data that is looked at, which is the
            validation part if there is one, "epoch" at the end of an epoch.
        epoch: current epoch, from 1.
        step: optimizer steps taken so far, of `total_steps`.
        metrics: "train": means over the chunk of "loss", the score (see `SCORES`), each term of the loss (see
            `column_of`), each metric of your own (see `metric_column`), "grad_norm" and "spikes_per_sample"; "test":
            the same of the batch; "epoch": the result, as in `History.epochs`.
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

    Names that begin with "term ", "metric " or "ghost:" are taken, too, so no two are recorded under one name.

    Example:
        >>> column_of("cross_entropy"), column_of("accuracy"), column_of("term accuracy")
        ('cross_entropy', 'term accuracy', 'term term accuracy')
    """
    taken = term in NOT_TERMS or term.startswith((TERM_PREFIX, METRIC_PREFIX, "ghost:"))
    return TERM_PREFIX + term if taken else term


def metric_column(metric: str) -> str:
    """Return the name under which a metric of your own is recorded.

    Example:
        >>> metric_column("acc")
        'metric acc'
    """
    return METRIC_PREFIX + metric


def term_names(metrics: Iterable[str]) -> list[str]:
    """Return the metrics that are terms of the loss.

    Example:
        >>> term_names(["loss", "accuracy", "cross_entropy", "metric acc", "l1"])
        ['cross_entropy', 'l1']
    """
    return [name for name in metrics if name not in NOT_TERMS and not name.startswith(METRIC_PREFIX)]


def metric_names(metrics: Iterable[str]) -> list[str]:
    """Return the metrics that are your own.

    Example:
        >>> metric_names(["loss", "accuracy", "cross_entropy", "metric acc", "l1"])
        ['metric acc']
    """
    return [name for name in metrics if name.startswith(METRIC_PREFIX)]


def epoch_result(
    epoch: int,
    steps: Mapping[str, np.ndarray],
    count: int,
    seen: Mapping[str, float],
    results: Mapping[str, float],
    scored: Scored,
    seconds: float,
    speed: float,
) -> dict[str, Any]:
    """Return the result of an epoch, as the history stores it.

    Args:
        epoch: its number, from 1.
        steps: metrics of all steps so far, of which the last `count` are those of the epoch.
        count: steps in an epoch.
        seen: loss and other metrics of the part that is looked at.
        results: score and further metrics of the task, of the same part.
        scored: how the run is scored.
        seconds: duration of the epoch [s].
        speed: samples per second.

    Example:
        >>> steps = {name: np.array([9.0, 2.0, 1.0]) for name in ("loss", "accuracy", "grad_norm", "l1")}
        >>> results = {"accuracy": 0.5, "balanced accuracy": 0.4}
        >>> row = epoch_result(1, steps, 2, {"loss": 1.2}, results, Scored(), seconds=0.1, speed=640.0)
        >>> row["train_loss"], row["test_loss"], row["test_acc"], row["terms"], row["metrics"]
        (1.5, 1.2, 0.5, {'l1': 1.5}, {'balanced accuracy': 0.4})
    """
    train = {name: float(column[-count:].mean(dtype=float)) for name, column in steps.items()}
    own = {name.removeprefix(METRIC_PREFIX): seen[name] for name in metric_names(seen)}
    return {
        "epoch": epoch,
        "seconds": seconds,
        "train_loss": train["loss"],
        scored.train: train[scored.score],
        scored.loss: seen["loss"],
        scored.result: results[scored.score],
        "spikes_per_sample": seen.get("spikes_per_sample"),
        "grad_norm": train["grad_norm"],
        "samples_per_second": speed,
        "terms": {name: train[name] for name in term_names(train)},
        "metrics": {name: value for name, value in results.items() if name != scored.score} | own,
    }
