"""Event data sets as files: a folder with `train.npz` and `test.npz`.

Each is an ordinary NumPy archive (`numpy.savez`, compressed or not) of five arrays:

    events    the events of all samples, one sample after the other; a structured array with at least the fields
              `t` (microseconds), `x` (column), `y` (row) and `p` (polarity), all of integer types
    offsets   sample `k` has the events `offsets[k]` to `offsets[k + 1] - 1`; samples + 1 integers from 0
    labels    class of every sample, integers from 0
    sensor    (polarities, height, width): 0 <= p < polarities, 0 <= y < height, 0 <= x < width
    class_names   one string a class; may be left out

Times do not fall within a sample; any number of events may share a pixel and a time. Nothing is unpickled, and what an
array's header announces is compared with what is there before anything is made of it.
"""

import math
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from snnlab.data.dataset import Dataset
from snnlab.data.eventlists import EventLists
from snnlab.errors import ArgumentError, DataError, FileFormatError
from snnlab.files import atomic_path

PARTS = ("train", "test")
NEEDED = ("events", "offsets", "labels", "sensor")
BLOCK = 1 << 20
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What a damaged archive raises; RuntimeError if it seems to be encrypted, OSError if it points before its beginning.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def is_event_folder(folder: Path) -> bool:
    """It holds the files of an event data set."""
    return any((folder / f"{part}.npz").is_file() for part in PARTS)


def load_event_folder(folder: str | os.PathLike) -> Dataset:
    """The event data set in a folder; it gets the folder's name.

    Args:
        folder: with `train.npz` and `test.npz`, see above.

    Raises:
        DataError: if a file is missing, or they do not fit together.
        FileFormatError: if one is damaged, or its events are not what is described above.

    Example:
        >>> import tempfile
        >>> lists = EventLists.from_lists([[(1500, 0, 1, 1)], [(900, 2, 0, 0)]], sensor=(2, 2, 3))
        >>> mine = Dataset(name="mine", x_train=lists, y_train=[0, 1], x_test=lists, y_test=[0, 1])
        >>> load_event_folder(save_events(mine, Path(tempfile.mkdtemp()) / "mine"))
        Dataset('mine': 2 train, 2 test, samples (2, 2, 3) events, 2 classes)
    """
    folder = Path(folder)
    arrays, names = {}, ()
    for part in PARTS:
        arrays[f"x_{part}"], arrays[f"y_{part}"], found = read_events(folder / f"{part}.npz")
        names = names or found
    try:
        return Dataset(name=folder.resolve().name, class_names=names, **arrays)
    except ArgumentError as error:
        raise DataError(f"{folder}: its files make no data set ({error})") from error


def save_events(dataset: Dataset, folder: str | os.PathLike) -> Path:
    """Write an event data set to a folder that `load_event_folder` reads; a limit of events is not kept, they all are.

    Returns:
        The folder.

    Raises:
        ArgumentError: if its samples are no events.

    Example:
        >>> import tempfile
        >>> lists = EventLists.from_lists([[(1500, 0, 1, 1)], [(900, 2, 0, 0)]], sensor=(2, 2, 3))
        >>> mine = Dataset(name="mine", x_train=lists, y_train=[0, 1], x_test=lists, y_test=[0, 1])
        >>> sorted(path.name for path in save_events(mine, tempfile.mkdtemp()).iterdir())
        ['test.npz', 'train.npz']
    """
    folder = Path(folder)
    if not dataset.has_events:
        raise ArgumentError(f"dataset: {dataset.name!r} has no events")
    for part in PARTS:
        lists = getattr(dataset, f"x_{part}")
        arrays = {"events": lists.structured(), "offsets": lists.offsets, "labels": getattr(dataset, f"y_{part}")}
        arrays |= {"sensor": np.array(lists.sensor), "class_names": np.array(dataset.class_names)}
        with atomic_path(folder / f"{part}.npz") as path, path.open("wb") as file:
            np.savez_compressed(file, **arrays)
    return folder


def read_events(path: str | os.PathLike) -> tuple[EventLists, np.ndarray, tuple[str, ...]]:
    """Events, labels and class names (none if the file has none) of one file.

    Raises:
        DataError: if it cannot be opened.
        FileFormatError: if it is damaged or not what is described above.
    """
    path = Path(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        with file, zipfile.ZipFile(file) as archive:
            members = {name.removesuffix(".npy") for name in archive.namelist()}
            missing = [name for name in NEEDED if name not in members]
            if missing:
                raise FileFormatError(f"{path}: has no array {missing[0]!r}; needed are {', '.join(NEEDED)}")
            arrays = {name: _array(path, archive, name) for name in NEEDED}
            names = _array(path, archive, "class_names") if "class_names" in members else np.empty(0, "U1")
    except DAMAGE as error:
        raise FileFormatError(f"{path}: is damaged or no .npz file ({error})") from error
    return _checked(path, arrays, names)


def _checked(path: Path, arrays: dict[str, np.ndarray], names: np.ndarray):
    labels = arrays["labels"]
    try:
        lists = EventLists.of(arrays["events"], arrays["offsets"], sensor=arrays["sensor"])
    except ArgumentError as error:
        raise FileFormatError(f"{path}: {error}") from error
    if labels.dtype.kind not in "iu" or len(labels) != len(lists) or labels.min() < 0:
        raise FileFormatError(
            f"{path}: labels must be {len(lists)} integers >= 0, one a sample, got {labels.dtype}{labels.shape}"
        )
    if names.dtype.kind != "U":
        raise FileFormatError(f"{path}: class_names must be strings, got {names.dtype}")
    return lists, labels, tuple(names.tolist())


def _array(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array of the archive. NumPy's own reader would make room for whatever the header announces."""
    try:
        with archive.open(f"{name}.npy") as file:
            shape, _, dtype = HEADERS[npy.read_magic(file)](file)
            if dtype.hasobject or len(shape) != 1 or min(shape) < 0:
                raise ValueError(f"it must be a plain list, its header says {dtype}{shape}")
            announced = dtype.itemsize * math.prod(shape)
            body = bytearray()
            while len(body) <= announced and (block := file.read(min(BLOCK, announced + 1 - len(body)))):
                body += block
        if len(body) != announced:
            found = "more" if len(body) > announced else f"only {len(body):,}"
            raise ValueError(f"its header announces {announced:,} bytes, there are {found}")
        return np.frombuffer(body, dtype)
    except (ValueError, TypeError, KeyError, SyntaxError, OverflowError, MemoryError, RecursionError) as error:
        raise FileFormatError(f"{path}: {name} is no array that can be read ({error})") from error
