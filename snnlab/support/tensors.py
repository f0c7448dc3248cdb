"""Read and write safetensors files: arrays by name, and strings as metadata. Reading one runs no code."""

import os
import textwrap
from collections.abc import Mapping

import numpy as np

from snnlab.errors import ArgumentError, FileFormatError
from snnlab.support import arguments
from snnlab.support.files import atomic_path, open_file

DTYPES = {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
DTYPES |= {"float16", "bfloat16", "float32", "float64", "complex64"}
"""What can be read again; safetensors would write more."""


def write_tensors(
    path: str | os.PathLike, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str], *, durable: bool = True
) -> None:
    """Write one file, whole or not at all.

    Args:
        path: of the file.
        arrays: by name.
        metadata: by name.
        durable: see `snnlab.support.files.atomic_path`.

    Raises:
        ArgumentError: if an array has a type that could not be read again.
        WriteError: if the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.safetensors"
        >>> write_tensors(path, {"weights": np.arange(3)[::2]}, {"note": "every second"})
        >>> read_tensors(path)
        ({'note': 'every second'}, {'weights': array([0, 2])})
    """
    from safetensors.numpy import save

    for name, array in arrays.items():
        if array.dtype.name not in DTYPES:
            raise ArgumentError(f"{name}: has type {array.dtype}, which cannot be saved; convert it to float32")
    # safetensors copies memory as it lies, so a strided view must be made dense first.
    dense = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with atomic_path(path, durable=durable) as part:
        part.write_bytes(save(dense, dict(metadata)))


def read_tensors(path: str | os.PathLike) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Return the metadata and the arrays of a file; the sizes in its header are checked against the file's.

    Raises:
        FileFormatError: if the file is missing, damaged, or not a safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    path = arguments.path("path", path)
    try:
        open_file(path).close()  # safe_open would wait for the writer of a pipe
        with safe_open(os.fspath(path), framework="numpy") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:  # the last for types of torch
        raise FileFormatError(f"{path}: cannot be read as safetensors ({textwrap.shorten(str(error), 300)})") from error
