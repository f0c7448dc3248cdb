"""The task that a data set has."""

import numpy as np

from snnlab.data import Dataset
from snnlab.tasks.labels import LabelTask, SeveralLabelsTask, StepLabelsTask
from snnlab.tasks.numbers import TraceTask, ValueTask
from snnlab.tasks.spike_trains import SpikeTrainTask
from snnlab.tasks.task import Task


def task_of(data: Dataset) -> Task:
    """Return how the targets of a data set are scored.

    Example:
        >>> from snnlab import data
        >>> task_of(data.load("digits")).score
        'accuracy'
    """
    if data.task in ("label", "step_labels"):
        kind = LabelTask if data.task == "label" else StepLabelsTask
        return kind(data.num_classes)
    if data.task == "several_labels":
        return SeveralLabelsTask()
    if data.task == "spike_trains":
        return SpikeTrainTask()
    values, mask = data.y_train, data.mask_train
    rows = values.reshape(-1, values.shape[-1]) if mask is None else values[mask]
    mean, deviation = rows.mean(0, dtype=np.float64), rows.std(0, dtype=np.float64)
    deviation = np.where(deviation > 0.0, deviation, 1.0)  # an output that never varies is learned in its own unit
    kind = ValueTask if data.task == "values" else TraceTask
    return kind(tuple(mean.tolist()), tuple(deviation.tolist()))
