"""Data sets by name: arrays that train at once, and your own arrays as a `Dataset`."""

import difflib
import os
from pathlib import Path

from snnlab.data.dataset import Dataset
from snnlab.errors import ArgumentError, DataError

IMAGES = ("fashion_mnist", "mnist", "kmnist")
NAMES = ("digits", "yinyang", *IMAGES)

__all__ = ["NAMES", "Dataset", "load"]


def load(name: str | os.PathLike, **options) -> Dataset:
    """Load a data set.

    Args:
        name: "digits" (embedded, 8x8), "yinyang" (synthetic), "fashion_mnist", "mnist" or "kmnist" (fetched once,
            28x28), or the path of a folder with the four idx files of an MNIST-like set.
        **options: for the three that are fetched: `cache_dir, manual_dir, progress`, see
            `snnlab.data.tfds_images.load_images`.

    Raises:
        ArgumentError: for an unknown name.
        DataError: if it cannot be had; the message says what to do.

    Example:
        >>> load("digits")
        Dataset('digits': 1,437 train, 360 test, samples (8, 8) uint8, 10 classes)
    """
    if name in IMAGES:
        from snnlab.data.tfds_images import load_images

        return load_images(name, **options)
    if options:
        raise ArgumentError(f"{next(iter(options))}: means nothing to {name!r}")
    if name == "digits":
        from snnlab.data.digits import load_digits

        return load_digits()
    if name == "yinyang":
        from snnlab.data.yinyang import load_yinyang

        return load_yinyang()
    return _load_path(name)


def _load_path(name: str | os.PathLike) -> Dataset:
    from snnlab.data.idx import load_folder
    from snnlab.data.sources import recognize

    path = Path(name)
    if path.is_dir():
        known, class_names = recognize(path) or (path.resolve().name, ())
        return load_folder(path, known, class_names)
    if len(path.parts) > 1 or path.exists():
        raise DataError(f"{name}: is not a folder; needed is one with the four idx files of an MNIST-like set")
    close = difflib.get_close_matches(str(name), NAMES, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ArgumentError(f"name: {str(name)!r} is unknown.{hint} There are {', '.join(NAMES)}, or a folder of idx files")
