"""Read NumPy archives (`numpy.savez`, compressed or not) that strangers may have written.

Nothing is unpickled, members are looked up by name and never become files, and memory is allocated for the bytes that
are there: NumPy's own reader would allocate whatever a header announces.
"""

import math
import textwrap
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from snnlab.errors import DataError, FileFormatError
from snnlab.support.files import open_file, read_announced, unpacked_limit

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What zipfile raises for damaged archives; RuntimeError if one seems encrypted, OSError for a negative offset.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


def read_npz(path: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read the arrays with these names, and ignore all others.

    Raises:
        DataError: if the file cannot be opened.
        FileFormatError: if it is damaged, lacks a needed array, holds objects, or unpacks to too much for its size.
    """
    try:
        file = open_file(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    try:
        with file, zipfile.ZipFile(file) as archive:
            members = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
            missing = [name for name in needed if name not in members]
            if missing:
                raise FileFormatError(f"{path}: has no array {missing[0]!r}; it needs {', '.join(needed)}")
            limit = unpacked_limit(path.stat().st_size)
            found: dict[str, np.ndarray] = {}
            for name in (*needed, *(name for name in optional if name in members)):
                room = limit - sum(array.nbytes for array in found.values())
                found[name] = _array(path, archive, name, room)
            return found
    except DAMAGE as error:
        raise FileFormatError(f"{path}: is damaged or not an .npz file ({_short(error)})") from error


def _array(path: Path, archive: zipfile.ZipFile, name: str, room: int) -> np.ndarray:
    try:
        if archive.getinfo(f"{name}.npy").compress_type not in METHODS:
            raise ValueError("its compression is not one that NumPy uses")
        with archive.open(f"{name}.npy") as file:
            shape, fortran, dtype = HEADERS[npy.read_magic(file)](file)
            if dtype.hasobject or min(shape, default=0) < 0:
                raise ValueError(f"it must be plain numbers or strings, but its header says {dtype}{shape}")
            body = read_announced(file, dtype.itemsize * math.prod(shape), room)
        return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")
    except DAMAGE[:-1]:
        raise
    except Exception as error:  # NumPy parses headers as Python literals, which can fail in any way
        raise FileFormatError(f"{path}: {name} is not a readable array ({_short(error)})") from error


def _short(error: Exception) -> str:
    return textwrap.shorten(str(error), 300) or type(error).__name__
