"""Keep what was compiled for later processes, in files that are checked when they are read.

A cache is a convenience: a file that is missing, cut short or damaged, a full disk, a folder that cannot be written
cost the time to compile, never more. The user is told once, with the folder.
"""

import hashlib
import os
from pathlib import Path

from snnlab.support.files import atomic_path, read_whole
from snnlab.support.warn import warn

SEAL = hashlib.sha256().digest_size  # bytes before the value: the digest of key and value


class Shelf:
    """Byte strings by key, each in a file of its own.

    Args:
        folder: made when something is put there.

    Example:
        >>> import tempfile
        >>> shelf = Shelf(Path(tempfile.mkdtemp()) / "programs")
        >>> shelf.get("one"), shelf.put("one", b"compiled"), shelf.get("one")
        (None, None, b'compiled')
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self._told = False

    def get(self, key: str) -> bytes | None:
        """Return what was put there, or None if it is not there or not as it was."""
        try:
            sealed = read_whole(self.folder / key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._tell(f"cannot read {key} ({error.strerror})")
            return None
        value = sealed[SEAL:]
        if _seal(key, value) != sealed[:SEAL]:
            self._tell(f"{key} is damaged; it is made again")
            return None
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keep a value, in the place of an older one; if that fails, only the user hears of it."""
        try:
            with atomic_path(self.folder / key, durable=False) as part:  # what a power cut leaves is damaged, no more
                part.write_bytes(_seal(key, value) + value)
        except OSError as error:
            self._tell(
                f"cannot write there ({error.strerror}), so every process compiles anew; "
                "free space there, or choose another folder with SNNLAB_CACHE"
            )

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            warn(f"{self.folder}: {what}")


def _seal(key: str, value: bytes) -> bytes:
    return hashlib.sha256(f"{key}\n".encode() + value).digest()
