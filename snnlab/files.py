"""Writing files so that an interruption or a full disk leaves the old file, never half a new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile

from platformdirs import user_cache_dir

from snnlab.errors import ArgumentError


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path in the same folder; what is written there replaces `path` if the block ends well.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with atomic_path(target) as part:
        ...     _ = part.write_text("whole")
        >>> target.read_text(), len(list(target.parent.iterdir()))
        ('whole', 1)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False) as file:
        part = Path(file.name)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def refuse_existing(path: str | os.PathLike, overwrite: bool) -> Path:
    """The path, which nothing is at, not even a link that leads nowhere; unless it may be overwritten.

    Raises:
        ArgumentError: if the file exists and `overwrite` is off.

    Example:
        >>> refuse_existing("/", overwrite=False)
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: path: / exists; choose another, or pass overwrite=True
    """
    path = Path(path)
    if os.path.lexists(path) and not overwrite:
        raise ArgumentError(f"path: {path} exists; choose another, or pass overwrite=True")
    return path


def cache_folder() -> Path:
    """Where what can be had again is kept: the environment variable SNNLAB_CACHE, or the user's cache folder.

    Example:
        >>> cache_folder().is_absolute()
        True
    """
    return Path(os.environ.get("SNNLAB_CACHE") or user_cache_dir("snnlab")).absolute()


def try_writing(folder: Path) -> None:
    """Make a folder if it is not there, and see that files can be made in it.

    Raises:
        OSError: if they cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    TemporaryFile(dir=folder).close()


def writable(folder: Path) -> bool:
    """Whether files can be made in `folder`, which is made itself if it is not there.

    Example:
        >>> import tempfile
        >>> writable(Path(tempfile.mkdtemp()) / "new")
        True
    """
    try:
        try_writing(folder)
    except OSError:
        return False
    return True


def free_path(path: Path) -> Path:
    """The path, or where that file exists, one with a number."""
    names = [path, *(path.with_stem(f"{path.stem}-{k}") for k in range(2, 1000))]
    return next(name for name in names if not os.path.lexists(name))
