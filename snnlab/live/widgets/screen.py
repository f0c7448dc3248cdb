"""The pump: at most `hz` times a second, and only if the last picture was drawn, it shows a run on the dashboard."""

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from snnlab.history import History
from snnlab.live.frames import curves, scenes, words
from snnlab.live.frames.probe import Look
from snnlab.live.frames.status import Recorded, Status, View
from snnlab.live.states import RunState, Transport
from snnlab.live.widgets.dashboard import TRANSPORT, Dashboard
from snnlab.support.markup import plain

CURVES_EVERY = 2  # pictures; redrawing the curves costs a browser most: an eighth of a second each time
GHOSTS = 3  # earlier runs that are shown


class _Texts(NamedTuple):
    """The texts of a picture; a new picture is drawn when one of them changes."""

    status: str
    diagnosis: str
    repair: str
    transport: Transport
    history: History
    epochs: int


class _Urgent(NamedTuple):
    """What shows in the curves at once, also while it trains."""

    moves: int
    smoothed: bool
    log: bool


class _Drawn(NamedTuple):
    """What the curves depend on."""

    history: History
    steps: int
    epochs: int
    urgent: _Urgent


class _Raster(NamedTuple):
    """What the raster depends on."""

    look: Look
    layer: Any  # the value of a dropdown, which has no type
    sort: Any
    selected: tuple[str, int] | None


class Screen:
    """Shows a run on its dashboard, from a thread of its own.

    Args:
        board: where it is shown.
        view: returns what is shown.

    Attributes:
        awake: set it to have a picture now.
    """

    def __init__(self, board: Dashboard, view: Callable[[], View]):
        self._board, self._view = board, view
        self.awake = threading.Event()
        self._showing = threading.Lock()
        self._closed = False
        self._texts: _Texts | None = None
        self._drawn: _Drawn | None = None
        self._curves_at = 0.0
        self._ghosts: tuple[Recorded, ...] = ()
        self._values: dict[str, float] = {}
        self._health: object = None
        self._raster: _Raster | None = None
        self._hellos = 0
        self._thread = threading.Thread(target=self._pump, name="snnlab-pump", daemon=True)

    def open(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, and wait for the picture that it is sending."""
        self._closed = True
        self.awake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _pump(self) -> None:
        board = self._board
        while not self._closed:
            if board.pulse.ready:
                try:
                    self.show()
                except Exception as error:  # a picture that fails must not end all pictures
                    board.status.value = words.warning(f"display error: {error!r}")
                    self._texts = None
            self.awake.wait(1.0 / board.rate)
            self.awake.clear()

    def show(self) -> None:
        """Send one picture, if anything changed since the last one. Any thread may call it."""
        with self._showing:  # an older view must not be shown after a newer one
            view = self._view()
            self._show_knobs(view.status)
            shown = [self._show_texts(view), self._show_curves(view.status), self._show_health(view)]
            if any([*shown, self._show_raster(view.look), self._greet()]):
                self._board.pulse.beat()

    def _greet(self) -> bool:
        """Send everything to a page that has just been opened; returns whether there is one."""
        hellos = self._board.pulse.hellos
        if hellos == self._hellos:
            return False
        self._hellos = hellos
        self._board.send_everything()
        return True

    def _show_knobs(self, status: Status) -> None:
        """A row knows the values that it posted; a new value that it does not know comes from a program."""
        for name, row in self._board.rows.items():
            knob = status.knobs.get(name)
            if knob is None:
                continue
            if knob.value != self._values.get(name):
                self._values[name] = knob.value
                row.follow(knob.value)
            row.show()

    def _show_texts(self, view: View) -> bool:
        board, status, old = self._board, view.status, self._texts
        new = _Texts(
            words.status_text(status, board.message),
            words.diagnosis_text(view),
            words.repair_text(view.finding),
            status.transport,
            status.recorded.history,
            status.recorded.history.num_epochs,
        )
        if new == old:
            return False
        if old is None or (new.history, new.epochs) != (old.history, old.epochs):  # not every time: it grows
            board.table.value = words.results_table(status)
        self._texts = new
        self._show_buttons(new)
        board.status.value, board.diagnosis.value = new.status, new.diagnosis
        board.progress.value = len(new.history) / status.total_steps
        return True

    def _show_buttons(self, texts: _Texts) -> None:
        buttons, transport = self._board.buttons, texts.transport
        buttons["transport"].description, buttons["transport"].icon = TRANSPORT[transport]
        buttons["transport"].disabled = transport is Transport.NOTHING
        for name in ("step", "chunk"):
            buttons[name].disabled = transport in (Transport.PAUSE, Transport.NOTHING)
        buttons["stop"].disabled = transport not in (Transport.PAUSE, Transport.RESUME)
        buttons["repair"].layout.visibility = "visible" if texts.repair else "hidden"
        buttons["repair"].description = texts.repair

    def _show_curves(self, status: Status) -> bool:
        board, recorded = self._board, status.recorded
        if board.figure is None:
            return False
        history = recorded.history
        urgent = _Urgent(history.num_moves, board.smooth.value, board.log.value)
        new, old = _Drawn(history, len(history), history.num_epochs, urgent), self._drawn
        hurry = status.state is not RunState.TRAINING or (old is not None and urgent != old.urgent)
        if new == old or not (hurry or time.monotonic() > self._curves_at):
            return False
        self._drawn, self._curves_at = new, time.monotonic() + (CURVES_EVERY - 0.5) / board.rate
        if status.earlier != self._ghosts:
            self._ghosts = status.earlier
            board.figure.show_earlier([curves.curves(*run) for run in status.earlier[-GHOSTS:]])
        marks = curves.marks(history.interventions, status.total_steps)
        now = curves.curves(*recorded)
        board.figure.show_run(now, marks, smoothed=board.smooth.value, log=board.log.value)
        board.words.value = plain(curves.words(now))
        return True

    def _show_health(self, view: View) -> bool:
        if self._board.health is None or view.health is None or view.health is self._health:
            return False
        self._health = view.health
        self._board.health.frame = scenes.health_frame(view.health)
        return True

    def _show_raster(self, look: Look | None) -> bool:
        """Show the sample as the watcher saw it last, and the neuron that is selected in it."""
        board = self._board
        if board.raster is None or look is None:
            return False
        selected = board.raster.selected
        if selected is not None and selected[1] >= look.probe.states[selected[0]].shape[1]:
            selected = None  # of a wider network, before a restart
        new = _Raster(look, board.layer.value, board.sort.value, selected)
        if new == self._raster:
            return False
        self._raster = new
        probe, names, layer, sort = look.probe, look.class_names, new.layer, new.sort
        neuron = None if selected is None else scenes.neuron_frame(probe, look.neuron(*selected), names, look.dt)
        scene = scenes.raster_scene(probe, names, look.dt, layer)
        board.raster.show(scene, scenes.raster_frame(probe, names, layer, sort, neuron))
        return True
