"""A trainer that can be killed: it saves while it trains, and goes on bit for bit from what was saved.

    for report in Checkpoints(trainer, "runs/digits"):
        print(report.step, report.metrics)

Run it again, after a crash or a power cut, and it goes on where it was.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

from snnlab.checkpoint.folder import CheckpointFolder, reason
from snnlab.checkpoint.snapshot import Snapshot, put_back, take
from snnlab.history import Report
from snnlab.support import arguments
from snnlab.support.exit import close_at_exit
from snnlab.train import Trainer
from snnlab.train.point import Point

SHARE = 0.1  # of the time that saving may take: what takes longer, because the history is long, is saved less often


class Checkpoints:
    """A trainer's reports, with the run saved every so often in between, and at the end.

    A snapshot is taken between two chunks and written by a thread of its own, so the training does not wait. If it
    cannot be written (the disk is full, the folder read-only or gone), training goes on, that is said once, and it is
    tried again at the next turn; what was saved before stays.

    Args:
        trainer: if there is a checkpoint, it goes on from the newest that is whole.
        folder: for checkpoints; made if it is not there.
        keep: so many of the newest stay.
        every: seconds between two; more where saving takes long, so that it is at work for at most a tenth of the time.
        say: gets sentences for the user, from any thread.
        note: kept in each checkpoint, as JSON.
        adapt: `(trainer, note) -> trainer`: makes the trainer that a checkpoint with this note is of.

    Raises:
        ArgumentError: if the saved run is of another model, other data or settings, or the folder cannot be written.
        StateError: if another run saves there.

    Attributes:
        trainer: the engine.
        resumed: there was a checkpoint.
        problem: why it cannot save at the moment, or None.

    Example:
        >>> import tempfile
        >>> from snnlab import data, models
        >>> folder, digits = tempfile.mkdtemp(), data.load("digits").subset(train=256, test=64)
        >>> def run():
        ...     net = models.build(models.LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
        ...     return Checkpoints(Trainer(net, digits, epochs=2, batch_size=64), folder)
        >>> first = run()
        >>> step = next(iter(first)).step
        >>> first.close()
        >>> second = run()
        >>> len(second.trainer.history) == step, [report.epoch for report in second if report.phase == "epoch"]
        (True, [1, 2])
        >>> second.close()
    """

    def __init__(
        self,
        trainer: Trainer,
        folder: str | os.PathLike,
        *,
        keep: int = 3,
        every: float = 10.0,
        say: Callable[[str], None] = lambda text: print(f"snnlab: {text}", file=sys.stderr),
        note: Any = None,
        adapt: Callable[[Trainer, Any], Trainer] = lambda trainer, note: trainer,
    ):
        self.every = arguments.number("every", every, 0.0)
        self.problem: str | None = None
        self.trainer = trainer
        self.note = note
        self._say = say
        self._folder = CheckpointFolder(folder, keep=arguments.count("keep", keep), say=say)
        try:
            self.resumed = self._go_on(adapt)
        except BaseException:
            self._folder.close()
            raise
        self._saved: Point | None = self.trainer.at if self.resumed else None
        self._due = 0.0
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Generator[Report, None, None]:
        """Continue to train. Leaving between two reports saves, and loses nothing."""
        return close_at_exit(self._iterate())

    def _iterate(self) -> Generator[Report, None, None]:
        self._due = time.monotonic() + self.every
        try:
            for report in self.trainer:
                if time.monotonic() >= self._due:
                    self.save()
                yield report
        finally:
            self.save_now()

    def save(self) -> None:
        """Begin to save the run as it is now, and return at once; not while the last saving still goes on."""
        point = self.trainer.at
        if point == self._saved or (self._thread and self._thread.is_alive()):
            return
        self._due = time.monotonic() + self.every
        snapshot = take(self.trainer, point, self.note)
        thread = threading.Thread(target=self._write, args=(snapshot, point), name="snnlab-save", daemon=True)
        with self._starting:  # whoever waits from another thread can only join what was started
            thread.start()
            self._thread = thread

    def save_now(self) -> None:
        """Save the run as it is now if that is not saved yet, and wait for it."""
        self.wait()
        point = self.trainer.at
        if point != self._saved:
            self._write(take(self.trainer, point, self.note), point)

    def wait(self) -> None:
        """Wait until what is being saved is saved."""
        with self._starting:
            thread = self._thread
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """Wait, and let others have the folder."""
        self.wait()
        self._folder.close()

    def _go_on(self, adapt: Callable[[Trainer, Any], Trainer]) -> bool:
        snapshot = self._folder.newest()
        if snapshot is None:
            return False
        self.note = snapshot.facts["note"]
        self.trainer = adapt(self.trainer, self.note)
        put_back(self.trainer, snapshot)
        return True

    def _write(self, snapshot: Snapshot, point: Point) -> None:
        started = time.monotonic()
        try:
            self._folder.write(snapshot)
        except Exception as error:  # of the disk, in whatever form: nothing that ends the training
            self._report(
                f"cannot save in {self._folder.path} ({reason(error)}); training goes on, and it is tried again"
            )
            return
        finally:
            now = time.monotonic()
            self._due = now + max(self.every, (now - started) / SHARE)
        self._saved = point
        self._report(None)

    def _report(self, problem: str | None) -> None:
        """Say what changed; a problem that stays is said once."""
        if problem != self.problem:
            self.problem = problem
            self._say(problem or f"saving in {self._folder.path} works again")
