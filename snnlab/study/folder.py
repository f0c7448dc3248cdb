"""The folder of a study, which is the truth: whoever opens it sees the map as it is, and goes on. Loads no JAX.

    folder/study.json                        the plan: space, model, data with its checksum, epochs, rule, versions
    folder/.lock                             held by the process that leads the study
    folder/cells/tau_mem=10,v_th=1/          of one cell, by its values, see `Space.key`
        rows.jsonl                           one line for each epoch, appended as soon as it is measured
        result.json                          where the cell stands, if rows do not tell it: stopped, failed, a finding
        checkpoint-000003.safetensors        of the run after three epochs, see `snnlab.study.saved`
        .lock                                held by the process that computes the cell

Rows and results may be lost with the last seconds before a power cut; then the cell is computed again from its newest
checkpoint, to the same bits.
"""

import json
import math
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from snnlab import __version__
from snnlab.errors import ArgumentError, FileFormatError, StateError, WriteError
from snnlab.study.cells import Cell, Fate, Row
from snnlab.study.plan import Plan
from snnlab.study.space import Index
from snnlab.support import arguments
from snnlab.support.files import atomic_path, read_whole

FORMAT = 1

ROWS, RESULT, LOCK, STUDY = "rows.jsonl", "result.json", ".lock", "study.json"

DIVERGED = "diverged"  # in place of a rule: such a cell stays stopped, whatever rule the study has

_VERSIONS = ("jax", "jaxlib", "flax", "optax", "numpy")


def _tell(text: str) -> None:
    print(f"snnlab: {text}", file=sys.stderr)


class StudyFolder:
    """Read and write the folder of a study; make one with `lead` or `read_study`.

    All methods may be called from any thread; cells of different indices do not touch each other's files.

    Args:
        path: the folder.
        plan: of the study.
        say: called with a sentence about what is damaged.

    Attributes:
        path, plan, say: see above.

    Example:
        >>> import tempfile
        >>> from snnlab.config import SnnConfig
        >>> from snnlab.study.plan import DataId
        >>> from snnlab.study.space import Space
        >>> data = DataId(name="digits", crc=1, samples=(1437, 360), source="digits")
        >>> plan = Plan(space=Space.of({"v_th": [0.5, 1.0]}), model=SnnConfig(), data=data, epochs=2)
        >>> folder = lead(tempfile.mkdtemp(), plan)
        >>> folder.add_rows((1,), [Row(epoch=1, steps=11, loss=1.9, accuracy=0.4, spikes=52.0)])
        >>> folder.close()
        >>> cell = read_study(folder.path).cell((1,))
        >>> cell.point, cell.fate.value, cell.rows[-1].accuracy
        ({'v_th': 1.0}, 'running', 0.4)
    """

    def __init__(self, path: Path, plan: Plan, say: Callable[[str], None] = _tell):
        self.path, self.plan, self.say = path, plan, say
        self._held: FileLock | None = None
        self._mended: set[Index] = set()
        self._told: set[Path] = set()

    def place(self, index: Index) -> Path:
        """Return the folder of a cell; it may not exist yet."""
        return self.path / "cells" / self.plan.space.key(index)

    # ---- reading ----

    def cell(self, index: Index) -> Cell:
        """Return what is known of a cell."""
        index = self.plan.space.check(index)
        place = self.place(index)
        rows, result = self._rows(place), self._result(place)
        fate = self._fate(rows, result)
        return Cell(
            index=index,
            point=self.plan.space.point(index),
            fate=fate,
            rows=rows,
            finding=str(result.get("finding", "")),
            why=str(result.get("why", "")) if fate in (Fate.STOPPED, Fate.FAILED) else "",
        )

    def cells(self) -> dict[Index, Cell]:
        """Return all cells."""
        return {index: self.cell(index) for index in self.plan.space}

    def _fate(self, rows: tuple[Row, ...], result: Mapping[str, Any]) -> Fate:
        by = result.get("by", "")
        if result.get("fate") == Fate.FAILED:
            return Fate.FAILED
        if result.get("fate") == Fate.STOPPED and (by == DIVERGED or by in (self.plan.stop or "").split("+")):
            return Fate.STOPPED
        if rows and rows[-1].epoch >= self.plan.epochs:
            return Fate.DONE
        return Fate.RUNNING if rows else Fate.WAITING

    def _rows(self, place: Path) -> tuple[Row, ...]:
        """Read the rows up to the first epoch that is missing; of an epoch that stands there twice, the newer row."""
        try:
            lines = read_whole(place / ROWS).splitlines()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise FileFormatError(f"{place / ROWS}: cannot be read ({error.strerror})") from None
        found = {row.epoch: row for line in lines if (row := self._row(place, line)) is not None}
        epochs = range(1, self.plan.epochs + 1)
        count = next((epoch - 1 for epoch in epochs if epoch not in found), self.plan.epochs)
        return tuple(found[epoch] for epoch in range(1, count + 1))

    def _row(self, place: Path, line: bytes) -> Row | None:
        try:
            values = json.loads(line)
            epoch, steps = (arguments.count(name, values[name]) for name in ("epoch", "steps"))
            loss, accuracy, spikes = (
                math.nan if values[name] is None else float(values[name]) for name in ("loss", "accuracy", "spikes")
            )
            return Row(epoch, steps, loss, accuracy, spikes)
        except (ValueError, KeyError, TypeError, RecursionError):
            self._tell_once(place / ROWS, "a line is cut short or damaged; the epoch is computed again if it is needed")
            return None

    def _result(self, place: Path) -> dict[str, Any]:
        try:
            found = json.loads(read_whole(place / RESULT))
            return found if isinstance(found, dict) else {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError):
            self._tell_once(place / RESULT, "is damaged; the cell is judged anew")
            return {}

    def _tell_once(self, path: Path, what: str) -> None:
        if path not in self._told:
            self._told.add(path)
            self.say(f"{path}: {what}")

    # ---- writing ----

    def add_rows(self, index: Index, rows: Iterable[Row]) -> None:
        """Append rows to a cell.

        Raises:
            WriteError: if they cannot be written.
        """
        path = self.place(index) / ROWS
        try:
            if index not in self._mended:
                path.parent.mkdir(parents=True, exist_ok=True)
                _end_line(path)
                self._mended.add(index)
            with path.open("ab") as file:  # one write, so that another process sees whole lines
                file.write("".join(f"{_line(row)}\n" for row in rows).encode())
        except OSError as error:
            raise WriteError(error.errno, error.strerror or str(error), os.fspath(path)) from error

    def settle(self, index: Index, fate: Fate | None = None, *, finding: str = "", why: str = "", by: str = "") -> None:
        """Write what the rows of a cell do not tell.

        Args:
            index: of the cell.
            fate: `Fate.STOPPED`, `Fate.FAILED`, or None where the rows tell it.
            finding: see `Cell`.
            why: see `Cell`.
            by: the rule that stopped it, "silent" or "halving", or `DIVERGED`. If the study goes on without that rule,
                so does the cell.

        Raises:
            WriteError: if it cannot be written.
        """
        result = {"fate": fate, "finding": finding, "why": why, "by": by}
        with atomic_path(self.place(index) / RESULT, durable=False) as part:
            part.write_text(json.dumps(result), encoding="utf-8")

    def give_up(self, cell: Cell, why: str) -> Cell:
        """Stop a cell by a comparison with others; return it as it stands then.

        Raises:
            WriteError: if it cannot be written.
        """
        self.settle(cell.index, Fate.STOPPED, finding=cell.finding, why=why, by="halving")
        return replace(cell, fate=Fate.STOPPED, why=why)

    def claim(self, index: Index) -> FileLock | None:
        """Take a cell for this process, so that no other computes it; None if another has it.

        Call `release()` of what is returned. If a process dies, its cells are free.
        """
        place = self.place(index)
        place.mkdir(parents=True, exist_ok=True)
        return _locked(place / LOCK)

    def close(self) -> None:
        """Let other processes lead the study."""
        if self._held is not None:
            self._held.release()
            self._held = None

    def _write_plan(self) -> None:
        versions = {name: metadata.version(name) for name in _VERSIONS} | {"python": platform.python_version()}
        study = {"format": FORMAT, "snnlab": __version__, "versions": versions, **self.plan.to_json()}
        with atomic_path(self.path / STUDY) as part:
            part.write_text(json.dumps(study, indent=1) + "\n", encoding="utf-8")


def lead(path: str | os.PathLike, plan: Plan, say: Callable[[str], None] = _tell) -> StudyFolder:
    """Open a folder to compute a study in it, a new one or one to go on with.

    Cells that failed are tried again. With more epochs or other values of the axes the study goes on to these.

    Raises:
        ArgumentError: if the folder holds a study of another model or other data, or cannot be written.
        FileFormatError: if the study is damaged, or of another version.
        StateError: if another process leads it.
    """
    path = arguments.path("folder", path).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
        held = _locked(path / LOCK)
    except OSError as error:
        raise ArgumentError(f"folder: cannot write in {path} ({error.strerror})") from None
    if held is None:
        raise StateError(f"{path}: another study computes there; end it, or choose another folder")
    try:
        if (path / STUDY).exists():
            _check_same(path, read_plan(path), plan)
        elif any(one.name != LOCK for one in path.iterdir()):
            raise ArgumentError(f"folder: {path} holds other files and no {STUDY}; choose an empty or a new folder")
        folder = StudyFolder(path, plan, say)
        folder._write_plan()
        for index, cell in folder.cells().items():
            if cell.fate is Fate.FAILED:
                folder.settle(index, finding=cell.finding)
    except BaseException:
        held.release()
        raise
    folder._held = held
    return folder


def read_study(path: str | os.PathLike, say: Callable[[str], None] = _tell) -> StudyFolder:
    """Open the folder of a study to look at it, or to compute cells that are claimed; another process may lead it.

    Raises:
        ArgumentError: if there is no study.
        FileFormatError: if it is damaged, or of another version.
    """
    path = arguments.path("folder", path).absolute()
    return StudyFolder(path, read_plan(path), say)


def read_plan(path: Path) -> Plan:
    """Return the plan of the study in a folder; raise as `read_study`."""
    file = path / STUDY
    try:
        study = json.loads(read_whole(file))
        found = study["format"]
    except FileNotFoundError:
        raise ArgumentError(f"{path}: holds no study (there is no {STUDY})") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{file}: is damaged ({str(error)[:200]})") from None
    if found != FORMAT:
        raise FileFormatError(
            f"{file}: has format {found}, this version of snnlab reads format {FORMAT}; go on with snnlab "
            f"{study.get('snnlab', 'of that version')}, or choose another folder"
        )
    try:
        return Plan.read(study)
    except FileFormatError as error:
        raise FileFormatError(f"{file}: {error}") from error


def _check_same(path: Path, then: Plan, now: Plan) -> None:
    differing = []
    for name, value in now.identity.items():
        old = then.identity[name]
        if old == value:
            continue
        if isinstance(old, dict) and isinstance(value, dict):
            inner = [one for one in {**old, **value} if old.get(one) != value.get(one)]
            differing += [f"{name}: {one} was {old.get(one)}, is {value.get(one)}" for one in inner[:3]]
        else:
            differing.append(f"{name} was {old}, is {value}")
    if differing:
        raise ArgumentError(
            f"folder: the study in {path} is another one ({'; '.join(differing)}); choose another folder, or take what "
            "that study has"
        )
    if now.epochs < then.epochs:
        raise ArgumentError(f"epochs: must be at least the {then.epochs} of the study in {path}, got {now.epochs}")


def _locked(file: Path) -> FileLock | None:
    """Take a lock, or return None if another process, or another thread of this one, has it."""
    lock = FileLock(file, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def _line(row: Row) -> str:
    values = {name: value if math.isfinite(value) else None for name, value in row._asdict().items()}
    return json.dumps(values)


def _end_line(path: Path) -> None:
    """Cut off the last line if a process was killed while it wrote it, or what is appended would be lost with it."""
    try:
        whole = read_whole(path)
    except FileNotFoundError:
        return
    if whole and not whole.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(whole.rfind(b"\n") + 1)
