"""The published event sets N-MNIST and SHD, downloaded and read by tonic (the extra "events").

tonic keeps the published files in the folder `tonic` of the cache, and downloads those that are missing:

    NMNIST/train.zip, NMNIST/Train/7/00022.bin     five bytes per event: x, y, and three bytes with the polarity in the
                                                   top bit and 23 bits of time [us]
    SHD/shd_train.h5.zip, SHD/shd_train.h5         `spikes/times` [s], `spikes/units` (700 channels), `labels`

and the same with `test`.
"""

import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from snnlab.data.dataset import Dataset
from snnlab.data.eventlists import EventLists, compact, in_order
from snnlab.errors import ArgumentError, DataError, FileFormatError, SnnlabError
from snnlab.support import arguments
from snnlab.support.extras import install_hint
from snnlab.support.files import cache_folder

EVENT_BYTES = 5  # of N-MNIST


class Set(NamedTuple):
    """One published set: tonic's class for it, its sensor, its sizes, and the paths of its files, with `{part}`."""

    kind: str
    sensor: tuple[int, int, int]
    samples: tuple[int, int]
    archive: str
    contents: str
    citation: str


SETS = {
    "nmnist": Set(
        "NMNIST",
        (2, 34, 34),
        (60_000, 10_000),
        "NMNIST/{part}.zip",
        "NMNIST/{Part}",
        "Orchard et al. (2015), DOI 10.3389/fnins.2015.00437",
    ),
    "shd": Set(
        "SHD",
        (1, 1, 700),
        (8_156, 2_264),
        "SHD/shd_{part}.h5.zip",
        "SHD/shd_{part}.h5",
        "Cramer et al. (2022), DOI 10.1109/TNNLS.2020.3044364",
    ),
}


def load_tonic(name: str, *, cache_dir: str | os.PathLike | None = None, progress: bool = True) -> Dataset:
    """Load N-MNIST (34x34 pixels, OFF and ON, 0.3 s) or SHD (700 channels of a cochlea, up to 1.4 s).

    Events that the files do not have in order are sorted by time.

    Args:
        name: "nmnist" or "shd".
        cache_dir: tonic's files lie in its subfolder `tonic`; default: the environment variable SNNLAB_CACHE, or the
            user's cache folder.
        progress: show a progress bar while the files are read.

    Raises:
        SnnlabError: if tonic is not installed.
        DataError: if the files are missing and cannot be downloaded.
        FileFormatError: if a file is damaged.

    Source: N-MNIST: Orchard et al. (2015), DOI 10.3389/fnins.2015.00437; SHD: Cramer et al. (2022),
    DOI 10.1109/TNNLS.2020.3044364.
    """
    try:
        from tonic import datasets
    except ImportError as error:
        raise SnnlabError(f"{name} needs tonic ({error}): {install_hint('events')}") from error
    folder = arguments.path("cache_dir", cache_dir or cache_folder()).absolute() / "tonic"
    arrays, names = {}, tuple("0123456789")
    for part in ("train", "test"):
        source = _open(datasets, name, folder, part)
        if name == "shd":
            names = tuple(key.decode() for key in source.classes)
        lists, labels = [], []
        for events, label in _samples(name, source, folder, part, progress):
            lists.append(events)
            labels.append(int(label))
        arrays[f"x_{part}"] = EventLists.from_lists(lists, sensor=SETS[name].sensor)
        arrays[f"y_{part}"] = labels
    return Dataset(name=name, class_names=names, **arrays)


def _place(template: str, folder: Path, part: str) -> Path:
    return folder / template.format(part=part, Part=part.title())


def _open(datasets, name: str, folder: Path, part: str) -> Any:
    """Open one part with tonic, which downloads missing files."""
    known = SETS[name]
    archive, contents = (_place(template, folder, part) for template in (known.archive, known.contents))
    try:
        return getattr(datasets, known.kind)(save_to=os.fspath(folder), train=part == "train")
    except Exception as error:  # tonic passes on whatever urllib, zipfile and h5py raise
        reason = f"{type(error).__name__}: {textwrap.shorten(str(error), 300)}"
        if contents.is_file():
            raise FileFormatError(f"{contents}: is damaged or not {known.kind} ({reason})") from error
        raise DataError(
            f"{name}: could not be downloaded ({reason}). Without a network, put {archive.name} into {archive.parent} "
            "and unpack it there, or use the embedded 'event_digits'"
        ) from error


def _samples(name: str, source, folder: Path, part: str, progress: bool) -> Iterator[tuple[np.ndarray, Any]]:
    """Yield the events, checked and sorted by time, and the label of each sample."""
    from tqdm import tqdm

    contents = _place(SETS[name].contents, folder, part)
    for k in tqdm(range(len(source)), desc=f"{name} {part}", disable=not progress, leave=False):
        where = source.data[k] if source.data else f"{contents}: sample {k}"
        if source.data and Path(where).stat().st_size % EVENT_BYTES:
            raise FileFormatError(f"{where}: is cut short: its size is not a multiple of {EVENT_BYTES} bytes")
        try:
            with np.errstate(invalid="ignore"):  # NaN becomes a time that is refused
                events, label = source[k]
            events = compact(in_order(events, channels=name == "shd"), SETS[name].sensor)
        except (ArgumentError, ValueError, IndexError, KeyError, OSError) as error:
            raise FileFormatError(f"{where}: is damaged or not {SETS[name].kind} ({error})") from error
        yield events, label
