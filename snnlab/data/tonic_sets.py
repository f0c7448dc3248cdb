"""The published event sets N-MNIST and SHD, fetched and read by tonic (the extra "events").

tonic keeps them in the folder `tonic` of the cache as they are published, and fetches what is not there:

    NMNIST/train.zip, NMNIST/Train/7/00022.bin     five bytes an event: x, y, and in the last three from the top bit
                                                   down the polarity and 23 bits of time [us]
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
from snnlab.data.eventlists import EVENT, EventLists, compact
from snnlab.errors import ArgumentError, DataError, FileFormatError, SnnlabError
from snnlab.support.extras import install_hint
from snnlab.support.files import cache_folder

EVENT_BYTES = 5  # of N-MNIST


class Set(NamedTuple):
    """One published set: tonic's class for it, its sensor, its sizes, and where its files lie, `{part}` filled in."""

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
    """N-MNIST (34x34 pixels, OFF and ON, 0.3 s) or SHD (700 channels of a cochlea, up to 1.4 s).

    Events are sorted by time where the files do not have them so.

    Args:
        name: "nmnist" or "shd".
        cache_dir: tonic's files lie in its folder `tonic`; default: the environment variable SNNLAB_CACHE, or the
            user's cache folder.
        progress: show a bar while the files are read.

    Raises:
        SnnlabError: without tonic.
        DataError: if the files are not there and cannot be fetched.
        FileFormatError: if one is damaged.

    Source: N-MNIST: Orchard et al. (2015), DOI 10.3389/fnins.2015.00437; SHD: Cramer et al. (2022),
    DOI 10.1109/TNNLS.2020.3044364.
    """
    try:
        from tonic import datasets
    except ImportError as error:
        raise SnnlabError(f"{name} needs tonic ({error}): {install_hint('events')}") from error
    folder = Path(cache_dir or cache_folder()).absolute() / "tonic"
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
    """tonic's view of one part; it fetches what is missing."""
    known = SETS[name]
    archive, contents = (_place(template, folder, part) for template in (known.archive, known.contents))
    try:
        return getattr(datasets, known.kind)(save_to=os.fspath(folder), train=part == "train")
    except Exception as error:  # tonic lets through whatever urllib, zipfile and h5py raise
        reason = f"{type(error).__name__}: {textwrap.shorten(str(error), 300)}"
        if contents.is_file():
            raise FileFormatError(f"{contents}: is damaged or not {known.kind} ({reason})") from error
        raise DataError(
            f"{name}: could not be fetched ({reason}). Without network, put {archive.name} into {archive.parent} and "
            f"unpack it there, or use the embedded 'event_digits'"
        ) from error


def _samples(name: str, source, folder: Path, part: str, progress: bool) -> Iterator[tuple[np.ndarray, Any]]:
    """The events and the label of every sample, checked, sorted by time."""
    from tqdm import tqdm

    contents = _place(SETS[name].contents, folder, part)
    for k in tqdm(range(len(source)), desc=f"{name} {part}", disable=not progress, leave=False):
        where = source.data[k] if source.data else f"{contents}: sample {k}"
        if source.data and Path(where).stat().st_size % EVENT_BYTES:
            raise FileFormatError(f"{where}: is cut short, its bytes are no whole number of events of {EVENT_BYTES}")
        try:
            with np.errstate(invalid="ignore"):  # a time that is NaN becomes one that is refused
                events, label = source[k]
            events = compact(_in_order(events, channels=name == "shd"), SETS[name].sensor)
        except (ArgumentError, ValueError, IndexError, KeyError, OSError) as error:
            raise FileFormatError(f"{where}: is damaged or not {SETS[name].kind} ({error})") from error
        yield events, label


def _in_order(events: np.ndarray, channels: bool) -> np.ndarray:
    """By time; a channel is a pixel of the only row, and of the only polarity, which tonic counts as 1."""
    wide = np.zeros(len(events), [(field, np.int64) for field in EVENT.names])
    for field in ("t", "x") if channels else EVENT.names:
        wide[field] = events[field]
    return wide[np.argsort(wide["t"], kind="stable")]
