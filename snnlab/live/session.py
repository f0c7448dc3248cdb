"""A run in a thread of its own: start, step, pause, resume, stop. Touches no widget.

The main thread stays free, so that the notebook's kernel can hand over what the user does.
"""

import threading
import traceback
from collections.abc import Callable

from snnlab.checkpoint import Checkpoints
from snnlab.errors import StateError
from snnlab.history import Report
from snnlab.support.exit import end_at_exit
from snnlab.support.interrupt import uninterrupted
from snnlab.train import Trainer

IDLE, COMPILING, TRAINING, PAUSED, STOPPED, DONE, ERROR = (
    "idle",
    "compiling",
    "training",
    "paused",
    "stopped",
    "done",
    "error",
)


class Session:
    """Drives a `Trainer` in a daemon thread.

        idle -> compiling -> training <-> paused -> stopped -> (start again) training -> done
                                     any of them -> error

    Every call returns at once and may come from any thread; `wait` is the exception.

    Args:
        trainer: the engine.
        on_change: called, in any thread, whenever `state` changes.
        checkpoints: of this trainer, if it saves while it trains.

    Attributes:
        state: one of the names above.
        report: the newest `Report`, or None.
        exception: the one that ended the run, or None.
        error: its traceback, as text, or None.
    """

    def __init__(
        self,
        trainer: Trainer,
        on_change: Callable[[], None] = lambda: None,
        checkpoints: Checkpoints | None = None,
    ):
        self.trainer = trainer
        self.checkpoints = checkpoints
        self.state = IDLE
        self.report: Report | None = None
        self.error: str | None = None
        self.exception: BaseException | None = None
        self._on_change = on_change
        self._lock = threading.Lock()
        self._go = threading.Event()
        self._stop = threading.Event()
        self._over = threading.Event()  # `Thread.join` that is interrupted takes the thread for dead (Python 3.11)
        self._over.set()
        self._hold_after_chunk = False
        self._until_epoch: int | None = None

    @property
    def alive(self) -> bool:
        """The run goes on, or is paused."""
        return self.state in (COMPILING, TRAINING, PAUSED)

    @property
    def paused(self) -> bool:
        """A pause was asked for, and is reached at the latest after the current chunk."""
        return self.alive and not self._go.is_set()

    def start(self) -> None:
        """Begin, or go on after a stop or an error.

        Raises:
            StateError: if it runs already, or all epochs are trained.
        """
        self._begin(hold=False)

    def go_on(self, until_epoch: int | None = None) -> None:
        """Begin, or let it go on, until so many epochs are trained and no further; None is to the end.

        Raises:
            StateError: if all epochs are trained.
        """
        with self._lock:
            alive = self.alive
            if alive:
                self._until_epoch = until_epoch
        self.resume() if alive else self._begin(hold=False, until_epoch=until_epoch)

    def step(self, steps: int | None = 1) -> None:
        """Take some optimizer steps and hold; None takes one chunk of them.

        Raises:
            StateError: if it is training, or all epochs are trained.
        """
        if self.alive and not self.paused:
            raise StateError("step: the run is going on; pause() it first")
        self.trainer.mailbox.stop_at = None if steps is None else len(self.trainer.history) + steps
        if self.alive:
            self._hold_after_chunk = True
            self._go.set()
        else:
            self._begin(hold=True)

    def _begin(self, *, hold: bool, until_epoch: int | None = None) -> None:
        with self._lock:
            if self.alive:
                raise StateError(f"start: the run is {self.state} already; use resume() after a pause")
            if self.trainer.done:
                raise StateError(
                    f"start: all {self.trainer.config.epochs} epochs are trained; make a new one to train on"
                )
            self._over.wait()  # it has said its last state, and is about to end
            self.error = self.exception = None
            self._hold_after_chunk, self._until_epoch = hold, until_epoch
            self._stop.clear()
            self._go.set()
            with uninterrupted():  # a state without its thread would never change again
                self._set_state(COMPILING)
                self._over.clear()
                thread = threading.Thread(target=self._run, name="snnlab-train", daemon=True)
                end_at_exit(thread, self.stop)
                thread.start()

    def pause(self) -> None:
        """Hold before the next chunk; knobs that are moved meanwhile act when it goes on."""
        if self.alive:
            self._go.clear()

    def resume(self) -> None:
        """Go on after a pause."""
        self._hold_after_chunk = False
        self._go.set()

    def stop(self) -> None:
        """End after the current chunk; what was learned is kept, and `start` goes on from there."""
        self._stop.set()
        self._go.set()

    def end(self) -> None:
        """Stop, and wait until the thread is gone; an error that it ended with is not raised."""
        self.stop()
        self._over.wait()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the thread ends; False if it has not ended after `timeout` [s].

        Raises:
            Exception: the one that ended the run, if one did.
        """
        if not self._over.wait(timeout):
            return False
        if self.exception is not None:
            raise self.exception
        return True

    def _run(self) -> None:
        try:
            for report in self.checkpoints or self.trainer:
                self.report = report
                self._hold_if_wanted(report)
                if self._ends_with(report) or not self._may_go_on():
                    break
            self._set_state(DONE if self.trainer.done else STOPPED)
        except BaseException as exception:  # shown on the dashboard: a thread that dies in silence helps nobody
            self.exception = exception
            self.error = traceback.format_exc()
            self._set_state(ERROR)
        finally:
            self._over.set()

    def _hold_if_wanted(self, report: Report) -> None:
        """After the steps that `step` asked for; they may be several chunks."""
        if self._hold_after_chunk and report.phase == "train" and report.step >= (self.trainer.stop_at or 0):
            self._hold_after_chunk = False
            self.trainer.mailbox.stop_at = None
            self._go.clear()

    def _ends_with(self, report: Report) -> bool:
        """Whether the run should end with this epoch."""
        if report.phase != "epoch":
            return False
        with self._lock:  # whoever wants it to go on is heard before it ends, or starts it again
            ends = self._until_epoch is not None and report.epoch >= self._until_epoch and not self.trainer.done
            if ends:
                self._set_state(STOPPED)
        return ends

    def _may_go_on(self) -> bool:
        if not self._go.is_set():
            if self.checkpoints:
                self.checkpoints.save()  # a pause may be long
            self._set_state(PAUSED)
            self._go.wait()
        if not self._stop.is_set():
            self._set_state(TRAINING)
        return not self._stop.is_set()

    def _set_state(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self._on_change()
