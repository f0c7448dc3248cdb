"""Load the four idx files of an MNIST-like set from a folder."""

import os
from pathlib import Path
from typing import Any

from snnlab.data.dataset import Dataset
from snnlab.data.idx import read_idx
from snnlab.data.published import FILES, SOURCES, recognize
from snnlab.errors import ArgumentError, DataError
from snnlab.support import arguments


def is_idx_folder(folder: Path) -> bool:
    """Return whether a folder holds one of the four idx files, or all of them."""
    return any(_place(folder, file) is not None for file in FILES.values())


def load_folder(folder: str | os.PathLike) -> Dataset:
    """Load the four idx files of an MNIST-like set from a folder, plain or gzipped.

    The published files of MNIST, Fashion-MNIST and KMNIST are recognized by their checksums and get that set's name and
    class names. Other sets are named after the folder, and their classes "0", "1", ...

    Args:
        folder: holds `train-images-idx3-ubyte.gz` and its three companions.

    Raises:
        DataError: if a file is missing, or the four do not match.
        FileFormatError: if a file is damaged.
    """
    folder = arguments.path("folder", folder)
    paths = {part: _find(folder, file) for part, file in FILES.items()}
    arrays: dict[str, Any] = {part: read_idx(path) for part, path in paths.items()}
    known = recognize(paths)
    name = known or folder.resolve().name
    try:
        return Dataset(name=name, class_names=SOURCES[known].class_names if known else (), **arrays)
    except ArgumentError as error:
        raise DataError(f"{folder}: its four files do not match ({error})") from error


def _place(folder: Path, file: str) -> Path | None:
    both = folder / file, folder / file.removesuffix(".gz")
    return next((path for path in both if path.is_file()), None)


def _find(folder: Path, file: str) -> Path:
    path = _place(folder, file)
    if path is None:
        raise DataError(f"{folder}: has no {file}; an image set needs {', '.join(FILES.values())} (plain or gzipped)")
    return path
