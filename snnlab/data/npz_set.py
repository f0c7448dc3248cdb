"""A data set in one NumPy archive (`numpy.savez`), with arrays named as the arguments of `Dataset`."""

import os
from pathlib import Path

import numpy as np

from snnlab.data.dataset import PARTS, Dataset
from snnlab.data.npz import are_texts, read_npz, stored_names
from snnlab.data.own_files import NAMES, dataset_of
from snnlab.errors import DataError, FileFormatError
from snnlab.support import arguments

PARTED = tuple(f"{name}_{part}" for part in PARTS for name in NAMES)


def load_npz(path: str | os.PathLike, *, task: str | None = None) -> Dataset:
    """Load a data set from one archive.

    It holds `x` and `y`, which are divided into parts, see `snnlab.data.parts`; or `x_train`, `y_train`, and `x_test`,
    `y_test`, `x_val`, `y_val` if there are such parts. `mask`, `lengths` and `weights` may stand beside them, as in
    `Dataset`, and `class_names`. Labels may be texts. Other arrays are ignored. Nothing is unpickled.

    Args:
        path: of the archive.
        task: what the targets are, see `Dataset`; None: `snnlab.data.deduce.deduced`.

    Raises:
        DataError: if the file cannot be opened, or its arrays are no data set.
        FileFormatError: if it is damaged, or lacks an array.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "mine.npz"
        >>> np.savez(path, x=np.random.default_rng(0).random((30, 4)), y=np.arange(30) % 3)
        >>> load_npz(path)
        Dataset('mine.npz': 21 train, 3 validation, 6 test, samples (4,) float32, 3 classes)
    """
    path = arguments.path("path", path)
    needed = _needed(path, stored_names(path))
    arrays = read_npz(path, needed, (*(NAMES if "x" in needed else PARTED), "class_names"))
    names = arrays.pop("class_names", np.empty(0, "U1"))
    for name, array in {**arrays, "class_names": names}.items():
        if array.dtype.kind == "U" and not are_texts(array):
            raise FileFormatError(f"{path}: {name} holds characters that do not exist")
        if array.ndim == 0:
            raise DataError(f"{path}: {name} must be one per sample, got one number")
    if names.dtype.kind != "U" or names.ndim != 1:
        raise FileFormatError(f"{path}: class_names must be a list of texts, got {names.dtype}{names.shape}")
    where = "y" if "x" in needed else "y_train"
    return dataset_of(path, arrays, task=task, class_names=tuple(names.tolist()), source=f"in {where}")


def _needed(path: Path, stored: tuple[str, ...]) -> tuple[str, ...]:
    """Return the arrays that an archive must have, by those that it has."""
    there, parted = {*stored}, [name for name in PARTED if name in stored]
    if "x" in there and parted:
        raise DataError(f"{path}: has both x and {parted[0]}; keep x and y, or the parts")
    if "x" not in there and "x_train" not in there:
        has = ", ".join(map(ascii, stored[:10])) or "none"
        raise FileFormatError(
            f"{path}: its arrays are {has}; call them x and y, or x_train, y_train, x_test and y_test (an event set is "
            "loaded by the folder of train.npz and test.npz)"
        )
    if "x" in there:
        return "x", "y"
    return tuple(f"{name}_{part}" for part in PARTS if {f"x_{part}", f"y_{part}"} & there for name in "xy")
