"""What the tests of studies are made of: a small plan, and rows of a surface that is known."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from networks import SMALL

from snnlab.data import Dataset
from snnlab.study.agenda import Agenda
from snnlab.study.cells import Cell, Fate, Row
from snnlab.study.folder import StudyFolder
from snnlab.study.plan import Config, DataId, Plan
from snnlab.study.space import Index, Space

NOWHERE = DataId(name="digits", crc=1, samples=(256, 64), source="digits")


def plan_of(over: Mapping[str, Iterable[Any]], model: Config | str = SMALL, **options: Any) -> Plan:
    """A plan that needs no data."""
    return Plan(**{"space": Space.of(over), "model": model, "data": NOWHERE, "epochs": 3} | options)


def plan_on(data: Dataset, over: Mapping[str, Iterable[Any]], model: Config | str = SMALL, **options: Any) -> Plan:
    """A plan that trains on a data set."""
    from snnlab.study.work import id_of

    return plan_of(over, model, **{"data": id_of(data), "batch_size": 32, "epochs": 2} | options)


def row(epoch: int, accuracy: float = 0.5, spikes: float = 50.0, loss: float = 1.0) -> Row:
    return Row(epoch=epoch, steps=8 * epoch, loss=loss, accuracy=accuracy, spikes=spikes)


class Hill:
    """Accuracy over a grid: a peak, and the same rise towards it everywhere; more epochs raise every cell alike.

    accuracy(x, epoch) = exp(-|x - peak|^2 / 20) (1 - exp(-epoch / 2))
    """

    def __init__(self, shape: tuple[int, ...], peak: Index):
        self.peak = peak
        self.shape = shape
        self.computed = 0

    def height(self, index: Index) -> float:
        return math.exp(-float(((np.array(index) - self.peak) ** 2).sum()) / 20.0)

    def row(self, index: Index, epoch: int) -> Row:
        return row(epoch, accuracy=self.height(index) * (1.0 - math.exp(-epoch / 2.0)), spikes=10.0 + sum(index))

    def advance(self, cell: Cell, until: int, epochs: int) -> Cell:
        """Return a cell after more epochs, which are counted."""
        new = [self.row(cell.index, epoch) for epoch in range(len(cell.rows) + 1, until + 1)]
        self.computed += len(new)
        rows = (*cell.rows, *new)
        return Cell(cell.index, cell.point, Fate.DONE if len(rows) >= epochs else Fate.RUNNING, rows)


def play(agenda: Agenda, plan: Plan, hill: Hill, most: int = 1) -> tuple[dict[Index, Cell], list[Index]]:
    """Compute a study on a hill; return the cells, and the order in which they were given out."""
    cells = {index: Cell(index, plan.space.point(index)) for index in plan.space}
    order = []
    while True:
        for index, why in agenda.given_up():
            cells[index] = Cell(index, cells[index].point, Fate.STOPPED, cells[index].rows, why=why)
        task = agenda.next(most)
        if task is None:
            return cells, order
        order += task.cells
        for index in task.cells:
            cells[index] = hill.advance(cells[index], task.until, plan.epochs)
        for index in task.cells:
            agenda.tell(cells[index])


def bits(folder: StudyFolder, index: Index) -> dict[str, bytes]:
    """All arrays of the newest checkpoint of a cell."""
    from snnlab.checkpoint.folder import newest_in

    return {name: array.tobytes() for name, array in newest_in(folder.place(index)).arrays.items()}
