"""Tasks whose targets are classes: one a sample, one every step, or several a sample."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from snnlab.config import SPIKING_LOSS
from snnlab.data.targets import Targets
from snnlab.losses import Classification, SeveralLabels, StepClassification
from snnlab.losses.terms import class_scores, scores_of
from snnlab.record import Record
from snnlab.tasks.task import Sums

PRICES = {name: SPIKING_LOSS[name] for name in ("l1", "l2")}


@dataclass(frozen=True)
class _Classes:
    """What tasks with one label at a time have in common.

    Args:
        num_classes: of the data.
    """

    num_classes: int
    score: ClassVar[str] = "accuracy"

    def score_of(self, sums: Sums) -> Float[Array, ""]:
        """See `Task`."""
        return sums["right"].sum() / jnp.maximum(sums["seen"].sum(), 1.0)

    def results(self, sums: Sums) -> dict[str, float]:
        """See `Task`."""
        right, seen = np.asarray(sums["right"], np.float64), np.asarray(sums["seen"], np.float64)
        there = seen > 0
        return {
            "accuracy": float(right.sum() / seen.sum()),
            "balanced accuracy": float((right[there] / seen[there]).mean()),
        }

    def _sums(self, right: Bool[Array, "..."], labels: Int[Array, "..."], counted: Bool[Array, "..."] | None):
        """Count the labels of every class, and those that were right."""
        counted = jnp.ones_like(right) if counted is None else counted
        place = jnp.where(counted, labels, self.num_classes).ravel()  # beyond the end is dropped

        def count(values: Bool[Array, "..."]) -> Float[Array, " cls"]:
            return (
                jnp.zeros(self.num_classes, jnp.float32).at[place].add(values.ravel().astype(jnp.float32), mode="drop")
            )

        return {"right": count(right), "seen": count(counted)}


@dataclass(frozen=True)
class LabelTask(_Classes):
    """One label a sample: the class with the highest score is predicted.

        accuracy = right / samples
        balanced accuracy = mean over classes of right_k / samples_k, of those that have a sample

    Source: Brodersen et al. (2010), DOI 10.1109/ICPR.2010.764, for the balanced accuracy.

    Args:
        num_classes: of the data.

    Example:
        >>> task = LabelTask(3)
        >>> sums = task.measure(jnp.eye(3)[jnp.array([0, 0, 1, 0])], Targets(jnp.array([0, 0, 1, 1])))
        >>> task.results(sums)
        {'accuracy': 0.75, 'balanced accuracy': 0.75}
    """

    def loss(self, *, spiking: bool) -> Callable:
        """See `Task`."""
        return Classification(**(SPIKING_LOSS if spiking else {}))

    def compared(self, loss: Callable | None, record: Record) -> Float[Array, "batch cls"]:
        """See `Task`."""
        return class_scores(loss, record)

    def measure(self, scores: Float[Array, "batch cls"], targets: Targets) -> dict[str, Array]:
        """See `Task`."""
        return self._sums(scores.argmax(-1) == targets.values, targets.values, None)


@dataclass(frozen=True)
class StepLabelsTask(_Classes):
    """One label every step: at each, the class with the highest readout is predicted. Steps count, not samples.

    Args:
        num_classes: of the data.

    Example:
        >>> task = StepLabelsTask(2)
        >>> scores = jnp.array([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
        >>> mask = jnp.array([[True, True, False]])
        >>> task.results(task.measure(scores, Targets(jnp.array([[0, 0, 1]]), mask=mask)))
        {'accuracy': 0.5, 'balanced accuracy': 0.5}
    """

    def loss(self, *, spiking: bool) -> Callable:
        """See `Task`."""
        return StepClassification(**(PRICES if spiking else {}))

    def compared(self, loss: Callable | None, record: Record) -> Float[Array, "batch time cls"]:
        """See `Task`."""
        return scores_of(loss, record, record.readout.swapaxes(0, 1))

    def measure(self, scores: Float[Array, "batch time cls"], targets: Targets) -> dict[str, Array]:
        """See `Task`."""
        right = scores.argmax(-1) == targets.values
        return self._sums(right, targets.values, targets.mask)


@dataclass(frozen=True)
class SeveralLabelsTask:
    """Several labels a sample: a class is predicted where its score is above 0.

        accuracy = share of the decisions, one for every sample and class, that are right
        all right = share of the samples of which every decision is right
        F1 = 2 TP / (2 TP + FP + FN), over all decisions

    Example:
        >>> task = SeveralLabelsTask()
        >>> labels = jnp.array([[1, 0], [1, 1]], jnp.uint8)
        >>> found = task.results(task.measure(jnp.array([[2.0, -1.0], [1.0, -3.0]]), Targets(labels)))
        >>> {name: round(value, 3) for name, value in found.items()}
        {'accuracy': 0.75, 'all right': 0.5, 'F1': 0.8}
    """

    score: ClassVar[str] = "accuracy"

    def loss(self, *, spiking: bool) -> Callable:
        """See `Task`."""
        return SeveralLabels(**(PRICES if spiking else {}))

    def compared(self, loss: Callable | None, record: Record) -> Float[Array, "batch cls"]:
        """See `Task`."""
        return scores_of(loss, record, record.mean)

    def measure(self, scores: Float[Array, "batch cls"], targets: Targets) -> dict[str, Array]:
        """See `Task`."""
        said, true = scores > 0.0, targets.values > 0
        right = said == true
        sums = {"right": right, "seen": jnp.ones_like(right)}
        sums |= {"whole": right.all(-1), "samples": jnp.ones(len(right), bool)}
        sums |= {"hits": said & true, "said": said, "true": true}
        return {name: jnp.sum(values, dtype=jnp.float32) for name, values in sums.items()}

    def score_of(self, sums: Sums) -> Float[Array, ""]:
        """See `Task`."""
        return sums["right"] / sums["seen"]

    def results(self, sums: Sums) -> dict[str, float]:
        """See `Task`."""
        either = float(sums["said"] + sums["true"])
        return {
            "accuracy": float(sums["right"] / sums["seen"]),
            "all right": float(sums["whole"] / sums["samples"]),
            "F1": 2.0 * float(sums["hits"]) / either if either else 1.0,
        }
