"""Who is computed next, and how far: the rounds of a study. It knows no engine, computes nothing, and loads no JAX."""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import NamedTuple, Protocol

from snnlab.study.cells import Cell, Fate, Row
from snnlab.study.plan import Plan
from snnlab.study.space import Index
from snnlab.study.stopping import gates, has_rule, passing


class Task(NamedTuple):
    """What an engine is asked to do: train these cells until so many epochs."""

    cells: list[Index]
    until: int


class GivenUp(NamedTuple):
    """A cell that a comparison with others stopped, and why."""

    cell: Index
    why: str


class Source(Protocol):
    """Where cells come from: the grid in its order, or a search that learns from what it is told."""

    def more(self, count: int) -> list[Index]:
        """Return up to so many further cells; fewer if these are all for now, none if there are no more."""
        ...

    def told(self, index: Index, row: Row | None) -> None:
        """Learn what came of a cell, None if nothing did."""
        ...


class Grid:
    """All cells, in the order of work.

    Example:
        >>> Grid([(0,), (2,), (1,)]).more(2)
        [(0,), (2,)]
    """

    def __init__(self, order: Iterable[Index]):
        self._left = list(order)

    def more(self, count: int) -> list[Index]:
        """See `Source`."""
        taken, self._left = self._left[:count], self._left[count:]
        return taken

    def told(self, index: Index, row: Row | None) -> None:
        """A grid learns nothing."""


class Agenda:
    """Gives out work, round by round, and gives up cells that the rule of the study stops.

    Ask `next` for work, `tell` what became of each cell, and settle what `given_up` returns. One thread at a time may
    use it.

    Args:
        plan: of the study.
        cells: what is known of each cell.
        source: where cells come from; default: the grid, coarse to fine.
        stride: epochs of one task at most; None for as many as the rule allows.
        clock: returns the time [s].

    Example:
        >>> from snnlab.config import SnnConfig
        >>> from snnlab.study.plan import DataId
        >>> from snnlab.study.space import Space
        >>> data = DataId(name="digits", crc=1, samples=(1437, 360))
        >>> space = Space.of({"v_th": [0.5, 1.0, 2.0]})
        >>> plan = Plan(space=space, model=SnnConfig(), data=data, epochs=3, stop="halving")
        >>> cells = {index: Cell(index, plan.space.point(index)) for index in plan.space}
        >>> agenda = Agenda(plan, cells)
        >>> agenda.next(most=2), agenda.next(most=2)
        (Task(cells=[(0,), (1,)], until=1), Task(cells=[(2,)], until=1))
        >>> for (k,), cell in cells.items():
        ...     row = Row(epoch=1, steps=11, loss=1.0, accuracy=0.5 + 0.1 * k, spikes=50.0)
        ...     agenda.tell(Cell(cell.index, cell.point, Fate.RUNNING, rows=(row,)))
        >>> agenda.next(), [given_up.cell for given_up in agenda.given_up()]
        (Task(cells=[(2,)], until=3), [(0,), (1,)])
    """

    def __init__(
        self,
        plan: Plan,
        cells: Mapping[Index, Cell],
        source: Source | None = None,
        *,
        stride: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._plan, self._cells, self._stride, self._clock = plan, dict(cells), stride, clock
        self._source = Grid(plan.space.in_order()) if source is None else source
        self._deep = plan.search is not None  # go on with what is begun, before new cells
        self._gates = gates(plan.epochs) if has_rule(plan.stop, "halving") else ()
        self._waiting: list[Index] = []  # given by the source, in its order
        self._known: set[Index] = set()
        self._out: dict[Index, int] = {}  # computed now, and until when
        self._elsewhere: dict[Index, float] = {}  # of these, computed by others; and when to ask for them again
        self._passed: dict[int, set[Index]] = {gate: set() for gate in self._gates}
        self._given_up: list[GivenUp] = []
        self._told: set[Index] = set()
        self._dry = False  # the source has no more
        if not self._deep:
            self._pull(len(plan.space))
            self._dry = True
        for gate in self._gates:  # of a study that goes on: who is beyond a gate has passed it
            self._passed[gate] |= {index for index, cell in self._cells.items() if len(cell.rows) > gate}

    @property
    def done(self) -> bool:
        """Whether nothing is left to do, and nothing is being done."""
        return not self._out and self._dry and not any(map(self._is_open, self._known))

    def next(self, most: int = 1, alike: Callable[[Index], Hashable] = lambda index: None) -> Task | None:
        """Return work, or None if there is none at the moment; there may be more when others are told.

        Args:
            most: number of cells.
            alike: cells of one task have the same value of this.
        """
        for index in [index for index, when in self._elsewhere.items() if when <= self._clock()]:
            self._forget(index)
        ready = self._ready()
        if not ready and not self._dry:
            self._pull(most)
            ready = self._ready()
        if not ready:
            return None
        until, first = ready[0][0], ready[0][1]
        begun, group = len(self._cells[first].rows), alike(first)
        chosen = [
            index
            for goal, index in ready
            if goal == until and len(self._cells[index].rows) == begun and alike(index) == group
        ][:most]
        self._out |= dict.fromkeys(chosen, until)
        if begun in self._passed:
            self._passed[begun] |= set(chosen)
        return Task(chosen, until)

    def tell(self, cell: Cell) -> None:
        """Learn where a cell stands now; unless it is still being computed, it may be given out again."""
        if not cell.computing:
            self._forget(cell.index)
        self._cells[cell.index] = cell
        self._tell_source(cell)

    def put_back(self, index: Index, seconds: float = 0.0) -> None:
        """Take back a cell that was given out and not computed.

        Args:
            index: of the cell.
            seconds: until it may be given out again: somebody else computes it, and may die.
        """
        if seconds > 0.0:
            self._elsewhere[index] = self._clock() + seconds
        else:
            self._forget(index)

    def _forget(self, index: Index) -> None:
        self._out.pop(index, None)
        self._elsewhere.pop(index, None)

    def given_up(self) -> list[GivenUp]:
        """Return the cells that the rule has stopped since the last call."""
        self._close_gates()
        found, self._given_up = self._given_up, []
        return found

    def _pull(self, count: int) -> None:
        new = self._source.more(count)
        self._dry = self._dry or not new
        for index in new:
            if index not in self._known:
                self._known.add(index)
                self._waiting.append(index)
            self._tell_source(self._cells[index])

    def _tell_source(self, cell: Cell) -> None:
        """Tell the source once, of all cells after the same number of epochs: the first gate, or the last epoch."""
        compared = self._gates[0] if self._gates else self._plan.epochs
        over = cell.fate in (Fate.STOPPED, Fate.FAILED)
        if cell.index in self._known and cell.index not in self._told and (over or len(cell.rows) >= compared):
            self._told.add(cell.index)
            self._source.told(cell.index, cell.rows[min(compared, len(cell.rows)) - 1] if cell.rows else None)

    def _is_open(self, index: Index) -> bool:
        cell = self._cells[index]
        return not cell.fate.over and len(cell.rows) < self._plan.epochs

    def _ready(self) -> list[tuple[int, Index]]:
        """Return the cells that may be computed, with the epoch to go to, in the order of work."""
        self._close_gates()
        free = {
            gate: {*self._passed[gate], *passing(self._arrived(gate), gate, closed=self._is_closed(gate))}
            for gate in self._gates
        }
        found = []
        for place, index in enumerate(self._waiting):
            if index in self._out or not self._is_open(index):
                continue
            begun = len(self._cells[index].rows)
            if begun in free and index not in free[begun]:
                continue
            goal = next((gate for gate in self._gates if gate > begun), self._plan.epochs)
            goal = goal if self._stride is None else min(goal, begun + self._stride)
            found.append(((-goal if self._deep else goal, -begun, place), goal, index))
        return [(goal, index) for _, goal, index in sorted(found)]

    def _arrived(self, gate: int) -> dict[Index, tuple[Row, ...]]:
        return {index: self._cells[index].rows for index in self._known if len(self._cells[index].rows) >= gate}

    def _is_closed(self, gate: int) -> bool:
        """Whether no more cells can reach a gate."""
        if not self._dry:
            return False
        before = [earlier for earlier in self._gates if earlier < gate]
        if any(not self._is_closed(earlier) for earlier in before):
            return False
        return all(not self._is_open(index) or len(self._cells[index].rows) >= gate for index in self._known)

    def _close_gates(self) -> None:
        """Give up the cells that rest at a gate which is closed, and were not among the best."""
        for gate in self._gates:
            if not self._is_closed(gate):
                return
            arrived = self._arrived(gate)
            self._passed[gate] |= set(passing(arrived, gate, closed=True))
            epochs = "1 epoch" if gate == 1 else f"{gate} epochs"
            for index in arrived:
                cell = self._cells[index]
                if len(cell.rows) == gate and index not in self._passed[gate] and self._is_open(index):
                    why = f"halving: not among the best {len(self._passed[gate])} of {len(arrived)} after {epochs}"
                    self._given_up.append(GivenUp(index, why))
                    self._cells[index] = Cell(index, cell.point, Fate.STOPPED, cell.rows, cell.finding, why)
