"""A run in a thread of its own: start, step, pause, resume, stop. Touches no widget.

The main thread stays free, so the Jupyter kernel can deliver what the user does.
"""

import contextlib
import dataclasses
import threading
import time
import traceback
from collections.abc import Callable, Generator

from snnlab.checkpoint import Checkpoints
from snnlab.errors import StateError
from snnlab.history import Report
from snnlab.live.courtesy import Courtesy
from snnlab.live.states import RunState
from snnlab.support.exit import end_at_exit
from snnlab.support.interrupt import uninterrupted, wait_for
from snnlab.timeline import Timeline

MOMENT = 0.05  # seconds in which a pause or another pace is noticed


class Session:
    """Drives a `Trainer` in a daemon thread; see `RunState` for the order of its states.

    Every method except `wait` and `end` returns at once, and any thread may call it.

    Args:
        timeline: the engine, and the points of the run that are kept.
        on_change: called, from any thread, whenever `state` changes.
        checkpoints: of this trainer, if it saves while it trains.
        courtesy: asks the training to step back for a moment.

    Attributes:
        state: where the run stands.
        report: the newest `Report`, or None.
        exception: the exception that ended the run, or None.
        error: its traceback as text, or None.
        landmark: the newest point at which the run started, continued or ended an epoch.
        in_turn: the branches that were last trained in turn, see `run`.
    """

    def __init__(
        self,
        timeline: Timeline,
        on_change: Callable[[], None] = lambda: None,
        checkpoints: Checkpoints | None = None,
        courtesy: Courtesy | None = None,
    ):
        self.trainer = trainer = timeline.trainer
        self._timeline = timeline
        self.checkpoints = checkpoints
        self._courtesy = courtesy or Courtesy()
        self.state = RunState.IDLE
        self.report: Report | None = None
        self.error: str | None = None
        self.exception: BaseException | None = None
        self.landmark = trainer.at
        self.in_turn: tuple[str, ...] = ()
        self._on_change = on_change
        self._lock = threading.Lock()
        self._go = threading.Event()
        self._stop = threading.Event()
        self._over = threading.Event()  # an interrupted `Thread.join` takes the thread for dead (Python 3.11)
        self._over.set()
        self._hold_after_chunk = False
        self._until_epoch: int | None = None
        self._patience: int | None = None
        self._reports: Generator[Report, None, None] | None = None
        self._due = 0.0  # when the next step may be taken, if there is a pace
        self._paced = len(trainer.history)  # the step up to which `_due` counts

    @property
    def alive(self) -> bool:
        """The run is training, or paused."""
        return self.state.alive

    @property
    def paused(self) -> bool:
        """A pause was requested; it is reached after the current chunk at the latest."""
        return self.alive and not self._go.is_set()

    def start(self) -> None:
        """Start, or continue after a stop or an error.

        Raises:
            StateError: if it is running already, or all epochs are trained.
        """
        self._begin(hold=False)

    def train(self, until_epoch: int | None = None, patience: int | None = None) -> None:
        """Start or continue, and stop after this epoch; None trains to the end.

        With a patience, stop when the test accuracy has not risen for that many epochs, and go back to the best one.

        Raises:
            StateError: if all epochs are trained.
        """
        with self._lock:
            alive = self.alive
            if alive:
                self._until_epoch, self._patience = until_epoch, patience
        if alive:
            self.resume()
        else:
            self._begin(hold=False, until_epoch=until_epoch, patience=patience)

    def step(self, steps: int | None = 1) -> None:
        """Take some optimizer steps and pause; None takes one chunk of them.

        Raises:
            StateError: if it is training, or all epochs are trained.
        """
        if self.alive and not self.paused:
            raise StateError("step: the run is training; call pause() first")
        self.trainer.mailbox.stop_at = None if steps is None else len(self.trainer.history) + steps
        if self.alive:
            self._hold_after_chunk = True
            self._go.set()
        else:
            self._begin(hold=True)

    def run(self, *names: str, until: int | None = None) -> None:
        """Start to train branches in turn, to the same step.

        Raises:
            StateError: if it is running already.
            ArgumentError: see `Timeline.run`.
        """
        self._begin(hold=False, reports=self._timeline.run(*names, until=until), in_turn=names)

    def extend(self, epochs: int) -> None:
        """Train all branches for so many epochs in all; a run that was done can go on.

        Raises:
            ArgumentError: see `Timeline.epochs`.
        """
        self._timeline.epochs = epochs
        if not self.alive:
            wait_for(self._over)
            if self.exception is None:
                self.stand()

    def stand(self) -> None:
        """Say where the run stands after it was put elsewhere; an error that it ended with is over."""
        self.error = self.exception = None
        self.landmark = self.trainer.at
        steps = len(self.trainer.history)
        if self.report is not None:
            epoch = max(1, -(-steps // self.trainer.steps_per_epoch))
            self.report = dataclasses.replace(self.report, step=steps, epoch=epoch)
        begun = RunState.STOPPED if steps else RunState.IDLE
        self._set_state(RunState.DONE if self.trainer.done else begun)

    def _begin(
        self,
        *,
        hold: bool,
        until_epoch: int | None = None,
        patience: int | None = None,
        reports: Generator[Report, None, None] | None = None,
        in_turn: tuple[str, ...] = (),
    ) -> None:
        with self._lock:
            if self.alive:
                raise StateError(f"start: the run is {self.state} already; call resume() after a pause")
            if self.trainer.done and reports is None:
                epochs = self.trainer.config.epochs
                raise StateError(
                    f"start: all {epochs} epochs are trained; to train longer, set `epochs = {2 * epochs}`"
                )
            wait_for(self._over)  # it has reported its last state, and its thread is about to end
            self.error = self.exception = None
            self.landmark = self.trainer.at
            self._hold_after_chunk, self._until_epoch, self._patience = hold, until_epoch, patience
            self._reports, self.in_turn = iter(self._timeline) if reports is None else reports, in_turn
            self._stop.clear()
            self._go.set()
            with uninterrupted():  # a state without its thread would never change again
                self._set_state(RunState.COMPILING)
                self._over.clear()
                thread = threading.Thread(target=self._run, name="snnlab-train", daemon=True)
                end_at_exit(thread, self.stop)
                thread.start()

    def pause(self) -> None:
        """Pause before the next chunk; knobs that are moved in the pause act when the run continues."""
        if self.alive:
            self._go.clear()

    def resume(self) -> None:
        """Continue after a pause."""
        self._hold_after_chunk = False
        self._go.set()

    def stop(self) -> None:
        """End after the current chunk; the training so far is kept, and `start` continues from there."""
        self._stop.set()
        self._go.set()

    def end(self) -> None:
        """Stop, and wait until the thread has ended; does not raise the error that it ended with."""
        self.stop()
        wait_for(self._over)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the thread ends; False if it has not ended after `timeout` [s].

        Raises:
            Exception: the exception that ended the run, if one did.
        """
        if not wait_for(self._over, timeout):
            return False
        if self.exception is not None:
            raise self.exception
        return True

    def _run(self) -> None:
        try:
            assert self._reports is not None
            reports = self._reports if self.checkpoints is None else self.checkpoints.of(self._reports)
            with contextlib.closing(reports):
                for report in reports:
                    self._hear(report)
                    if self._ends_with(report) or not self._may_continue():
                        break
            if self.trainer.done or not self._stop.is_set():
                self._timeline.settle(self._patience)
            self._set_state(RunState.DONE if self.trainer.done else RunState.STOPPED)
            if self.state is RunState.DONE and not self.trainer.done:  # more epochs were asked for at this moment
                self._set_state(RunState.STOPPED)
        except BaseException as exception:  # the dashboard shows it: nobody would notice a thread that dies silently
            self.exception = exception
            self.error = traceback.format_exc()
            self._set_state(RunState.ERROR)
        finally:
            self._over.set()

    def _hear(self, report: Report) -> None:
        self.report = report
        if report.phase == "epoch":
            self.landmark = self.trainer.at
        self._hold_if_wanted(report)
        self._courtesy.give_way()
        self.trainer.mailbox.brief = self._courtesy.recent
        self._keep_pace(report)

    def _keep_pace(self, report: Report) -> None:
        """Wait until the run may continue, if it has a pace; a pause, a stop and another pace end the wait."""
        pace, taken = self.trainer.mailbox.pace, report.step - self._paced
        self._paced = report.step
        now = time.monotonic()
        self._due = now if pace is None else max(self._due, now) + max(0, taken) / pace
        while (left := self._due - time.monotonic()) > 0 and pace == self.trainer.mailbox.pace:
            if not self._go.is_set() or self._stop.wait(min(left, MOMENT)):
                break

    def _hold_if_wanted(self, report: Report) -> None:
        """Pause after the steps that `step` asked for; they may be several chunks."""
        if self._hold_after_chunk and report.phase == "train" and report.step >= (self.trainer.stop_at or 0):
            self._hold_after_chunk = False
            self.trainer.mailbox.stop_at = None
            self._go.clear()

    def _ends_with(self, report: Report) -> bool:
        """Whether the run should stop after this epoch."""
        if report.phase != "epoch":
            return False
        with self._lock:  # a caller of `train` is heard before the run ends, or starts it again
            ends = self._until_epoch is not None and report.epoch >= self._until_epoch and not self.trainer.done
            ends = ends or (not self._stop.is_set() and self._timeline.stops_after(report, self._patience))
            if ends:
                self._set_state(RunState.STOPPED)
        return ends

    def _may_continue(self) -> bool:
        if not self._go.is_set():
            if self.checkpoints:
                self.checkpoints.save()  # a pause may be long
            self._set_state(RunState.PAUSED)
            self._go.wait()
            self.landmark = self.trainer.at
        if not self._stop.is_set():
            self._set_state(RunState.TRAINING)
        return not self._stop.is_set()

    def _set_state(self, state: RunState) -> None:
        if state != self.state:
            self.state = state
            self._on_change()
