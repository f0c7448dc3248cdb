"""Studies made by hand, for the tests of the map."""

import numpy as np

from snnlab.live.courtesy import Courtesy
from snnlab.live.frames.map_words import Standing
from snnlab.study.cells import Axis, Cell, Fate, Row

TAU = Axis("tau_mem", (1.0, 3.0, 10.0, 30.0, 100.0), log=True)
THRESHOLD = Axis("v_th", (0.5, 1.0, 2.0))
HIDDEN = Axis("hidden", (50, 100))
SEEDS = Axis("seed", (0, 1, 2), seeds=True)
AXES_OF_MAP = (TAU, THRESHOLD, SEEDS)
EPOCHS = 4


def point(axes, index) -> dict:
    return {axis.name: axis.values[k] for axis, k in zip(axes, index, strict=True)}


def rows(score: float, spikes: float, epochs: int = EPOCHS) -> tuple[Row, ...]:
    """Epochs that end with these numbers."""
    return tuple(Row(k, 9 * k, 1.0 / k, score * k / epochs, spikes) for k in range(1, epochs + 1))


def done(axes, index, score: float, spikes: float, **more) -> Cell:
    return Cell(index, point(axes, index), **{"fate": Fate.DONE, "rows": rows(score, spikes)} | more)


def random_study(axes, seed: int = 0, missing: float = 0.2) -> Standing:
    """Every cell with a random result, or none."""
    rng = np.random.default_rng(seed)
    cells = []
    for index in np.ndindex(*(len(axis.values) for axis in axes)):
        known = rng.random() > missing
        cell = done(axes, index, float(rng.random()), float(rng.random() * 200)) if known else None
        cells.append(cell or Cell(index, point(axes, index)))
    return Standing(tuple(axes), tuple(cells), EPOCHS)


class FakeStudy:
    """A study that computes nothing: what the map needs of it, and what was asked."""

    def __init__(self, standing: Standing):
        self.standing = standing
        self.courtesy = Courtesy()
        self.asked: list = []

    def start(self) -> None:
        self.asked.append("start")
        self.standing = self.standing._replace(state="running")

    def pause(self) -> None:
        self.asked.append("pause")
        self.standing = self.standing._replace(state="paused")

    def stop(self) -> None:
        self.asked.append("stop")
        self.standing = self.standing._replace(state="stopped")

    def table(self):
        import pandas

        return pandas.DataFrame([dict(cell.point) for cell in self.standing.cells])

    def open(self, cell):
        self.asked.append(cell)
        raise NotImplementedError

    def put(self, *cells: Cell) -> None:
        """Replace cells."""
        new = {cell.index: cell for cell in cells}
        self.standing = self.standing._replace(cells=tuple(new.get(c.index, c) for c in self.standing.cells))
