"""Read NumPy archives (`numpy.savez`, compressed or not) that strangers may have written.

Nothing is unpickled, members are looked up by name and never become files, and memory is allocated for the bytes that
are there: NumPy's own reader would allocate whatever a header announces.
"""

import math
import sys
import textwrap
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from numpy.lib import format as npy

from snnlab.errors import DataError, FileFormatError
from snnlab.support.files import open_file, read_announced, unpacked_limit

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What zipfile raises for damaged archives; RuntimeError if one seems encrypted, OSError for a negative offset.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


def stored_names(path: Path) -> tuple[str, ...]:
    """Return the names of the arrays in an archive.

    Raises:
        DataError: if the file cannot be opened.
        FileFormatError: if it is damaged.
    """
    with _opened(path) as archive:
        return tuple(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))


def read_npz(path: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read the arrays with these names, and ignore all others.

    Raises:
        DataError: if the file cannot be opened.
        FileFormatError: if it is damaged, lacks a needed array, holds objects, or unpacks to too much for its size.
    """
    with _opened(path) as archive:
        members = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
        missing = [name for name in needed if name not in members]
        if missing:
            raise FileFormatError(f"{path}: has no array {missing[0]!r}; it needs {', '.join(needed)}")
        limit = unpacked_limit(path.stat().st_size)
        found: dict[str, np.ndarray] = {}
        for name in dict.fromkeys((*needed, *(name for name in optional if name in members))):
            room = limit - sum(array.nbytes for array in found.values())
            found[name] = _member(path, archive, name, room)
        return found


def read_npy(path: Path) -> np.ndarray:
    """Read the array in an `.npy` file.

    Raises:
        DataError: if the file cannot be opened.
        FileFormatError: if it is damaged, or holds objects.
    """
    try:
        with _file(path) as file:
            return _array(file, unpacked_limit(path.stat().st_size))
    except DataError:
        raise
    except Exception as error:  # as below
        raise FileFormatError(f"{path}: is damaged or not an .npy file ({_short(error)})") from error


def are_texts(array: np.ndarray) -> bool:
    """Whether every code point in an array of strings is one of Unicode; NumPy makes broken strings of others.

    Example:
        >>> are_texts(np.array(["cat"])), are_texts(np.array([0x110000], "<u4").view("<U1"))
        (True, False)
    """
    if array.size == 0 or array.dtype.itemsize == 0:
        return True
    points = np.dtype(np.uint32).newbyteorder(array.dtype.byteorder)
    return int(np.ascontiguousarray(array).view(points).max()) <= sys.maxunicode


def _file(path: Path) -> BinaryIO:
    try:
        return open_file(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with _file(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except DAMAGE as error:
        raise FileFormatError(f"{path}: is damaged or not an .npz file ({_short(error)})") from error


def _member(path: Path, archive: zipfile.ZipFile, name: str, room: int) -> np.ndarray:
    try:
        if archive.getinfo(f"{name}.npy").compress_type not in METHODS:
            raise ValueError("its compression is not one that NumPy uses")
        with archive.open(f"{name}.npy") as file:
            return _array(file, room)
    except DAMAGE[:-1]:
        raise
    except Exception as error:  # NumPy parses headers as Python literals, which can fail in any way
        raise FileFormatError(f"{path}: {name} is not a readable array ({_short(error)})") from error


def _array(file: IO[bytes], room: int) -> np.ndarray:
    shape, fortran, dtype = HEADERS[npy.read_magic(file)](file)
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"it must be plain numbers or strings, but its header says {dtype}{shape}")
    body = read_announced(file, dtype.itemsize * math.prod(shape), room)
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")


def _short(error: Exception) -> str:
    return textwrap.shorten(str(error), 300) or type(error).__name__
