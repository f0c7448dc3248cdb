"""A cell as one of several workers computes it, in other processes and on other machines, with the folder in common.

Two things keep workers apart. A lock of the operating system on the cell's `.lock`: when a process dies, its locks are
free. It reaches other machines on NFS 4, on NFS 3 with its lock service, and on Lustre, BeeGFS or GPFS if they are
mounted with `flock`. And, where it does not reach them, a file that the worker touches while it computes:

    folder/cells/v_th=1/worker.json     {"host": "node3", "pid": 4711, "deaths": 0, "got": [...]}

A worker of another machine leaves the cell alone as long as that file is younger than `STALE` seconds by the clock of
the file system. If both fail, two workers compute the same cell: time is lost, and the bits are the same.

The file also outlives a worker that is killed. So the next one knows, and a cell that kills its workers is not tried
for ever.
"""

import json
import os
import platform
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from snnlab import __version__
from snnlab.errors import SnnlabError
from snnlab.study.cells import Cell, Fate, Row
from snnlab.study.folder import LOCK, RESULT, ROWS, STUDY, StudyFolder, read_study
from snnlab.study.space import Index
from snnlab.support.files import atomic_path, read_whole

MARK = "worker.json"
TOUCH = 5.0  # seconds between two signs of life
STALE = 60.0  # seconds without one, after which a worker on another machine is taken for dead; it may be compiling
LIVES = 4  # workers in a row that a cell may kill before it gets any further


class SharedFolder(StudyFolder):
    """The folder of a study for one of several workers; see `StudyFolder`."""

    def claim(self, index: Index) -> "Claim | None":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take a cell for this worker; None if another has it, or if nothing is left to do.

        A cell that has killed `LIVES` workers in a row without getting any further fails.
        """
        place = self.place(index)
        lock = super().claim(index)
        if lock is None:
            return None
        mark = _read(place / MARK)
        busy = mark is not None and mark["host"] != socket.gethostname() and _is_fresh(place)
        if busy or self.cell(index).fate.over:  # it was computed since we looked at it
            lock.release()
            return None
        deaths, got = 0, _got(place)
        if mark is not None and mark["got"] == got:
            deaths = mark["deaths"] + 1
        if deaths >= LIVES:
            self.settle(index, Fate.FAILED, why=_killer(mark or {}))
            (place / MARK).unlink(missing_ok=True)
            lock.release()
            return None
        with atomic_path(place / MARK, durable=False) as part:
            part.write_text(
                json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "deaths": deaths, "got": got})
            )
        return Claim(lock, place / MARK)


class Claim:
    """A cell that this worker has; the others see when it was touched last."""

    def __init__(self, lock, mark: Path):
        self._lock, self._mark = lock, mark

    def release(self) -> None:
        """Let others have the cell."""
        with suppress(OSError):
            self._mark.unlink(missing_ok=True)
        self._lock.release()


def shared(folder: StudyFolder | str | os.PathLike) -> SharedFolder:
    """Open the folder of a study as one of several workers; raise as `read_study`."""
    found = folder if isinstance(folder, StudyFolder) else read_study(folder)
    return SharedFolder(found.path, found.plan, found.say)


def labour(
    folder: SharedFolder,
    index: Index,
    until: int,
    *,
    on_row: Callable[[Row], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Cell:
    """Train one cell as `snnlab.study.work.compute` does, and give signs of life meanwhile.

    Returns:
        Where the cell stands; with `computing=True` if another worker has it.

    Raises:
        SnnlabError: if this machine cannot compute it: see `compute`.

    Example:
        >>> import tempfile
        >>> from snnlab import SnnConfig, load_data
        >>> from snnlab.study.folder import lead
        >>> from snnlab.study.plan import Plan
        >>> from snnlab.study.space import Space
        >>> from snnlab.study.work import id_of
        >>> digits, space = load_data("digits"), Space.of({"v_th": [0.5, 1.0]})
        >>> config = SnnConfig(hidden=8, num_steps=20)
        >>> led = lead(tempfile.mkdtemp(), Plan(space=space, model=config, data=id_of(digits, "digits"), epochs=1))
        >>> labour(shared(led.path), (1,), until=1).fate.value
        'done'
        >>> led.close()
    """
    from snnlab.study.work import compute

    mark, touched = folder.place(index) / MARK, time.monotonic()

    def is_over() -> bool:
        nonlocal touched
        if time.monotonic() - touched > TOUCH:
            touched = time.monotonic()
            with suppress(OSError):
                os.utime(mark)
        return should_stop()

    cell = compute(folder, index, until=until, on_row=on_row, should_stop=is_over)
    if not cell.computing:
        return cell
    now = folder.cell(index)  # where nothing was left to do, it is no longer the cell that was looked at
    return now if now.fate.over or len(now.rows) >= until else replace(now, computing=True)


class Watcher:
    """Sees what other processes do in the folder of a study.

    Args:
        folder: of the study.

    Attributes:
        cells: all cells, as they were at the last look.
    """

    def __init__(self, folder: StudyFolder):
        self._folder = folder
        self._signs = {index: self._sign(index) for index in folder.plan.space}  # before the cells: rather look twice
        self.cells = folder.cells()

    def changed(self) -> list[Cell]:
        """Look at the cells that are not over; return those that have changed."""
        found = []
        for index, cell in self.cells.items():
            if cell.fate.over or (sign := self._sign(index)) == self._signs[index]:
                continue
            self._signs[index] = sign
            now = replace(self._folder.cell(index), computing=sign[-1])
            if now.fate.over:
                now = replace(now, computing=False)
            if now != cell:
                self.cells[index] = now
                found.append(now)
        return found

    def _sign(self, index: Index) -> tuple:
        place = self._folder.place(index)
        return _stamp(place / ROWS), _stamp(place / RESULT), _is_fresh(place)


def check_shared(folder: StudyFolder) -> None:
    """Check that workers that share only the folder can compute a study.

    Raises:
        SnnlabError: if they cannot.
    """
    if folder.plan.search is not None:
        raise SnnlabError(
            "cluster: a search chooses its cells by those before, so one process must give them out, and workers that "
            "share only a folder compute grids. Leave search out, or take cluster=None, a number of workers, or Dask"
        )
    check_data(folder)


def check_data(folder: StudyFolder) -> None:
    """Check that other processes can load the data of a study.

    Raises:
        SnnlabError: if they cannot.
    """
    data = folder.plan.data
    if data.source is None:
        raise SnnlabError(
            f"data: {data.name!r} were given as arrays, which no other process can load; save them in a file, and name "
            "it: data='mine.npz'"
        )


def other_versions(folder: StudyFolder) -> str:
    """Say which packages have another version here than where the study was begun, or "": bits may differ then."""
    try:
        study = json.loads(read_whole(folder.path / STUDY))
        then = {str(name): str(version) for name, version in study["versions"].items()} | {"snnlab": study["snnlab"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    now = {"python": platform.python_version(), "snnlab": __version__}
    found = {name: now[name] if name in now else metadata.version(name) for name in then}
    differing = [f"{name} {found[name]}, there {then[name]}" for name in then if found[name] != then[name]]
    host = socket.gethostname()
    return f"{host} has other versions than the study ({'; '.join(differing)}); bits may differ" if differing else ""


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _is_fresh(place: Path) -> bool:
    """Whether a worker has given a sign of life lately; by the clock of the file system, not by ours."""
    touched = _stamp(place / MARK)
    if touched is None:
        return False
    age = time.time() - touched[1] * 1e-9
    if not 0.0 <= age < STALE / 2:  # perhaps only because clocks differ; ask the other one
        with suppress(OSError):
            os.utime(place / LOCK)
            age = ((_stamp(place / LOCK) or (0, 0))[1] - touched[1]) * 1e-9
    return age < STALE


def _got(place: Path) -> list[str]:
    """How far a cell is: its checkpoints, and the size of its rows."""
    stamp = _stamp(place / ROWS)
    return [*sorted(path.name for path in place.glob("checkpoint-*.safetensors")), str(stamp[0] if stamp else 0)]


def _read(path: Path) -> dict | None:
    try:
        found = json.loads(read_whole(path))
        return {"host": str(found["host"]), "pid": found["pid"], "deaths": int(found["deaths"]), "got": found["got"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _killer(mark: dict) -> str:
    return (
        f"its worker ended without a word {LIVES} times in a row, the last one on {mark.get('host')}; perhaps it takes "
        "more memory than there is"
    )
