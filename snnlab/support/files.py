"""Writing files so that an interruption or a full disk leaves the old file, never half a new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO

from platformdirs import user_cache_dir

from snnlab.errors import ArgumentError

BLOCK = 1 << 20


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


def unpacked_limit(packed: int) -> int:
    """Bytes to which a file of `packed` bytes may unpack: 64 MB, and 32 times its size.

    zlib packs a thousand to one, so that a file of a few megabytes can fill any memory. Spikes, images and weights
    are packed two to ten to one.

    Example:
        >>> unpacked_limit(2**20) // 2**20
        96
    """
    return 2**26 + 32 * packed


def read_announced(file: IO[bytes], announced: int, limit: int) -> bytearray:
    """As many bytes as a header announced; room is made for what is there, not for what is announced.

    Raises:
        ValueError: if there are more or fewer, or more than `limit`.

    Example:
        >>> import io
        >>> read_announced(io.BytesIO(b"abc"), 10**12, limit=100)
        Traceback (most recent call last):
        ...
        ValueError: its header announces 1,000,000,000,000 bytes of values, there are only 3
    """
    body, most = bytearray(), min(announced, limit)
    while len(body) <= most and (block := file.read(min(BLOCK, most + 1 - len(body)))):
        body += block
    if len(body) == announced <= limit:
        return body
    if len(body) > limit:
        raise ValueError(f"it unpacks to more than {limit:,} bytes, too many for a file of its size")
    found = "more" if len(body) > announced else f"only {len(body):,}"
    raise ValueError(f"its header announces {announced:,} bytes of values, there are {found}")


def inside(folder: str | os.PathLike, base: str | os.PathLike) -> Path:
    """The folder, which is `base` or lies in it, wherever `..` and links lead.

    Raises:
        ArgumentError: if it does not.

    Example:
        >>> inside("exports/../../etc", "exports")
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: folder: exports/../../etc is not exports and does not lie in it
    """
    try:
        if Path(folder).resolve().is_relative_to(Path(base).resolve()):
            return Path(folder)
    except (OSError, ValueError, RuntimeError) as error:  # a NUL, a link to itself
        raise ArgumentError(f"folder: {os.fspath(folder)!r} is none ({error})") from None
    raise ArgumentError(f"folder: {folder} is not {base} and does not lie in it")


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
