"""The screen of a study: its map, the thread that feeds it, and below it the runs and the table that are open."""

import html
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import ipywidgets as w

from snnlab.errors import ArgumentError
from snnlab.live.courtesy import Courtesy
from snnlab.live.frames.map_grid import View
from snnlab.live.frames.map_pace import Pace
from snnlab.live.frames.map_words import Standing, table, value_words
from snnlab.live.widgets.map_screen import MapScreen
from snnlab.live.widgets.study_map import MapDeeds, StudyMap

MOST = 6  # runs that are open below the map: each has a browser draw it
TABLE = "table"
HIGH = 260  # pixels of the table; it scrolls


class Shown(Protocol):
    """What the map needs of a study, such as a `LiveStudy`. Any thread may ask for it."""

    courtesy: Courtesy
    """Asks the computing to step back while somebody waits for a picture."""

    @property
    def standing(self) -> Standing:
        """The study as it is now; a cell that did not change is the same object."""
        ...

    def start(self) -> object:
        """Compute what is left, in the background."""
        ...

    def pause(self) -> object:
        """Compute nothing after what is being computed, and wait for that."""
        ...

    def stop(self) -> object:
        """The same, and let other processes have the folder."""
        ...

    def table(self) -> Any:
        """Every network as a row of a DataFrame."""
        ...

    def open(self, cell: Any) -> Any:
        """The run of a cell, given by its index, at its newest checkpoint, as a LiveTrainer."""
        ...


class _Open(NamedTuple):
    """Something below the map."""

    name: str
    box: w.VBox
    end: Callable[[], object]


class StudyDisplay:
    """Makes the widgets of a study and starts to feed them.

    Args:
        study: what is shown, and what the controls act on.
        hz: pictures per second.

    Attributes:
        board: the map.
        root: the map and what is open below it; what a notebook displays.
        screen: the thread that writes the map.
    """

    def __init__(self, study: Shown, *, hz: float):
        self._study, begun = study, study.standing
        self._axes, self._pace = begun.axes, Pace(begun.epochs)
        self._open: tuple[_Open, ...] = ()
        self._busy, self._lock = "", threading.Lock()
        self._closed = False
        press = {"transport": self._transport, "stop": self._stop, "table": self._toggle_table}
        deeds = MapDeeds(press, self._wish, self._close_number, lambda: table(self._axes, study.standing.cells))
        self.board = StudyMap(begun, deeds, self._hurry)
        self.root = w.VBox([self.board])
        self.screen = MapScreen(self.board, self.standing, lambda: ([one.name for one in self._open], self._busy), hz)
        self.screen.on_answer = study.courtesy.answer
        self.screen.show()  # no page sees a map of which nothing is known yet
        self.screen.open()

    @property
    def view(self) -> View:
        """What the map shows."""
        return self.board.view

    def standing(self) -> Standing:
        """Return the study as it is now, with its speed."""
        now = self._study.standing
        if now.state == "running":
            self._pace.note(time.monotonic(), now.cells)
        else:
            self._pace.forget()
        return now._replace(speed=self._pace.speed, left=self._pace.left)

    def wake(self) -> None:
        """Have a picture now."""
        self.screen.rhythm.ask()

    def _hurry(self) -> None:
        """Have a picture now that somebody waits for."""
        self._study.courtesy.ask()
        self.screen.hurry()

    def close(self) -> None:
        """End the thread and what is open below, and free the widgets."""
        self._closed = True
        self.screen.close()
        for one in self._open:
            self._shut(one)
        self.board.close()
        self.root.close()

    # ---- what takes a second has a thread of its own ----

    def _transport(self) -> None:
        if self._study.standing.state == "running":
            self._begin("pausing …", self._study.pause)
        else:
            self._study.start()

    def _stop(self) -> None:
        self._begin("stopping …", self._study.stop)

    def _begin(self, words: str, act: Callable[[], object]) -> None:
        """Do one thing at a time."""
        with self._lock:
            if self._busy:
                raise ArgumentError(f"please wait: {self._busy}")
            self._busy = words
        threading.Thread(target=self._carry_out, args=(act,), name="snnlab-study-wish", daemon=True).start()

    def _carry_out(self, act: Callable[[], object]) -> None:
        try:
            self.board.do(act, lambda: None)
        finally:
            self._busy = ""
            self.wake()

    # ---- what is open below ----

    def _wish(self, number: int) -> None:
        """Open the run of a cell."""
        index = _index(number, tuple(len(axis.values) for axis in self._axes))
        name = ", ".join(
            f"{axis.name} {value_words(axis.values[k])}" for axis, k in zip(self._axes, index, strict=True)
        )
        if any(one.name == name for one in self._open):
            self.board.say(f"{name} is open below")
            return
        if sum(one.name != TABLE for one in self._open) >= MOST:
            raise ArgumentError(f"open: {MOST} runs are open below; close one of them")
        self._begin(f"opening {name} …", lambda: self._show_run(name, index))

    def _show_run(self, name: str, index: tuple[int, ...]) -> None:
        lab = self._study.open(index)
        self._add(name, lab.display.board, lab.close)
        self.board.say(f"{name} is open below")

    def _toggle_table(self) -> None:
        shown = [one for one in self._open if one.name == TABLE]
        if shown:
            self._close(shown[0])
            return
        written = self._study.table().to_html(border=0, float_format=lambda value: f"{value:.4g}")
        area = f'<div tabindex="0" role="region" aria-label="{TABLE}" style="max-height: {HIGH}px; overflow: auto">'
        self._add(TABLE, w.HTML(f"{area}{written}</div>"), lambda: None)

    def _add(self, name: str, shown: w.Widget, end: Callable[[], object]) -> None:
        close = w.Button(description="close", tooltip=f"close {name}", layout=w.Layout(width="72px"))
        title = w.HTML(f"<b>{html.escape(name)}</b>")
        head = w.HBox([title, close], layout=w.Layout(align_items="center"))
        one = _Open(name, w.VBox([head, shown]), end)
        close.on_click(lambda _: self._close(one))
        with self._lock:
            if not self._closed:
                self._arrange((*self._open, one))
                return
        self._shut(one)  # the map was closed meanwhile

    def _close_number(self, number: int) -> None:
        if number >= len(self._open):
            raise ArgumentError(f"close: must be one of the {len(self._open)} that are open below, got {number}")
        self._close(self._open[number])

    def _close(self, one: _Open) -> None:
        with self._lock:
            self._arrange(tuple(other for other in self._open if other is not one))
        self._shut(one)
        self.wake()

    def _arrange(self, shown: tuple[_Open, ...]) -> None:
        self._open = shown
        self.root.children = (self.board, *(one.box for one in shown))

    def _shut(self, one: _Open) -> None:
        one.end()
        head, shown = one.box.children
        for widget in (*head.children, head, shown, one.box):
            widget.close()


def _index(number: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    found: list[int] = []
    for size in reversed(shape):
        number, k = divmod(number, size)
        found.insert(0, k)
    return tuple(found)
