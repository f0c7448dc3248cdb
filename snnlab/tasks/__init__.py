"""How targets are scored: for each kind of targets a default loss, a score, and further metrics.

What targets may be is told in `snnlab.data.Dataset`.
"""

from snnlab.tasks.labels import LabelTask, SeveralLabelsTask, StepLabelsTask
from snnlab.tasks.numbers import TraceTask, ValueTask
from snnlab.tasks.of_data import task_of
from snnlab.tasks.spike_trains import SpikeTrainTask
from snnlab.tasks.task import Task

__all__ = [
    "LabelTask",
    "SeveralLabelsTask",
    "SpikeTrainTask",
    "StepLabelsTask",
    "Task",
    "TraceTask",
    "ValueTask",
    "task_of",
]
