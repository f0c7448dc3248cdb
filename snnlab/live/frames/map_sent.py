"""What a page knows of a study, so that it is sent no more than what has changed."""

import threading
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from snnlab.live.frames.map_grid import COLUMNS, Grid, View, changed, grid, rows_of, space, standing_of
from snnlab.live.frames.map_words import Standing, drawn_map
from snnlab.study.cells import Cell

LONGEST = 300  # characters of a reason


class News(NamedTuple):
    """What has changed.

    Attributes:
        version: counts the changes; a page that has missed one asks for everything.
        view: whether the map shows other axes: then its places are sent anew, and are not here.
        places: number of a place, and its numbers, see `Grid.sent`.
        cells: see `standing_of`.
        rows: epochs that are new, see `rows_of`.
        why: reasons of the cells that were stopped or failed, by the number of the cell.
    """

    version: int
    view: bool
    places: Float32[np.ndarray, "places 13"]
    cells: Float32[np.ndarray, "cells 4"]
    rows: Float32[np.ndarray, "rows 5"]
    why: dict[str, str]

    def message(self) -> tuple[dict[str, Any], list[bytes]]:
        """Return what is sent: a message, and its binary parts."""
        parts = [part.tobytes() for part in (self.places, self.cells, self.rows)]
        return {"news": self.version, "why": self.why}, parts


class Sent:
    """What was sent of a study.

    Any thread may call its methods.

    Args:
        standing: the study; its axes and epochs do not change.
        view: what the map shows.

    Attributes:
        version: of the newest change.
        grid: the newest map.

    Example:
        >>> from snnlab.live.frames.map_grid import first_view
        >>> from snnlab.study.cells import Axis, Fate, Row
        >>> axes = (Axis("v_th", (0.5, 1.0)),)
        >>> waiting = tuple(Cell((k,), {}) for k in range(2))
        >>> sent = Sent(Standing(axes, waiting, 2), first_view(axes))
        >>> done = Cell((1,), {}, Fate.RUNNING, (Row(1, 9, 0.5, 0.75, 40.0),))
        >>> news = sent.take(Standing(axes, (waiting[0], done), 2), first_view(axes))
        >>> news.places[:, 0].tolist(), news.rows.tolist(), len(news.cells)
        ([1.0], [[1.0, 1.0, 0.5, 0.75, 40.0]], 1)
        >>> sent.take(Standing(axes, (waiting[0], done), 2), first_view(axes)) is None
        True
    """

    def __init__(self, standing: Standing, view: View):
        self._lock = threading.Lock()
        self._shape = tuple(len(axis.values) for axis in standing.axes)
        self._cells: dict[tuple[int, ...], Cell] = {cell.index: cell for cell in standing.cells}
        self._view = view
        self.version = 0
        self.grid = self._grid(standing, view)
        self._sent = self.grid.sent
        self.drawn = drawn_map(standing, view, self.grid)

    def _grid(self, standing: Standing, view: View) -> Grid:
        return grid(standing.axes, space(standing.axes, self._cells.values()), view, standing.epochs)

    def _number(self, cell: Cell) -> int:
        return int(np.ravel_multi_index(cell.index, self._shape))

    def take(self, standing: Standing, view: View) -> News | None:
        """Note the study as it is now; returns what has changed for the page, or None."""
        with self._lock:
            return self._take(standing, view)

    def _take(self, standing: Standing, view: View) -> News | None:
        others = [cell for cell in standing.cells if self._cells.get(cell.index) is not cell]
        fresh = [cell for cell in others if self._cells.get(cell.index) != cell]
        other_view = view != self._view
        if not fresh and not other_view:
            return None
        cells, rows, why = [], [], {}
        for cell in fresh:
            number, old = self._number(cell), self._cells.get(cell.index)
            cells.append(standing_of(number, cell))
            rows += rows_of(number, cell, _common(old, cell))
            if cell.why:
                why[str(number)] = cell.why[:LONGEST]
        self._cells |= {cell.index: cell for cell in others}
        self.grid, sent = self._grid(standing, view), self._sent
        self._sent = self.grid.sent
        anew = _without_lines(view) != _without_lines(self._view)
        places = [] if anew else changed(sent, self._sent)
        self._view = view
        self.drawn = drawn_map(standing, view, self.grid)
        if anew or len(places) or cells:
            self.version += 1
        numbered = np.column_stack([places, self._sent[places]]) if len(places) else ()
        return News(self.version, anew, _table(numbered, 1 + COLUMNS), _table(cells, 4), _table(rows, 5), why)

    def places(self) -> dict[str, Any]:
        """Return the whole map, for a page that knows nothing of it."""
        with self._lock:
            shape, view = self.grid.shape, self._view
            return {
                "version": self.version,
                "shape": list(shape),
                "x": view.x,
                "y": view.y,
                "values": self._sent.tobytes(),
            }

    def cells(self) -> dict[str, Any]:
        """Return where every cell stands, and all its epochs, for a page that knows nothing of them."""
        with self._lock:
            numbered = [(self._number(cell), cell) for cell in self._cells.values()]
            rows = [row for number, cell in numbered for row in rows_of(number, cell)]
            return {
                "version": self.version,
                "cells": _table([standing_of(number, cell) for number, cell in numbered], 4).tobytes(),
                "rows": _table(rows, 5).tobytes(),
                "why": {str(number): cell.why[:LONGEST] for number, cell in numbered if cell.why},
            }


def _common(old: Cell | None, new: Cell) -> int:
    """How many rows both have: all that the old one had, unless it went back."""
    known = () if old is None else old.rows
    return len(known) if new.rows[: len(known)] == known else 0


def _without_lines(view: View) -> View:
    """The view as far as the places depend on it."""
    return replace(view, level=None, contour=False, front=False)


def _table(rows: Any, columns: int) -> Float32[np.ndarray, "rows columns"]:
    return np.asarray(rows, np.float32).reshape(-1, columns)
