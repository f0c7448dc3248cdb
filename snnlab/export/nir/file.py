"""NIR files: HDF5, of which only plain numbers and strings are taken, and nothing that lies outside the file.

They are read in a process of their own (`child.py`, a fifth of a second), because libhdf5 never comes back from some
damaged files.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from snnlab.errors import FileFormatError, SnnlabError
from snnlab.export.nir import child
from snnlab.support.extras import install_hint
from snnlab.support.files import atomic_path, refuse_existing, unpacked_limit

SECONDS = 5  # of computing that a small file may take; it takes a fifth of one
BYTES_A_SECOND = 2 * 10**7  # of a large one, packed
PATIENCE = 12  # times as long by the clock: machines do other things


def need_nir():
    """The package `nir`, which is an extra.

    Raises:
        SnnlabError: if it is not installed.
    """
    try:
        import nir
    except ImportError:
        raise SnnlabError(f"NIR is not installed: {install_hint('nir')}") from None
    return nir


def read_graph(path: str | os.PathLike):
    """The NIR graph in a file, as it is there; `snnlab.from_nir` checks that it makes sense.

    Raises:
        FileFormatError: if the file is missing, damaged, or not such a file.
    """
    nir = need_nir()
    try:
        with TemporaryFile() as archive:
            _unpack(path, archive)
            tree = _tree(archive)
        node = tree["node"]
        if node["type"] != "NIRGraph":
            raise FileFormatError(f"holds a single {node['type']} node, not a graph")
        return nir.dict2NIRNode({**node, "type_check": False})
    except SnnlabError as error:
        raise FileFormatError(f"{path}: {error}") from None
    except Exception as error:  # nir raises nearly everything on what makes no graph
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300)
        raise FileFormatError(f"{path}: cannot be read as NIR ({reason})") from error


def write_graph(graph, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Write a NIR graph.

    Raises:
        ArgumentError: if the file exists and `overwrite` is off.
    """
    path = refuse_existing(path, overwrite)
    with atomic_path(path) as part:
        need_nir().write(part, graph)
    return path


def _unpack(path: str | os.PathLike, archive: IO[bytes]) -> None:
    """What is in an HDF5 file, as a NumPy archive."""
    packed = Path(path).stat().st_size
    seconds = SECONDS + packed // BYTES_A_SECOND
    command = [sys.executable, "-P", child.__file__, Path(path).absolute(), unpacked_limit(packed), seconds]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # it computes nothing
    try:
        done = subprocess.run(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=archive,
            stderr=subprocess.PIPE,
            env=environment,
            timeout=PATIENCE * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FileFormatError(f"cannot be read as NIR (HDF5 does not come back from it in {seconds} s)") from None
    if done.returncode < 0:
        raise FileFormatError(f"cannot be read as NIR (HDF5 was ended over it, by signal {-done.returncode})")
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["without a word"]
        raise FileFormatError(f"cannot be read as NIR ({textwrap.shorten(said[-1], 300)})")


def _tree(archive: IO[bytes]) -> dict[str, Any]:
    """Groups become dictionaries, strings `str`."""
    archive.seek(0)
    tree: dict[str, Any] = {}
    with np.load(archive, allow_pickle=False) as arrays:
        for place in arrays.files:
            *groups, name = place.split("/")
            group = tree
            for step in groups:
                group = group.setdefault(step, {})
            value = arrays[place][()]
            group[name] = str(value) if isinstance(value, np.str_) else value
    return tree
