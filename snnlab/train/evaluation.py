"""Measure a whole part of the data with the model of one state, batch by batch."""

from collections.abc import Callable, Iterable, Iterator
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
        batches: of the part; the last one may be smaller than the others.

    Attributes:
        sums: of the task so far.
    """

    def __init__(self, test: Callable, batches: Iterable[Part]):
        self.sums: dict[str, Any] = {}
        self._test, self._batches = test, batches
        self._weighted: dict[str, float] = {}
        self._samples = 0

    def run(self, state) -> Iterator[tuple[dict[str, float], int]]:
        """Measure batch after batch; yield the metrics and the size of each."""
        for number, (x, targets) in enumerate(self._batches):
            measured, sums = self._test(state, x, targets, np.int32(number))
            metrics, size = {name: float(value) for name, value in measured.items()}, len(targets)
            self._samples += size
            for name, value in metrics.items():
                self._weighted[name] = self._weighted.get(name, 0.0) + value * size
            for name, value in sums.items():
                self.sums[name] = self.sums.get(name, 0.0) + np.asarray(value, np.float64)
            yield metrics, size

    @property
    def totals(self) -> dict[str, float]:
        """Means over the samples measured so far, by the names of the history."""
        return {name: value / self._samples for name, value in self._weighted.items()}

    def results(self, task: Task) -> dict[str, float]:
        """Return loss, spikes, metrics of the user's own, and those of the task, after all batches."""
        own = {name: value for name, value in self.totals.items() if name in ("loss", "spikes_per_sample")}
        own |= {name.removeprefix(METRIC_PREFIX): self.totals[name] for name in metric_names(self.totals)}
        return own | task.results(self.sums)
