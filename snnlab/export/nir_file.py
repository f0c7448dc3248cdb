"""NIR files: HDF5, of which only plain numbers and strings are taken, and nothing that lies outside the file."""

import io
import os
from pathlib import Path

from snnlab.errors import FileFormatError, SnnlabError
from snnlab.files import atomic_path, refuse_existing

MAX_BYTES = 2**31  # of all arrays together, unpacked
MAX_OBJECTS = 10_000
MAX_DEPTH = 16


def need_nir():
    """The package `nir`, which is an extra.

    Raises:
        SnnlabError: if it is not installed.
    """
    try:
        import nir
    except ImportError:
        raise SnnlabError('NIR is not installed: pip install "snnlab[nir]"') from None
    return nir


def read_graph(path: str | os.PathLike):
    """The NIR graph in a file, as it is there; `snnlab.from_nir` checks that it makes sense.

    Raises:
        FileFormatError: if the file is missing, damaged, or not such a file.
    """
    nir = need_nir()
    import h5py

    try:
        whole = io.BytesIO(Path(path).read_bytes())  # checked and read are the same bytes
        with h5py.File(whole, "r") as file:
            _check_contents(file, h5py)
            what = file["node/type"].asstr()[()]
        if what != "NIRGraph":
            raise FileFormatError(f"holds a single {what} node, not a graph")
        return nir.read(whole, type_check=False)
    except SnnlabError as error:
        raise FileFormatError(f"{path}: {error}") from None
    except Exception as error:  # h5py and nir raise nearly everything on what they cannot read
        raise FileFormatError(f"{path}: cannot be read as NIR ({type(error).__name__}: {error})") from error


def write_graph(graph, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Write a NIR graph.

    Raises:
        ArgumentError: if the file exists and `overwrite` is off.
    """
    path = refuse_existing(path, overwrite)
    with atomic_path(path) as part:
        need_nir().write(part, graph)
    return path


def _check_contents(file, h5py) -> None:
    """A file could name other files, data of any size, or itself; none of these is followed."""
    waiting, objects, size = [(file, 0)], 0, 0
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            objects += 1
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise FileFormatError(f"{name!r} is a link to somewhere else")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append((item, depth + 1))
                continue
            if item.external or item.is_virtual:
                raise FileFormatError(f"{name!r} takes its data from other files")
            if item.dtype.kind not in "biufS" and h5py.check_string_dtype(item.dtype) is None:
                raise FileFormatError(f"{name!r} is {item.dtype}, neither numbers nor strings")
            size += item.size * item.dtype.itemsize
        if depth > MAX_DEPTH or objects > MAX_OBJECTS or size > MAX_BYTES:
            raise FileFormatError(
                f"is larger than {MAX_BYTES} bytes, {MAX_OBJECTS} entries or {MAX_DEPTH} levels, unpacked"
            )
