"""Read and write NIR files: HDF5, of which only plain numbers and strings inside the file are read.

A process of its own reads them (`child.py`, a fifth of a second), because libhdf5 hangs on some damaged files.
"""

import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from tempfile import TemporaryFile
from types import ModuleType
from typing import IO, Any

import numpy as np

from snnlab.errors import FileFormatError, SnnlabError
from snnlab.export.nir import child
from snnlab.support import arguments
from snnlab.support.extras import install_hint
from snnlab.support.files import atomic_path, open_file, refuse_existing, unpacked_limit

SECONDS = 5  # of CPU time allowed for a small file, which needs a fifth of one
BYTES_A_SECOND = 2 * 10**7  # one more second for each as many bytes of a large file
PATIENCE = 12  # times as long by the wall clock, because machines are shared


def need_nir() -> ModuleType:
    """Return the package `nir`, which is optional.

    Raises:
        SnnlabError: if it is not installed.
    """
    try:
        import nir
    except ImportError:
        raise SnnlabError(f"NIR is not installed: {install_hint('nir')}") from None
    return nir


def read_graph(path: str | os.PathLike):
    """Read the NIR graph in a file; `snnlab.from_nir` checks its contents.

    Raises:
        FileFormatError: if the file is missing, damaged, or not a NIR file.
    """
    nir = need_nir()
    try:
        with open_file(arguments.path("path", path)) as file, TemporaryFile() as archive:
            _unpack(file, archive)
            tree = _tree(archive)
        node = tree["node"]
        if node["type"] != "NIRGraph":
            raise FileFormatError(f"holds a single {node['type']} node, not a graph")
        return nir.dict2NIRNode({**node, "type_check": False})
    except SnnlabError as error:
        raise FileFormatError(f"{path}: {error}") from None
    except Exception as error:  # nir raises almost any exception if a file holds no graph
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300)
        raise FileFormatError(f"{path}: cannot be read as NIR ({reason})") from error


def write_graph(graph, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Write a NIR graph.

    Raises:
        ArgumentError: if the file exists and `overwrite` is False.
        WriteError: if it cannot be written.
    """
    path = refuse_existing(path, overwrite)
    whole = io.BytesIO()  # in memory first: libhdf5 crashes on a full disk
    need_nir().write(whole, graph)
    with atomic_path(path) as part:
        part.write_bytes(whole.getbuffer())
    return path


def _unpack(file: IO[bytes], archive: IO[bytes]) -> None:
    """Convert an HDF5 file to a NumPy archive."""
    packed = os.fstat(file.fileno()).st_size
    seconds = SECONDS + packed // BYTES_A_SECOND
    command = [sys.executable, "-P", child.__file__, unpacked_limit(packed), seconds]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # no threads: it computes nothing
    try:
        done = subprocess.run(
            list(map(str, command)),
            stdin=file,
            stdout=archive,
            stderr=subprocess.PIPE,
            env=environment,
            timeout=PATIENCE * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FileFormatError(
            f"cannot be read as NIR (reading timed out after {seconds} s; the file is probably damaged)"
        ) from None
    if done.returncode < 0:
        raise FileFormatError(
            f"cannot be read as NIR (reading crashed with signal {-done.returncode}; the file is probably damaged)"
        )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise FileFormatError(f"cannot be read as NIR ({textwrap.shorten(said[-1], 300)})")


def _tree(archive: IO[bytes]) -> dict[str, Any]:
    """Return the archive as nested dictionaries, one per group, with strings as `str`."""
    archive.seek(0)
    tree: dict[str, Any] = {}
    with np.load(archive, allow_pickle=False) as arrays:
        for place in arrays.files:
            *groups, name = (arguments.name("name", part) for part in place.split("/"))
            group = tree
            for step in groups:
                group = group.setdefault(step, {})
            value = arrays[place][()]
            group[name] = str(value) if isinstance(value, np.str_) else value
    return tree
