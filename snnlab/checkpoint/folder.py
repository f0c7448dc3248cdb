"""A folder of checkpoints on disk, written atomically by Orbax and read with suspicion. One run at a time has it.

folder/.lock                     held by the run that saves there
folder/checkpoint-000007         complete: it was renamed when all of it was written
folder/checkpoint-000006.damaged set aside by a run that could not read it
"""

import errno
import functools
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from snnlab.checkpoint.snapshot import Snapshot
from snnlab.errors import ArgumentError, FileFormatError, StateError

PREFIX = "checkpoint-"
GOING = ".old"  # renamed first: a checkpoint that is half deleted must not look like one
UNFINISHED = ".orbax-checkpoint-tmp"  # what Orbax calls what it has not finished


class CheckpointFolder:
    """Writes snapshots into a folder, and reads the newest that is whole.

    Args:
        path: of the folder; made if it is not there.
        keep: so many of the newest snapshots stay.
        say: gets a sentence about a checkpoint that is damaged.

    Raises:
        ArgumentError: if nothing can be written there.
        StateError: if another run has the folder.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> folder = CheckpointFolder(tempfile.mkdtemp(), keep=2, say=print)
        >>> for step in range(3):
        ...     folder.write(Snapshot({"weights": np.full(4, step)}, {"step": step}))
        >>> [path.name for path in folder.complete()], folder.newest().facts
        (['checkpoint-000002', 'checkpoint-000003'], {'step': 2})
    """

    def __init__(self, path: str | os.PathLike, *, keep: int, say: Callable[[str], None]):
        self.path = Path(path).absolute()
        self.keep = keep
        self._say = say
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock()
            self._sweep()
        except OSError as error:
            raise ArgumentError(f"{self.path}: cannot write there ({reason(error)})") from None
        self._number = max([0, *(_number(path) for path in self.path.glob(PREFIX + "*"))])

    def complete(self) -> list[Path]:
        """The checkpoints that are complete, oldest first."""
        found = [path for path in self.path.glob(PREFIX + "*") if path.name.removeprefix(PREFIX).isdigit()]
        return sorted(found, key=_number)

    def newest(self) -> Snapshot | None:
        """The newest snapshot that is whole, or None; those that are not are set aside, and that is said."""
        for path in reversed(self.complete()):
            try:
                return _read(path)
            except FileFormatError as error:
                aside = path.with_name(path.name + ".damaged")
                path.rename(aside)
                self._say(f"{error}; it is set aside as {aside.name}, and the one before is taken")
        return None

    def write(self, snapshot: Snapshot) -> None:
        """Save; only when all of it is on disk, the oldest goes.

        Raises:
            Exception: of many types, if it cannot; `reason` has it in words. What was saved before is still there.
        """
        self._lock()
        self._sweep()  # a thread of Orbax may have written on into what the last failure left
        ocp = _orbax()
        facts = {"facts": snapshot.facts, "digest": snapshot.digest}
        parts = ocp.args.Composite(arrays=ocp.args.PyTreeSave(snapshot.arrays), facts=ocp.args.JsonSave(facts))
        try:
            with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
                checkpointer.save(self.path / f"{PREFIX}{self._number + 1:06d}", args=parts)
        except BaseException:
            self._sweep()  # on a full disk, what is half written is in the way of all
            raise
        self._number += 1
        for path in self.complete()[: -self.keep]:
            path.rename(path.with_name(path.name + GOING))
        self._sweep()

    def close(self) -> None:
        """Let others have the folder."""
        self._held.release()

    def _lock(self) -> None:
        """Have the folder, also where it went away and is there again; it is not made anew: a disk may be unplugged."""
        if not self.path.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the folder is gone", str(self.path))
        file = self.path / ".lock"
        if hasattr(self, "_held") and file.exists() and file.stat().st_ino == self._inode:
            return
        self.close() if hasattr(self, "_held") else None
        self._held = FileLock(file, timeout=0, thread_local=False)
        try:
            self._held.acquire()
        except Timeout:
            raise StateError(f"{self.path}: another run saves there; end it, or take another folder") from None
        self._inode = file.stat().st_ino

    def _sweep(self) -> None:
        """Take away what was never finished, and what is half deleted."""
        for path in self.path.glob(PREFIX + "*"):
            if UNFINISHED in path.name or path.name.endswith(GOING):
                shutil.rmtree(path, ignore_errors=True)


def reason(error: BaseException) -> str:
    """Why a file could not be written, in a few words; Orbax hides the system's errors in long texts."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOENT)
    known = [os.strerror(code) for code in codes if os.strerror(code) in str(error)]
    return known[0] if known else f"{type(error).__name__}: {str(error)[:200]}"


@functools.cache
def _orbax():
    """Orbax, imported late, as that takes a second. What its threads and tasks log of errors is raised as well."""
    import orbax.checkpoint as ocp

    logging.getLogger("absl").addFilter(lambda record: "_SignalingThread" not in str(record.msg))
    logging.getLogger("asyncio").addFilter(lambda record: "tensorstore" not in record.getMessage())
    return ocp


def _read(path: Path) -> Snapshot:
    """A snapshot whose checksum is right.

    Raises:
        FileFormatError: for one that is damaged in any way.
    """
    ocp = _orbax()
    parts = ocp.args.Composite(arrays=ocp.args.PyTreeRestore(), facts=ocp.args.JsonRestore())
    try:
        with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
            found = checkpointer.restore(path, args=parts)
        snapshot = Snapshot(dict(found["arrays"]), found["facts"]["facts"])
        whole = snapshot.digest == found["facts"]["digest"]
    except Exception as error:  # whatever a flipped bit makes of a library's parsers
        raise FileFormatError(f"{path}: is damaged ({reason(error)})") from error
    if not whole:
        raise FileFormatError(f"{path}: is damaged (its checksum is another)")
    return snapshot


def _number(path: Path) -> int:
    digits = path.name.removeprefix(PREFIX).split(".")[0]
    return int(digits) if digits.isdigit() else 0
