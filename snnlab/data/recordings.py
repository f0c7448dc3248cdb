"""Recordings on disk: a folder with one folder per class, and in each the recordings of the class.

A recording is a `.npy` array `(time, channels)` or `(time,)`, or a `.csv` table with one row a step and one column a
channel. Recordings may have different lengths. Folders named `train`, `test` and, if you want, `val` may stand above
those of the classes; otherwise the recordings are divided into parts, see `snnlab.data.parts`.
"""

import itertools
import os
from pathlib import Path

import numpy as np

from snnlab.data.csv_file import read_table
from snnlab.data.dataset import PARTS, Dataset, padded
from snnlab.data.npz import read_npy
from snnlab.data.own_files import dataset_of
from snnlab.data.table import SUFFIXES
from snnlab.errors import ArgumentError, DataError, FileFormatError
from snnlab.support import arguments

READABLE = (".npy", *SUFFIXES)


def is_recordings_folder(folder: Path) -> bool:
    """Return whether there are recordings in the folders of a folder, or in those within them."""
    inside = itertools.chain.from_iterable((*place.glob("*"), *place.glob("*/*")) for place in _folders(folder))
    return any(path.suffix.lower() in READABLE for path in inside)


def load_recordings(folder: str | os.PathLike, *, task: str | None = None) -> Dataset:
    """Load the recordings in a folder of classes; the classes are called like their folders.

    Args:
        folder: see above.
        task: "label", or None for the same.

    Raises:
        ArgumentError: for another task.
        DataError: if a folder is empty, or recordings do not match; the message names the file.
        FileFormatError: if a file is damaged.

    Example:
        >>> import tempfile
        >>> folder, rng = Path(tempfile.mkdtemp()) / "beats", np.random.default_rng(0)
        >>> for name in ("normal", "early"):
        ...     (folder / name).mkdir(parents=True)
        ...     for k in range(10):
        ...         np.save(folder / name / f"{k}.npy", rng.random((20 + k, 3)))
        >>> load_recordings(folder)
        Dataset('beats': 14 train, 2 validation, 4 test, samples (29, 3) float32, 2 classes)
    """
    folder = arguments.path("folder", folder)
    if task not in (None, "label"):
        raise ArgumentError(f"task: recordings in folders of classes have one label each, got {task!r}")
    inner = {path.name: path for path in _folders(folder)}
    parted = "train" in inner and {*inner} <= {*PARTS}
    if parted and "test" not in inner:
        raise DataError(f"{folder}: has the folder train, but no folder test")
    parts = {part: inner[part] for part in PARTS if part in inner} if parted else {"": folder}
    recordings, labels, ends = [], [], []
    for part in parts.values():
        for path, label in _files(part):
            recordings.append(_recording(path, recordings))
            labels.append(label)
        ends.append(len(labels))
    x, lengths = padded("x", recordings)
    arrays = {"x": np.asarray(x), "y": np.array(labels)} | ({} if lengths is None else {"lengths": lengths})
    if parted:
        arrays = {
            f"{name}_{part}": piece
            for name, array in arrays.items()
            for part, piece in zip(parts, np.split(array, ends[:-1]), strict=True)
        }
    return dataset_of(folder, arrays, task="label", source="by folder", timed=True)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files(folder: Path) -> list[tuple[Path, str]]:
    """The recordings below the folders of the classes, in the order of their names, each with its class."""
    found = []
    for place in _folders(folder):
        inside = sorted(path for path in place.iterdir() if not path.name.startswith("."))
        for path in inside:
            if path.suffix.lower() not in READABLE:
                raise DataError(f"{path}: is no recording; in a folder of a class, each file is .npy or .csv")
        if not inside:
            raise DataError(f"{place}: is the folder of a class, but has no .npy or .csv in it")
        found += [(path, place.name) for path in inside]
    if not found:
        raise DataError(f"{folder}: has no folders of classes")
    return found


def _recording(path: Path, others: list[np.ndarray]) -> np.ndarray:
    """Read one recording, which must have frames like the others."""
    numbers = read_npy(path) if path.suffix.lower() == ".npy" else read_table(path, with_targets=False).numbers
    if numbers.dtype.kind not in "biuf":
        raise FileFormatError(f"{path}: a recording must be numbers, got {numbers.dtype}")
    if numbers.ndim == 1:
        numbers = numbers[:, None]
    if numbers.ndim < 2 or numbers.size == 0:
        raise FileFormatError(f"{path}: a recording must be (time, channels), got shape {numbers.shape}")
    if others and others[0].shape[1:] != numbers.shape[1:]:
        raise DataError(f"{path}: has frames {numbers.shape[1:]}, the recordings before it {others[0].shape[1:]}")
    with np.errstate(over="ignore"):
        numbers = numbers.astype(np.float32)
    wrong = np.argwhere(~np.isfinite(numbers))
    if len(wrong):
        step, *place = wrong[0].tolist()
        raise FileFormatError(f"{path}: step {step + 1}, channel {place[0] + 1}: is not a finite number")
    return numbers
