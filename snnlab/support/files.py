"""Write files so that an interruption, a full disk or a power cut leaves the old file, never half of a new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO

from platformdirs import user_cache_dir

from snnlab.errors import ArgumentError

BLOCK = 1 << 20


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path in the same folder; if the block succeeds, the file written there replaces `path`.

    The bytes are on the disk before the file gets its name, so that the name never stands for half a file.

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
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


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
    path = Path(path)
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
    try:
        if Path(folder).resolve().is_relative_to(Path(base).resolve()):
            return Path(folder)
    except (OSError, ValueError, RuntimeError) as error:  # a NUL, a link to itself
        raise ArgumentError(f"folder: {os.fspath(folder)!r} is not a valid path ({error})") from None
    raise ArgumentError(f"folder: {folder} is not inside {base}")


def cache_folder() -> Path:
    """Return the cache folder: the environment variable SNNLAB_CACHE, or the user's cache folder for snnlab.

    Example:
        >>> cache_folder().is_absolute()
        True
    """
    return Path(os.environ.get("SNNLAB_CACHE") or user_cache_dir("snnlab")).absolute()


def try_writing(folder: Path) -> None:
    """Make a folder if it is missing, and check that files can be created in it.

    Raises:
        OSError: if they cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    TemporaryFile(dir=folder).close()


def writable(folder: Path) -> bool:
    """Return whether files can be created in `folder`, which is made if it is missing.

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
    """Return `path`, or the first of `name-2`, `name-3`, ... that does not exist."""
    names = [path, *(path.with_stem(f"{path.stem}-{k}") for k in range(2, 1000))]
    return next(name for name in names if not os.path.lexists(name))
