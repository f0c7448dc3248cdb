"""Load data sets by name, file or folder, ready for training; bring your own as a `Dataset`."""

import difflib
import os
from collections.abc import Callable
from pathlib import Path

from snnlab.data.dataset import Dataset
from snnlab.data.digits import load_digits
from snnlab.data.ecg import load_ecg
from snnlab.data.event_digits import load_event_digits
from snnlab.data.event_folder import is_event_folder, load_event_folder, save_events
from snnlab.data.eventlists import EventLists
from snnlab.data.idx_folder import is_idx_folder, load_folder
from snnlab.data.npz_set import load_npz
from snnlab.data.published import SAMPLES, SOURCES
from snnlab.data.recordings import is_recordings_folder, load_recordings
from snnlab.data.source import Source
from snnlab.data.store_recall import load_store_recall
from snnlab.data.table import SUFFIXES, load_table
from snnlab.data.tfds_images import load_images
from snnlab.data.tonic_sets import SETS, load_tonic
from snnlab.data.yinyang import load_yinyang
from snnlab.errors import ArgumentError, DataError
from snnlab.support import arguments

__all__ = ["Dataset", "EventLists", "Source", "load", "names", "save_events", "sizes"]

_AT_HAND: dict[str, Callable[[], Dataset]] = {
    "digits": load_digits,
    "yinyang": load_yinyang,
    "event_digits": load_event_digits,
    "ecg": load_ecg,
    "store_recall": load_store_recall,
}


def names() -> tuple[str, ...]:
    """Return the names that `load` knows.

    Example:
        >>> names()[:5]
        ('digits', 'yinyang', 'event_digits', 'ecg', 'store_recall')
    """
    return (*_AT_HAND, *SOURCES, *SETS)


def sizes(name: str) -> tuple[int, int]:
    """Return the number of training and of test samples of a named set; nothing is fetched.

    Example:
        >>> sizes("digits"), sizes("fashion_mnist")
        ((1437, 360), (60000, 10000))
    """
    if name in SOURCES:
        train, test = SAMPLES
    elif name in SETS:
        train, test = SETS[name].samples
    elif name in _AT_HAND:
        whole = _AT_HAND[name]()
        train, test = len(whole.x_train), len(whole.x_test)
    else:
        raise ArgumentError(f"name: {name!r} is unknown; there are {', '.join(names())}")
    return train, test


def load(
    name: str | os.PathLike,
    *,
    task: str | None = None,
    cache_dir: str | os.PathLike | None = None,
    manual_dir: str | os.PathLike | None = None,
    progress: bool = True,
) -> Dataset:
    """Load a data set by its name, or from a file or folder of your own.

    Args:
        name: "digits" (embedded, 8x8), "yinyang" (synthetic), "event_digits" (the digits as events), "ecg" (synthetic,
            a class every step), "store_recall" (synthetic, a label at some steps), "fashion_mnist", "mnist" or "kmnist"
            (downloaded once, 28x28), "nmnist" or "shd" (events, downloaded once); or the path of

            - an `.npz` file with the arrays `x` and `y`, or `x_train`, ... (`snnlab.data.npz_set.load_npz`);
            - a `.csv` or `.tsv` file, a sample a row (`snnlab.data.table.load_table`);
            - a folder with a folder of recordings for each class (`snnlab.data.recordings`);
            - a folder with the four idx files of an MNIST-like set;
            - a folder with `train.npz` and `test.npz`, which hold events (`snnlab.data.event_folder`).
        task: what the targets in an `.npz` or `.csv` file are, see `Dataset`; None: what they can only be
            (`snnlab.data.deduce.deduced`).
        cache_dir: where downloads are kept; default: the environment variable SNNLAB_CACHE, or the user's cache folder.
        manual_dir: a folder that already holds the four files of an image set; their checksums are verified.
        progress: show progress bars while a set is downloaded and prepared.

    Raises:
        ArgumentError: if the name is unknown, `manual_dir` is given for a set other than the image sets, or `task` for
            one that has its own.
        DataError: if the data cannot be obtained; the message says what to do.
        FileFormatError: if a file is damaged.
        SnnlabError: if the extra "data" or "events" is needed and not installed.

    Example:
        >>> load("digits")
        Dataset('digits': 1,437 train, 360 test, samples (8, 8) uint8, 10 classes)
    """
    if not isinstance(name, str | os.PathLike):
        raise ArgumentError(f"name: must be a name or a path, got {type(name).__name__}; known: {', '.join(names())}")
    named = name if isinstance(name, str) else ""
    if task is not None and named in names():
        raise ArgumentError(f"task: applies to files of your own, not to {named!r}; leave it out")
    if named in SOURCES:
        return load_images(named, cache_dir=cache_dir, manual_dir=manual_dir, progress=progress)
    if manual_dir is not None:
        raise ArgumentError(f"manual_dir: applies to {', '.join(SOURCES)} only, not to {str(name)!r}; leave it out")
    if named in SETS:
        return load_tonic(named, cache_dir=cache_dir, progress=progress)
    if named in _AT_HAND:
        return _AT_HAND[named]()
    return _load_path(name, task)


def _load_path(name: str | os.PathLike, task: str | None) -> Dataset:
    path = arguments.path("name", name)
    if path.is_dir():
        return _load_folder(path, task)
    if path.suffix.lower() == ".npz" and path.exists():
        return load_npz(path, task=task)
    if path.suffix.lower() in SUFFIXES and path.exists():
        return load_table(path, task=task)
    if len(path.parts) > 1 or path.suffix or path.exists():
        what = "is neither a folder nor an .npz, .csv or .tsv file" if path.exists() else "does not exist"
        raise DataError(f"{name}: {what}; a data set may be {_KINDS_OF_PATHS}")
    close = difflib.get_close_matches(str(name), names(), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ArgumentError(f"name: {str(name)!r} is unknown.{hint} Known: {', '.join(names())}, or a file or folder")


def _load_folder(path: Path, task: str | None) -> Dataset:
    own = is_event_folder(path) or is_idx_folder(path)
    if not own and is_recordings_folder(path):
        return load_recordings(path, task=task)
    if own and task is not None:
        raise ArgumentError(f"task: the samples in {path} have one label each; leave it out")
    if is_event_folder(path):
        return load_event_folder(path)
    if is_idx_folder(path):
        return load_folder(path)
    raise DataError(f"{path}: has no data in it; a data set may be {_KINDS_OF_PATHS}")


_KINDS_OF_PATHS = (
    "an .npz file with x and y, a .csv table with a sample a row, a folder with a folder of .npy or .csv recordings "
    "for each class, a folder with the four idx files of an MNIST-like set, or one with train.npz and test.npz of "
    "events"
)
