"""A folder with the four idx files of an MNIST-like set as a data set."""

import os
from pathlib import Path

from snnlab.data.dataset import Dataset
from snnlab.data.idx import read_idx
from snnlab.data.published import FILES, SOURCES, recognize
from snnlab.errors import ArgumentError, DataError


def load_folder(folder: str | os.PathLike) -> Dataset:
    """The four idx files of an MNIST-like set in a folder, plain or gzipped.

    Files that are the published ones of MNIST, Fashion-MNIST or KMNIST are known by their checksums and get that
    set's name and class names; others get the folder's name, and their classes are called "0", "1", ...

    Args:
        folder: holds `train-images-idx3-ubyte.gz` and its three companions.

    Raises:
        DataError: if a file is missing, or they do not fit together.
        FileFormatError: if one is damaged.
    """
    folder = Path(folder)
    paths = {part: _find(folder, file) for part, file in FILES.items()}
    arrays = {part: read_idx(path) for part, path in paths.items()}
    known = recognize(paths)
    name = known or folder.resolve().name
    try:
        return Dataset(name=name, class_names=SOURCES[known].class_names if known else (), **arrays)
    except ArgumentError as error:
        raise DataError(f"{folder}: its files make no data set ({error})") from error


def _find(folder: Path, file: str) -> Path:
    for path in (folder / file, folder / file.removesuffix(".gz")):
        if path.is_file():
            return path
    raise DataError(
        f"{folder}: has no {file}; needed are {', '.join(FILES.values())} (plain or gzipped); "
        f"for events train.npz and test.npz"
    )
