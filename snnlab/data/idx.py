"""Read idx files, the format of MNIST and its relatives, plain or gzipped.

A header of `0, 0, type, dimensions`, one big-endian int32 per dimension, then the values. Memory is allocated for the
values that are there, not for those that the header announces.

Source: LeCun, Cortes & Burges, The MNIST database; DOI 10.1109/5.726791.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from snnlab.errors import DataError, FileFormatError
from snnlab.support import arguments
from snnlab.support.files import open_file, read_announced, unpacked_limit

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Read one idx file.

    Args:
        path: of the file; ".gz" is unpacked.

    Returns:
        The array, in the byte order of this machine.

    Raises:
        DataError: if the file cannot be opened.
        FileFormatError: if it is not an idx file, is damaged, too short or too long.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
        >>> read_idx(path).tolist()
        [7, 8, 9]
    """
    path = arguments.path("path", path)
    try:
        with open_file(path) as packed, gzip.GzipFile(fileobj=packed) if path.suffix == ".gz" else packed as file:
            dtype, shape = _header(path, file)
            announced = np.dtype(dtype).itemsize * math.prod(shape)
            body = read_announced(file, announced, unpacked_limit(path.stat().st_size))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileFormatError(f"{path}: is damaged or cut short ({error}); download it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise FileFormatError(f"{path}: {error}") from error
    array = np.frombuffer(body, dtype).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _header(path: Path, file) -> tuple[str, tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not 1 <= magic[3] <= 8:
        raise FileFormatError(f"{path}: is not an idx file (it begins with {magic.hex(' ') or 'no bytes'})")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise FileFormatError(f"{path}: ends inside its header")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    if 0 in shape:
        raise FileFormatError(f"{path}: is empty: its header announces the shape {shape}")
    return TYPES[magic[2]], shape
