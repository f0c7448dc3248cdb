"""A folder of checkpoints: each is one safetensors file, written whole or not at all, and read with suspicion.

    folder/.lock                             held by the run that saves here
    folder/checkpoint-000007.safetensors     complete: a file gets this name when all of its bytes are on the disk
    folder/checkpoint-000006.damaged         set aside by a run that could not read it

The arrays of a snapshot are the tensors of the file. Its facts, as JSON, and its digest are the metadata.
"""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from snnlab.checkpoint.snapshot import Snapshot
from snnlab.errors import ArgumentError, FileFormatError, StateError
from snnlab.support import arguments
from snnlab.support.files import remove_unfinished
from snnlab.support.tensors import read_tensors, write_tensors
from snnlab.support.warn import warn

PREFIX, SUFFIX = "checkpoint-", ".safetensors"


class CheckpointFolder:
    """Write snapshots into a folder, and read the newest one that is undamaged.

    Args:
        path: the folder; made if it is missing.
        keep: number of snapshots to keep; older ones are deleted.
        say: called with a sentence about each damaged checkpoint.

    Raises:
        ArgumentError: if the folder cannot be written.
        FileFormatError: if it holds checkpoints in a format that this version does not know.
        StateError: if another run uses the folder.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> folder = CheckpointFolder(tempfile.mkdtemp(), keep=2, say=print)
        >>> for step in range(3):
        ...     folder.write(Snapshot({"weights": np.full(4, step)}, {"step": step}))
        >>> [path.stem for path in folder.complete()], folder.newest().facts
        (['checkpoint-000002', 'checkpoint-000003'], {'step': 2})
    """

    def __init__(self, path: str | os.PathLike, *, keep: int, say: Callable[[str], None]):
        self.path = arguments.path("folder", path).absolute()
        self.keep = keep
        self._say = say
        self._held: FileLock | None = None
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            _refuse_other_formats(self.path)
            self._lock()
            remove_unfinished(self.path, f"{PREFIX}*{SUFFIX}")
        except OSError as error:
            raise ArgumentError(f"{self.path}: cannot write there ({reason(error)})") from None
        self._number = max([0, *(_number(path) for path in self.path.glob(f"{PREFIX}*"))])

    def complete(self) -> list[Path]:
        """Return the complete checkpoints, oldest first."""
        return _complete(self.path)

    def newest(self) -> Snapshot | None:
        """Return the newest undamaged snapshot, or None. Damaged ones are set aside, and `say` is told."""
        for path in reversed(self.complete()):
            try:
                return _read(path)
            except FileFormatError as error:
                aside = path.with_suffix(".damaged")
                path.rename(aside)
                self._say(f"{error}; it was set aside as {aside.name}, and the checkpoint before it is used")
        return None

    def write(self, snapshot: Snapshot) -> None:
        """Save a snapshot; the oldest one is deleted when the new one is on the disk.

        Raises:
            Exception: if it cannot be saved; `reason` puts it in words. Earlier checkpoints are still there.
        """
        self._lock()
        write_checkpoint(self.path, self._number + 1, snapshot, keep=self.keep)
        self._number += 1

    def close(self) -> None:
        """Let other runs use the folder."""
        if self._held is not None:
            self._held.release()

    def _lock(self) -> None:
        """Hold the lock of the folder that is there now: the one we locked may have been replaced.

        A folder that has gone is not made again, because a disk may be unplugged.
        """
        if not self.path.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the folder is gone", str(self.path))
        file = self.path / ".lock"
        if self._held is not None and file.exists() and file.stat().st_ino == self._inode:
            return
        self.close()
        self._held = FileLock(file, timeout=0, thread_local=False)
        try:
            self._held.acquire()
        except Timeout:
            raise StateError(f"{self.path}: another run saves there; end it, or choose another folder") from None
        self._inode = file.stat().st_ino


def write_checkpoint(folder: Path, number: int, snapshot: Snapshot, *, keep: int, durable: bool = True) -> None:
    """Write a snapshot as the newest of a folder, and delete the oldest if there are more than `keep` then.

    Args:
        folder: of the checkpoints; nobody else may write there.
        number: of the checkpoint, above those that are there.
        snapshot: what is written.
        keep: number of snapshots to keep.
        durable: wait until it is on the disk; without, a power cut may damage it, which its digest tells.
    """
    metadata = {"facts": json.dumps(snapshot.facts), "digest": snapshot.digest}
    write_tensors(folder / f"{PREFIX}{number:06d}{SUFFIX}", snapshot.arrays, metadata, durable=durable)
    for path in _complete(folder)[:-keep]:
        path.unlink()


def newest_in(path: str | os.PathLike) -> Snapshot:
    """Return the newest undamaged snapshot in a folder, and change nothing there: a run may save in it meanwhile.

    Raises:
        ArgumentError: if the folder does not exist, or has no checkpoint.
        FileFormatError: if all checkpoints are damaged, or of another version of snnlab.
    """
    folder = arguments.path("folder", path)
    if not folder.is_dir():
        raise ArgumentError(f"{folder}: is not a folder" if folder.exists() else f"{folder}: does not exist")
    try:
        _refuse_other_formats(folder)
        complete = _complete(folder)
    except OSError as error:
        raise ArgumentError(f"{folder}: cannot be read ({reason(error)})") from None
    if not complete:
        raise ArgumentError(f"{folder}: holds no checkpoint; lab.resume(folder) and snnlab train --resume save them")
    damaged: list[FileFormatError] = []
    for file in reversed(complete):
        try:
            snapshot = _read(file)
        except FileFormatError as error:
            damaged.append(error)
            continue
        if damaged:
            warn(f"{damaged[0]}; the checkpoint before it is used")
        return snapshot
    raise damaged[0]


def reason(error: Exception) -> str:
    """Say in a few words why a file could not be written."""
    return (isinstance(error, OSError) and error.strerror) or f"{type(error).__name__}: {str(error)[:200]}"


def _refuse_other_formats(folder: Path) -> None:
    for path in folder.glob(f"{PREFIX}*"):
        if path.is_dir():
            raise FileFormatError(
                f"{path}: is a folder, so it was saved by another version of snnlab; "
                "resume the run with that version, or choose another folder"
            )


def _read(path: Path) -> Snapshot:
    """Read a snapshot, and check its digest.

    Raises:
        FileFormatError: if it is damaged in any way.
    """
    try:
        metadata, arrays = read_tensors(path)
        snapshot = Snapshot(arrays, json.loads(metadata["facts"]))
        undamaged = snapshot.digest == metadata["digest"]
    except (FileFormatError, KeyError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: is damaged ({str(error).removeprefix(f'{path}: ')[:300]})") from error
    if not undamaged:
        raise FileFormatError(f"{path}: is damaged (its digest is wrong)")
    return snapshot


def _complete(folder: Path) -> list[Path]:
    return sorted(filter(_number, folder.glob(f"{PREFIX}*{SUFFIX}")), key=_number)


def _number(path: Path) -> int:
    digits = path.stem.removeprefix(PREFIX)
    return int(digits) if digits.isdecimal() else 0
