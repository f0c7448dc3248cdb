"""Write files so that an interruption, a full disk or a power cut leaves the old file, never half of a new one."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, BinaryIO

from platformdirs import user_cache_dir

from snnlab.errors import ArgumentError, WriteError
from snnlab.support import arguments

BLOCK = 1 << 20


@contextmanager
def atomic_path(path: str | os.PathLike, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path in the same folder; if the block succeeds, the file written there replaces `path`.

    The bytes are on the disk before the file gets its name, so that the name never stands for half a file. It has
    the permissions of the file that it replaces; a new one has those that the umask leaves.

    Args:
        path: of the file; missing folders are made.
        durable: wait until the bytes are on the disk; without, a power cut may leave half a file.

    Raises:
        WriteError: if the file cannot be written.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with atomic_path(target) as part:
        ...     _ = part.write_text("whole")
        >>> target.read_text(), len(list(target.parent.iterdir()))
        ('whole', 1)
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        part.touch(exist_ok=False)
        try:
            with suppress(FileNotFoundError):
                if stat.S_ISREG(old := path.lstat().st_mode):
                    part.chmod(stat.S_IMODE(old))
            yield part
            if durable:
                with part.open("r+b") as file:
                    os.fsync(file.fileno())
            part.replace(path)
            if durable:
                _sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(error.errno, error.strerror or str(error), os.fspath(path)) from error


def remove_unfinished(folder: Path, name: str) -> None:
    """Delete the temporary files that killed processes left in `folder` for targets that match the pattern `name`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / ".net.nir.x3k9.part").touch()
        >>> remove_unfinished(folder, "*.nir")
        >>> list(folder.iterdir())
        []
    """
    for part in folder.glob(f".{name}.*.part"):
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk; Windows, which cannot open folders, does so by itself."""
    if os.name == "nt":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def open_file(path: str | os.PathLike) -> BinaryIO:
    """Open a file for reading; anything else that has a name, such as a pipe, would block or never end.

    Raises:
        OSError: if it cannot be opened, or is no file.

    Example:
        >>> open_file("/dev/zero")
        Traceback (most recent call last):
        ...
        OSError: [Errno 22] is not a file: '/dev/zero'
    """
    file = open(path, "rb", opener=_at_once)  # noqa: SIM115 (the caller closes it)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "is not a file", os.fspath(path))
    return file


def _at_once(path: str, flags: int) -> int:
    """Open a pipe, too, without waiting for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_whole(path: str | os.PathLike) -> bytes:
    """Return the bytes of a file; raise as `open_file`."""
    with open_file(path) as file:
        return file.read()


def refuse_existing(path: str | os.PathLike, overwrite: bool) -> Path:
    """Return `path`; raise if something exists there (even a dangling symlink) and `overwrite` is False.

    Raises:
        ArgumentError: if the file exists and `overwrite` is False.

    Example:
        >>> refuse_existing("/", overwrite=False)
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: path: / exists; choose another, or pass overwrite=True
    """
    path = arguments.path("path", path)
    if os.path.lexists(path) and not overwrite:
        raise ArgumentError(f"path: {path} exists; choose another, or pass overwrite=True")
    return path


def unpacked_limit(packed: int) -> int:
    """Return how many bytes a file of `packed` bytes may unpack to: 64 MB plus 32 times its size.

    zlib packs zeros a thousand to one, so a file of a few megabytes could fill any memory. Spikes, images and weights
    shrink by a factor of two to ten.

    Example:
        >>> unpacked_limit(2**20) // 2**20
        96
    """
    return 2**26 + 32 * packed


def read_announced(file: IO[bytes] | BufferedIOBase, announced: int, limit: int) -> bytearray:
    """Read the number of bytes that a header announced; memory is allocated for the bytes found, not those announced.

    Raises:
        ValueError: if there are more or fewer bytes, or more than `limit`.

    Example:
        >>> import io
        >>> read_announced(io.BytesIO(b"abc"), 10**12, limit=100)
        Traceback (most recent call last):
        ...
        ValueError: its header announces 1,000,000,000,000 bytes of values, but there are only 3
    """
    body, most = bytearray(), min(announced, limit)
    while len(body) <= most and (block := file.read(min(BLOCK, most + 1 - len(body)))):
        body += block
    if len(body) == announced <= limit:
        return body
    if len(body) > limit:
        raise ValueError(f"it unpacks to more than {limit:,} bytes, too many for a file of its size")
    found = "more" if len(body) > announced else f"only {len(body):,}"
    raise ValueError(f"its header announces {announced:,} bytes of values, but there are {found}")


def inside(folder: str | os.PathLike, base: str | os.PathLike) -> Path:
    """Return `folder`, which must be `base` or lie inside it after `..` and links are resolved.

    Raises:
        ArgumentError: if it lies elsewhere.

    Example:
        >>> inside("exports/../../etc", "exports")
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: folder: exports/../../etc is not inside exports
    """
    inner, outer = (arguments.path("folder", path) for path in (folder, base))
    try:
        if inner.resolve().is_relative_to(outer.resolve()):
            return inner
    except (OSError, ValueError, RuntimeError) as error:  # a NUL, a link to itself
        raise ArgumentError(f"folder: {os.fspath(folder)!r} is not a valid path ({error})") from None
    raise ArgumentError(f"folder: {folder} is not inside {base}")


def cache_folder() -> Path:
    """Return the cache folder: the environment variable SNNLAB_CACHE, or the user's cache folder for snnlab.

    Example:
        >>> cache_folder().is_absolute()
        True
    """
    return arguments.path("SNNLAB_CACHE", os.environ.get("SNNLAB_CACHE") or user_cache_dir("snnlab")).absolute()


def try_writing(folder: Path) -> None:
    """Make a folder if it is missing, and check that files can be created in it.

    Raises:
        OSError: if they cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    TemporaryFile(dir=folder).close()


def free_path(path: Path) -> Path:
    """Return `path`, or the first of `name-2`, `name-3`, ... that does not exist."""
    names = [path, *(path.with_stem(f"{path.stem}-{k}") for k in range(2, 1000))]
    return next(name for name in names if not os.path.lexists(name))
