"""One cell alone: make its network, train it from its newest checkpoint on, write its rows.

    compute("runs/map", (3, 1))

This is all that a worker does, wherever it runs. It knows nothing of the engine that chose the cell.
"""

import functools
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flax import nnx

from snnlab.checkpoint.snapshot import put_back, take
from snnlab.data import Dataset, load
from snnlab.errors import ArgumentError, DataError, DivergenceError, StateError, WriteError
from snnlab.history import History
from snnlab.history.report import Scored
from snnlab.models import build
from snnlab.study import saved
from snnlab.study.cells import Cell, Fate, Row
from snnlab.study.findings import Examiner, is_due
from snnlab.study.folder import DIVERGED, StudyFolder, read_study
from snnlab.study.plan import DataId, Plan, function_of
from snnlab.study.space import Index, words_of
from snnlab.study.stopping import has_rule
from snnlab.support import arguments
from snnlab.train import Trainer

BETWEEN = 1.0  # seconds between two checkpoints at ends of epochs, at least
WITHIN = 10.0  # seconds between two checkpoints in the middle of an epoch

_LONGEST = 500  # characters of a reason


def compute(
    folder: StudyFolder | str | os.PathLike,
    index: Index,
    *,
    until: int | None = None,
    on_row: Callable[[Row], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    data: Dataset | None = None,
) -> Cell:
    """Train one cell of a study, and return where it stands then.

    It continues from its newest checkpoint, to the same bits. A cell that diverges is stopped, and stays at the end of
    the last epoch before. A cell that is done, stopped or failed is returned as it
    is; one that another process computes, with `computing=True`. An error of the model or the training makes the cell
    fail, with the reason in its folder.

    Args:
        folder: of the study.
        index: of the cell.
        until: epochs after which to leave it; default: all epochs of the study.
        on_row: called with the row of every epoch, when it stands in the folder.
        should_stop: asked several times a second; True ends it after the chunk, and nothing is lost.
        data: of the study, if they are at hand; otherwise they are loaded as the plan says.

    Raises:
        ArgumentError: if there is no such cell, or `until` is out of range.
        DataError: if the data cannot be loaded here, or are others than those of the study.
        FileFormatError: if the folder is damaged.
        WriteError: if rows or checkpoints cannot be written.

    Example:
        >>> import tempfile
        >>> from snnlab.config import SnnConfig
        >>> from snnlab.study.folder import lead
        >>> from snnlab.study.space import Space
        >>> digits = load("digits")
        >>> space = Space.of({"v_th": [0.5, 1.0]})
        >>> plan = Plan(space=space, model=SnnConfig(hidden=8, num_steps=20), data=id_of(digits, "digits"), epochs=1)
        >>> folder = lead(tempfile.mkdtemp(), plan)
        >>> cell = compute(folder, (1,))
        >>> cell.fate.value, [row.steps for row in cell.rows]
        ('done', [11])
        >>> compute(folder, (1,)) == cell  # nothing is computed again
        True
        >>> folder.close()
    """
    folder = folder if isinstance(folder, StudyFolder) else read_study(folder)
    plan, cell = folder.plan, folder.cell(index)
    until = plan.epochs if until is None else arguments.count("until", until, 1, plan.epochs)
    if cell.fate not in (Fate.WAITING, Fate.RUNNING) or len(cell.rows) >= until:
        return cell
    data = data_of(plan, folder.path) if data is None else data
    claim = folder.claim(cell.index)
    if claim is None:
        return replace(cell, computing=True)
    try:
        _train(_Run(folder, cell, data, on_row), until, should_stop or (lambda: False))
    except WriteError:
        raise
    except Exception as error:  # of the user's code, in whatever form: the other cells go on
        folder.settle(cell.index, Fate.FAILED, why=reason(error))
    finally:
        claim.release()
    return folder.cell(cell.index)


class _Run:
    """A cell while it is computed: its trainer, and what of it stands in the folder."""

    def __init__(self, folder: StudyFolder, cell: Cell, data: Dataset, on_row: Callable[[Row], None] | None):
        self.folder, self.index, self.data = folder, cell.index, data
        self.place = folder.place(cell.index)
        self.trainer = make_trainer(folder.plan, data, cell.index)
        self._on_row = on_row or (lambda row: None)
        self.finding = cell.finding
        self._rows = len(cell.rows)
        self._saved_at, self._saved = time.monotonic(), (0, 0)  # when, and after how many steps and epochs
        snapshot = saved.newest(self.place, folder.say)
        if snapshot is not None:
            put_back(self.trainer, snapshot)
            self._saved = self._now
            self.add_rows()

    @property
    def _now(self) -> tuple[int, int]:
        return len(self.trainer.history), self.trainer.history.num_epochs

    @functools.cached_property
    def _examiner(self) -> Examiner:
        return Examiner(self.trainer.stepper, self.data)

    def examine(self) -> None:
        """Say what the diagnosis finds now."""
        history = self.trainer.history
        accuracy = history.epochs[-1][history.scored.result]
        finding, before = self._examiner(self.trainer.state, history, accuracy), self.finding
        self.finding = finding
        if finding != before:
            self.folder.settle(self.index, finding=finding)

    def add_rows(self) -> None:
        """Write the rows that the folder lacks."""
        new = rows_of(self.trainer.history, self.trainer.steps_per_epoch)[self._rows :]
        if new:
            self.folder.add_rows(self.index, new)
            self._rows += len(new)
        for row in new:
            self._on_row(row)

    def save(self, seconds: float = 0.0) -> None:
        """Write a checkpoint, unless the last one is younger than so many seconds."""
        if self._now != self._saved and time.monotonic() - self._saved_at >= seconds:
            saved.save(self.place, self._now[0], take(self.trainer, self.trainer.at))
            self._saved_at, self._saved = time.monotonic(), self._now


def _train(run: _Run, until: int, should_stop: Callable[[], bool]) -> None:
    """Train to the end of an epoch; settle what the rows do not tell."""
    plan, trainer = run.folder.plan, run.trainer
    reports, end = iter(trainer), trainer.at
    try:
        while trainer.history.num_epochs < until and not should_stop():
            report = next(reports)
            if report.phase != "epoch":
                run.save(WITHIN)
                continue
            end = trainer.at
            run.save(BETWEEN)
            run.add_rows()
            if is_due(report.epoch, trainer.steps_per_epoch, plan.epochs, plan.stop):
                run.examine()
            if run.finding == "silent" and has_rule(plan.stop, "silent") and report.epoch < plan.epochs:
                settle_silent(run.folder, run.index, report.epoch)
                break
    except DivergenceError:
        trainer.at = end
        settle_diverged(run.folder, run.index, end.epochs + 1)
    finally:
        reports.close()
        run.save()


def settle_silent(folder: StudyFolder, index: Index, epoch: int) -> str:
    """Stop a cell whose neurons are silent after an epoch; return the reason."""
    why = f"silent after epoch {epoch}"
    folder.settle(index, Fate.STOPPED, finding="silent", why=why, by="silent")
    return why


def settle_diverged(folder: StudyFolder, index: Index, epoch: int) -> str:
    """Stop a cell that was no longer finite in an epoch; return the reason. It stays at the end of the one before."""
    why = f"diverged in epoch {epoch}: the loss, its gradient or the weights are not finite"
    folder.settle(index, Fate.STOPPED, finding="diverged", why=why, by=DIVERGED)
    return why


def make_trainer(plan: Plan, data: Dataset, index: Index) -> Trainer:
    """Return the trainer of a cell before its first step: what anybody would write who trains this network alone.

    Knobs are set as by `trainer.set(...)` before the first step.

    Raises:
        ArgumentError: if the model and the data do not fit together, or a function of your own returns something else.
    """
    wanted = plan.wanted(index)
    more: dict[str, Any] = {}
    if wanted.config is not None:
        net = build(wanted.config, sample_shape=data.sample_shape, num_classes=data.num_outputs, seed=wanted.seed)
    else:
        assert isinstance(plan.model, str)
        net, more = _own(plan.model, function_of(plan.model)(**wanted.options))
    trainer = Trainer(net, data, epochs=plan.epochs, seed=wanted.seed, **wanted.training, **more)
    trainer.set(wanted.knobs)
    return trainer


def _own(name: str, made: Any) -> tuple[nnx.Module, dict[str, Any]]:
    """Check what a function of your own returned: a model; or a model, a loss, and perhaps an optimizer."""
    parts = made if isinstance(made, tuple) else (made,)
    if not 1 <= len(parts) <= 3 or not isinstance(parts[0], nnx.Module):
        raise ArgumentError(f"model: {name} must return a model, (model, loss) or (model, loss, optimizer)")
    return parts[0], dict(zip(("loss", "optimizer"), parts[1:], strict=False))


def open_cell(folder: StudyFolder, index: Index, data: Dataset | None = None) -> Trainer:
    """Return a trainer of a cell at its newest checkpoint.

    Raises:
        StateError: if the cell has no checkpoint yet.
    """
    cell = folder.cell(index)
    trainer = make_trainer(folder.plan, data_of(folder.plan, folder.path) if data is None else data, cell.index)
    snapshot = saved.newest(folder.place(cell.index), folder.say)
    if snapshot is None:
        raise StateError(f"open: the cell ({words_of(cell.point)}) has no checkpoint yet; wait for its first")
    put_back(trainer, snapshot)
    return trainer


def rows_of(history: History, steps_per_epoch: int) -> list[Row]:
    """Return the row of every epoch of a history."""
    return [row_of(epoch, history.scored, steps_per_epoch) for epoch in history.epochs]


def row_of(epoch: Mapping[str, Any], scored: Scored, steps_per_epoch: int) -> Row:
    """Return the row of the result of an epoch, as `History.epochs` has it."""
    spikes = epoch.get("spikes_per_sample")
    return Row(
        epoch=epoch["epoch"],
        steps=epoch["epoch"] * steps_per_epoch,
        loss=epoch[scored.loss],
        accuracy=epoch[scored.result],
        spikes=math.nan if spikes is None else spikes,
    )


def id_of(data: Dataset, source: str | None = None, validation: float | None = None) -> DataId:
    """Return what tells a data set from others."""
    samples = (len(data.x_train), len(data.x_test))
    return DataId(name=data.name, crc=data.crc, samples=samples, source=source, validation=validation)


def data_of(plan: Plan, path: Path) -> Dataset:
    """Load the data of a study; a process that computes several cells does so once.

    Raises:
        DataError: if they cannot be loaded here, or are others than those of the study.
    """
    return _data_of(plan.data, path)


@functools.lru_cache(maxsize=2)
def _data_of(wanted: DataId, path: Path) -> Dataset:
    if wanted.source is None:
        raise DataError(
            f"{path}: this study was given its data {wanted.name!r} as arrays, so no other process can load them; save "
            "them in a file, and name it: data='mine.npz'"
        )
    found = load_source(wanted.source, wanted.validation)
    if found.crc != wanted.crc:
        raise DataError(
            f"{wanted.source}: has other samples here than the study in {path} (checksum {found.crc:08x}, there "
            f"{wanted.crc:08x}); bring the same data to this machine"
        )
    return found


def load_source(source: str, validation: float | None) -> Dataset:
    """Load a data set by its name or path, and hold out a share of its training samples."""
    found = load(source)
    return found if validation is None else found.hold_out(validation)


def reason(error: Exception) -> str:
    """Say in one line why a cell failed."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
