"""The pump: at most so many times a second, and only if the last frame was drawn, a run becomes a picture."""

import html
import threading
import time

from snnlab.health import Diagnosis, Health, diverged
from snnlab.live.frames import curves, scenes
from snnlab.live.look.probe import neuron, time_step
from snnlab.live.widgets.dashboard import WARNING
from snnlab.live.widgets.knob_rows import KnobRow

CURVES_EVERY = 2  # pictures; redrawing the curves is what costs a browser most: an eighth of a second each time
GHOSTS = 3  # earlier runs that are shown


class Screen:
    """Shows a LiveTrainer on its dashboard, from a thread of its own.

    Args:
        lab: what is shown.
        display: where.

    Attributes:
        awake: set it to have a frame now.
    """

    def __init__(self, lab, display):
        self._lab, self._display, self._board = lab, display, display.board
        self.awake = threading.Event()
        self._closed = False
        self._shown: tuple | None = None
        self._drawn: tuple | None = None
        self._curves_at = 0.0
        self._ghosts = 0
        self._values: dict[str, float] = {}
        self._health: Health | None = None
        self._scene: tuple | None = None
        self._view: tuple | None = None
        self._thread = threading.Thread(target=self._pump, name="snnlab-pump", daemon=True)

    def open(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, and wait for the frame that is on its way."""
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
                    board.status.value = f"{WARNING}<b>display error</b> {html.escape(repr(error))}"
                    self._shown = None
            self.awake.wait(1.0 / board.hz.value)
            self.awake.clear()

    def show(self) -> None:
        """One frame, if anything changed since the last."""
        lab, board = self._lab, self._board
        for name, knob in lab.trainer.mailbox.knobs.items():
            if name in board.rows:
                self._show_knob(board.rows[name], knob.value)
        with lab.shown_together:  # not in the middle of a restart
            changes = [self._show_status(), self._show_curves(), self._show_health(), self._show_raster()]
        if any(changes):
            board.pulse.beat()

    def _show_knob(self, row: KnobRow, value: float) -> None:
        """The row knows what it posted itself; a new value that it does not know comes from a program."""
        if value != self._values.get(row.name):
            self._values[row.name] = value
            row.follow(value)
        row.show()

    def _show_status(self) -> bool:
        lab, board = self._lab, self._board
        epochs = lab.history.num_epochs
        finding = diverged(lab.exception) or self._display.watcher.finding
        blind = self._display.watcher.error
        words = diagnosis_text(finding) if blind is None else f"{WARNING}cannot look inside: {html.escape(repr(blind))}"
        texts = (status_text(lab, board.message), words, lab.run_label, (lab.history, epochs))
        if texts == self._shown:
            return False
        if self._shown is None or texts[3] != self._shown[3]:  # not with every picture: it grows
            table = lab.history._repr_html_() if epochs else ""
            board.table.value = f"<details><summary>results by epoch ({epochs})</summary>{table}</details>"
        self._shown = texts
        run, proposal = board.buttons["run"], proposed(finding)
        run.description = lab.run_label
        run.icon = "pause" if lab.run_label == "Pause" else "play"
        run.disabled = lab.run_label == "Done"
        for name in ("step", "chunk"):
            board.buttons[name].disabled = lab.run_label in ("Pause", "Done")
        board.buttons["stop"].disabled = lab.run_label not in ("Pause", "Resume")
        board.status.value, board.diagnosis.value = texts[:2]
        board.progress.value = len(lab.history) / lab.trainer.total_steps
        repair = board.buttons["repair"]
        repair.layout.visibility = "visible" if proposal else "hidden"
        repair.description = proposal
        return True

    def _show_curves(self) -> bool:
        lab, board = self._lab, self._board
        now = (lab.trainer, len(lab.history), lab.history.num_epochs, len(lab.history.interventions))
        now += (board.smooth.value, board.log.value, board.pulse.hellos)
        hurried = now[3:] != (self._drawn or now)[3:] or lab.state != "training"
        if board.figure is None or now == self._drawn or not (hurried or time.monotonic() > self._curves_at):
            return False
        self._drawn, self._curves_at = now, time.monotonic() + (CURVES_EVERY - 0.5) / board.hz.value
        if len(lab.runs) != self._ghosts:
            self._ghosts = len(lab.runs)
            board.figure.show_earlier([curves.curves(*run) for run in lab.runs[-GHOSTS:]])
        marks = curves.marks(lab.history.interventions, lab.trainer.total_steps)
        now = curves.curves(lab.history, lab.trainer.steps_per_epoch)
        board.figure.show_run(now, marks, smoothed=board.smooth.value, log=board.log.value)
        board.words.value = curves.words(now)
        return True

    def _show_health(self) -> bool:
        board, watcher = self._board, self._display.watcher
        if board.health is None or watcher.health is None or watcher.health is self._health:
            return False
        self._health = watcher.health
        board.health.frame = scenes.health_frame(watcher.health)
        return True

    def _show_raster(self) -> bool:
        """The sample as the watcher saw it last, and the neuron that is selected in it."""
        trainer, board, look = self._lab.trainer, self._board, self._display.watcher.look
        if board.raster is None or look is None:
            return False
        layer, sort, selected = board.layer.value, board.sort.value, board.raster.selected
        if selected is not None and selected[1] >= look.probe.states[selected[0]].shape[1]:
            selected = None  # of a wider network, before a restart
        now = (look, layer, sort, selected)
        if now == self._view:
            return False
        self._view = now
        names, dt = trainer.data.class_names, time_step(trainer.model)
        one = None if selected is None else scenes.neuron_frame(look.probe, neuron(look.model, *selected), names, dt)
        with board.raster.hold_sync():  # one message: a frame without its scene cannot be drawn
            if (trainer, look.index, layer) != self._scene:
                self._scene = (trainer, look.index, layer)
                board.raster.scene = scenes.raster_scene(look.probe, names, dt, layer)
            board.raster.frame = scenes.raster_frame(look.probe, names, layer, sort, one)
        return True


def status_text(lab, message: str) -> str:
    """State, place, speed, time left, and the last result."""
    if lab.error:
        return curves.error_text(lab.error)
    parts = [f"<b>{lab.state}</b>"]
    report = lab.report
    if report is not None:
        parts.append(f"epoch {report.epoch} of {lab.trainer.config.epochs}")
        parts.append(f"step {report.step} of {report.total_steps}")
        parts.append(f"{report.samples_per_second:,.0f} samples/s")
        parts.append(f"compilations {lab.trainer.compilations}")
        if lab.state in ("training", "paused"):
            parts.append(f"{curves.clock(report.eta)} left")
    elif len(lab.history):  # gone on from a checkpoint
        parts.append(f"step {len(lab.history)} of {lab.trainer.total_steps}")
    for row in lab.history.newest_epochs(1):
        parts.append(f"test accuracy {row['test_acc']:.1%}")
    problem = f"{WARNING}{html.escape(lab.problem)}" if lab.problem else ""
    return " &nbsp; ".join(filter(None, (" &middot; ".join(parts), message, problem)))


def diagnosis_text(finding: Diagnosis | None) -> str:
    """What is wrong; nothing if nothing is."""
    return "" if finding is None else f"{WARNING}{html.escape(finding.text)}"


def proposed(finding: Diagnosis | None) -> str:
    """What the button beside the diagnosis says that it does."""
    if finding is None:
        return ""
    parts = [] if finding.back_to is None else [f"go back to step {finding.back_to}"]
    parts += [] if finding.knob is None else [f"set {finding.knob} to {finding.value:.3g}"]
    return ", ".join([*parts, *(["new seed"] if finding.new_seed else [])])
