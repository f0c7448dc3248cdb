"""A run that survives a kill: it is saved during training, and resumes from there bit for bit.

    for report in Checkpoints(trainer, "runs/digits"):
        print(report.step, report.metrics)

After a crash or a power cut, run the same script again: it continues from the newest checkpoint.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from snnlab.checkpoint.folder import CheckpointFolder, reason
from snnlab.checkpoint.snapshot import Snapshot, check, epochs_of, put_back, put_back_branches, take
from snnlab.history import Report
from snnlab.support import arguments
from snnlab.support.exit import close_at_exit
from snnlab.support.numbers import count
from snnlab.timeline import Timeline
from snnlab.train import Trainer
from snnlab.train.point import Point

SHARE = 0.1  # of the time that saving may take: a run with a long history is saved less often


class _Saved(NamedTuple):
    """What a checkpoint depends on: where the run is and is to go, the number of notes, what there is of branches."""

    point: Point
    epochs: int
    notes: int
    branches: tuple


class Checkpoints:
    """Iterate over a trainer's reports, and save the run at intervals and at the end.

    A snapshot is taken between two chunks and written by its own thread, so training does not wait. If a checkpoint
    cannot be written, training continues, you are warned once, and snnlab retries; earlier checkpoints stay.

    If the data come from a source of batches (see `snnlab.data.Source`), a checkpoint holds the position in the epoch,
    as the number of steps, and the CRCs of the batches up to there. A run that continues in the middle of an epoch
    compares them with what it reads, and raises a `StateError` if the batches are others than before.

    If the checkpoint has branches (see `snnlab.Timeline`), the trainer continues the one that the run was on, and the
    others are saved with it again as they are. If it was saved with fewer epochs than the trainer has, the run
    continues to these, see `Trainer.epochs`.

    Args:
        trainer: it continues from the newest intact checkpoint, if there is one.
        folder: of the checkpoints; created if missing.
        keep: number of checkpoints to keep.
        every: seconds between two checkpoints; more if saving takes more than a tenth of the time.
        say: called with messages for the user, from any thread.
        note: kept in each checkpoint, as JSON.
        adapt: `(trainer, note) -> trainer`: returns the trainer that fits a checkpoint with this note.

    Raises:
        ArgumentError: if the saved run has another model, data or settings, or the folder cannot be written.
        FileFormatError: if a checkpoint is of another version of snnlab, or does not hold a run.
        StateError: if another run saves there.

    Attributes:
        trainer: the engine.
        resumed: whether there was a checkpoint.
        timeline: whose branches are saved, or None, see `keep_branches`.
        problem: why saving fails at the moment, or None.

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
        self.timeline: Timeline | None = None
        self.note = note
        self._say = say
        self._folder = CheckpointFolder(folder, keep=arguments.count("keep", keep), say=say)
        self._carried: Timeline | None = None  # branches of the checkpoint, until `keep_branches` wants them
        try:
            found = self._go_on(adapt)
        except BaseException:
            self._folder.close()
            raise
        self.resumed = found is not None
        self._saved: _Saved | None = self._now if self.resumed else None
        self._due = 0.0
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Generator[Report, None, None]:
        """Continue to train. Leaving between two reports saves, and loses nothing."""
        return self.of(iter(self.trainer))

    def of(self, reports: Generator[Report, None, None]) -> Generator[Report, None, None]:
        """Continue to train with an iterator of reports of this trainer, such as that of a `Timeline`."""
        return close_at_exit(self._iterate(reports))

    def _iterate(self, reports: Generator[Report, None, None]) -> Generator[Report, None, None]:
        self._due = time.monotonic() + self.every
        try:
            for report in reports:
                if time.monotonic() >= self._due:
                    self.save()
                yield report
        finally:
            reports.close()
            self.save_now()

    def keep_branches(self, timeline: Timeline) -> None:
        """Save the branches of a timeline, too; put those of the checkpoint into it, if there was one."""
        carried = self._branches if self.timeline is None else None
        if carried is not None:
            timeline.restore(list(carried.branches.values()), carried.here)
        self.timeline = timeline

    @property
    def _branches(self) -> Timeline | None:
        """The branches to save."""
        if self.timeline is not None:
            return self.timeline
        if self._carried is not None and not self._carried.of_this_run:
            self._carried = None  # the trainer was reset
        if self._carried is not None:
            self._carried.keep()
        return self._carried

    @property
    def _now(self) -> _Saved:
        """What is saved, to compare."""
        point = self.trainer.at
        branches = self._branches
        sizes = () if branches is None else branches.sizes
        return _Saved(point, self.trainer.epochs, point.history.num_notes, sizes)

    def save(self) -> None:
        """Start to save the run as it is now, and return at once; do nothing while another saving is at work."""
        now = self._now
        if now == self._saved or (self._thread and self._thread.is_alive()):
            return
        self._due = time.monotonic() + self.every
        snapshot = take(self.trainer, now.point, self.note, self._branches)
        thread = threading.Thread(target=self._write, args=(snapshot, now), name="snnlab-save", daemon=True)
        with self._starting:  # whoever waits from another thread can only join what was started
            thread.start()
            self._thread = thread

    def save_now(self) -> None:
        """Save the run as it is now, unless that is saved already, and wait for it."""
        self.wait()
        now = self._now
        if now != self._saved:
            self._write(take(self.trainer, now.point, self.note, self._branches), now)

    def wait(self) -> None:
        """Wait until the checkpoint that is being written is saved."""
        with self._starting:
            thread = self._thread
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """Wait, and release the folder for other runs."""
        self.wait()
        self._folder.close()

    def _go_on(self, adapt: Callable[[Trainer, Any], Trainer]) -> Snapshot | None:
        snapshot = self._folder.newest()
        if snapshot is None:
            return None
        self.note = check(snapshot)["note"]
        self.trainer = adapt(self.trainer, self.note)
        put_back(self.trainer, snapshot)
        if "branches" in snapshot.facts:
            self._carried = Timeline(self.trainer, budget=Timeline.least(self.trainer))
            put_back_branches(self._carried, snapshot)
        then, now = epochs_of(snapshot), self.trainer.epochs
        if now > then:
            self._say(f"{self._folder.path}: the run was to have {count(then, 'epoch')}, and now continues to {now}")
        return snapshot

    def _write(self, snapshot: Snapshot, what: _Saved) -> None:
        started = time.monotonic()
        try:
            self._folder.write(snapshot)
        except Exception as error:  # of the disk, in whatever form: nothing that ends the training
            self._report(
                f"cannot save in {self._folder.path} ({reason(error)}); training continues, and snnlab retries"
            )
            return
        finally:
            now = time.monotonic()
            self._due = now + max(self.every, (now - started) / SHARE)
        self._saved = what
        self._report(None)

    def _report(self, problem: str | None) -> None:
        """Tell the user when saving starts to fail, and when it works again."""
        if problem != self.problem:
            self.problem = problem
            self._say(problem or f"saving in {self._folder.path} works again")
