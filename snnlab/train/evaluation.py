"""Measure a whole part of the data with the model of one state, batch by batch."""

from collections.abc import Callable
from typing import Any

import numpy as np

from snnlab.data.dataset import Part
from snnlab.history.report import METRIC_PREFIX, metric_names
from snnlab.tasks import Task


class Evaluation:
    """What was measured of a part so far.

    The loss and the other metrics of the steps are means over the batches, weighted by their sizes; the score and the
    other metrics of the task are computed from its sums.

    Args:
        test: the compiled `Structure.test`.
        part: of the data.
        batch_size: of all batches; the last one may be smaller.

    Attributes:
        totals: means so far, by the names of the history.
        sums: of the task so far.
    """

    def __init__(self, test: Callable, part: Part, batch_size: int):
        self.totals: dict[str, float] = {}
        self.sums: dict[str, Any] = {}
        self._test, self._part, self._batch_size = test, part, batch_size

    def __len__(self) -> int:
        """Number of batches."""
        return -(-len(self._part.x) // self._batch_size)

    def add(self, state, number: int) -> tuple[dict[str, float], int]:
        """Measure batch `number`; return its metrics and its size."""
        x, targets = self._part
        batch = slice(number * self._batch_size, (number + 1) * self._batch_size)
        measured, sums = self._test(state, x[batch], targets[batch], np.int32(number))
        metrics, size = {name: float(value) for name, value in measured.items()}, len(targets[batch])
        for name, value in metrics.items():
            self.totals[name] = self.totals.get(name, 0.0) + value * size / len(targets)
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + np.asarray(value, np.float64)
        return metrics, size

    def results(self, task: Task) -> dict[str, float]:
        """Return loss, spikes, metrics of the user's own, and those of the task, after all batches."""
        own = {name: value for name, value in self.totals.items() if name in ("loss", "spikes_per_sample")}
        own |= {name.removeprefix(METRIC_PREFIX): self.totals[name] for name in metric_names(self.totals)}
        return own | task.results(self.sums)
