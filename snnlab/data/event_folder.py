"""Event data sets on disk: a folder with `train.npz` and `test.npz`.

Each file is an ordinary NumPy archive (`numpy.savez`, compressed or not) of five arrays:

    events    the events of all samples, one sample after the other; a structured array with at least the fields
              `t` (microseconds), `x` (column), `y` (row) and `p` (polarity), all of integer types
    offsets   sample `k` has the events `offsets[k]` to `offsets[k + 1] - 1`; samples + 1 integers from 0
    labels    class of each sample, integers from 0
    sensor    (polarities, height, width): 0 <= p < polarities, 0 <= y < height, 0 <= x < width
    class_names   one string per class; optional

Times never decrease within a sample. Any number of events may share a pixel and a time.
"""

import os
from pathlib import Path

import numpy as np

from snnlab.data.dataset import MAX_CLASSES, Dataset
from snnlab.data.eventlists import EventLists
from snnlab.data.npz import are_texts, read_npz
from snnlab.errors import ArgumentError, DataError, FileFormatError
from snnlab.support import arguments
from snnlab.support.files import atomic_path, refuse_existing

PARTS = ("train", "test")
NEEDED = ("events", "offsets", "labels", "sensor")


def is_event_folder(folder: Path) -> bool:
    """Return whether a folder holds the files of an event data set."""
    return any((folder / f"{part}.npz").is_file() for part in PARTS)


def load_event_folder(folder: str | os.PathLike) -> Dataset:
    """Load the event data set in a folder; it is named after the folder.

    Args:
        folder: with `train.npz` and `test.npz`, see above.

    Raises:
        DataError: if a file is missing, or the two do not match.
        FileFormatError: if a file is damaged, or does not have the format described above.

    Example:
        >>> import tempfile
        >>> lists = EventLists.from_lists([[(1500, 0, 1, 1)], [(900, 2, 0, 0)]], sensor=(2, 2, 3))
        >>> mine = Dataset(name="mine", x_train=lists, y_train=[0, 1], x_test=lists, y_test=[0, 1])
        >>> load_event_folder(save_events(mine, Path(tempfile.mkdtemp()) / "mine"))
        Dataset('mine': 2 train, 2 test, samples (2, 2, 3) events, 2 classes)
    """
    folder = arguments.path("folder", folder)
    arrays, names = {}, ()
    for part in PARTS:
        arrays[f"x_{part}"], arrays[f"y_{part}"], found = read_events(folder / f"{part}.npz")
        names = names or found
    try:
        return Dataset(name=folder.resolve().name, class_names=names, **arrays)
    except ArgumentError as error:
        raise DataError(f"{folder}: train.npz and test.npz do not match ({error})") from error


def save_events(dataset: Dataset, folder: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Write an event data set to a folder that `load_event_folder` reads; all events are kept, whatever the limit.

    Args:
        dataset: with samples that are events.
        folder: for `train.npz` and `test.npz`; made if it is missing.
        overwrite: replace existing files.

    Returns:
        The folder.

    Raises:
        ArgumentError: if the samples are not events, or a file exists and `overwrite` is False.
        WriteError: if it cannot be written.

    Example:
        >>> import tempfile
        >>> lists = EventLists.from_lists([[(1500, 0, 1, 1)], [(900, 2, 0, 0)]], sensor=(2, 2, 3))
        >>> mine = Dataset(name="mine", x_train=lists, y_train=[0, 1], x_test=lists, y_test=[0, 1])
        >>> sorted(path.name for path in save_events(mine, tempfile.mkdtemp()).iterdir())
        ['test.npz', 'train.npz']
    """
    folder = arguments.path("folder", folder)
    if not dataset.has_events:
        raise ArgumentError(f"dataset: {dataset.name!r} has no events")
    for part in PARTS:
        refuse_existing(folder / f"{part}.npz", overwrite)
    for part in PARTS:
        lists = getattr(dataset, f"x_{part}")
        arrays = {"events": lists.structured(), "offsets": lists.offsets, "labels": getattr(dataset, f"y_{part}")}
        arrays |= {"sensor": np.array(lists.sensor), "class_names": np.array(dataset.class_names)}
        with atomic_path(folder / f"{part}.npz") as path, path.open("wb") as file:
            np.savez_compressed(file, **arrays)
    return folder


def read_events(path: str | os.PathLike) -> tuple[EventLists, np.ndarray, tuple[str, ...]]:
    """Read the events, labels and class names (empty if the file has none) of one file.

    Raises:
        DataError: if it cannot be opened.
        FileFormatError: if it is damaged, or does not have the format described above.
    """
    path = arguments.path("path", path)
    arrays = {"class_names": np.empty(0, "U1"), **read_npz(path, NEEDED, ("class_names",))}
    for name, array in arrays.items():
        if array.ndim != 1:
            raise FileFormatError(f"{path}: {name} must have one dimension, got shape {array.shape}")
    return _checked(path, arrays, arrays["class_names"])


def _checked(
    path: Path, arrays: dict[str, np.ndarray], names: np.ndarray
) -> tuple[EventLists, np.ndarray, tuple[str, ...]]:
    labels = arrays["labels"]
    try:
        lists = EventLists.of(arrays["events"], arrays["offsets"], sensor=tuple(arrays["sensor"].tolist()))
    except ArgumentError as error:
        raise FileFormatError(f"{path}: {error}") from error
    if labels.dtype.kind not in "iu" or len(labels) != len(lists) or labels.min() < 0 or labels.max() >= MAX_CLASSES:
        raise FileFormatError(
            f"{path}: labels must be {len(lists)} integers >= 0 and < {MAX_CLASSES}, one per sample, "
            f"got {labels.dtype}{labels.shape}"
        )
    if names.dtype.kind != "U":
        raise FileFormatError(f"{path}: class_names must be strings, got {names.dtype}")
    if not are_texts(names):
        raise FileFormatError(f"{path}: class_names hold characters that do not exist")
    try:
        return lists, labels, tuple(arguments.name("class_names", name) for name in names.tolist())
    except ArgumentError as error:
        raise FileFormatError(f"{path}: {error}") from None
