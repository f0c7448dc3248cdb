"""MNIST, Fashion-MNIST and KMNIST through tensorflow-datasets, without TensorFlow.

The builders that come with tensorflow-datasets need TensorFlow to prepare a set. Ours lets tensorflow-datasets download
and verify the four idx files, reads them itself, and lets it write and read ArrayRecord. All of that happens in a
temporary folder; only one file of plain arrays is kept.
"""

import contextlib
import logging
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from snnlab.data.dataset import Dataset
from snnlab.data.npz import read_npz
from snnlab.data.published import FILES, SOURCES
from snnlab.errors import DataError, SnnlabError
from snnlab.support import arguments
from snnlab.support.extras import install_hint
from snnlab.support.files import atomic_path, cache_folder
from snnlab.support.warn import warn


def load_images(
    name: str,
    *,
    cache_dir: str | os.PathLike | None = None,
    manual_dir: str | os.PathLike | None = None,
    progress: bool = True,
) -> Dataset:
    """Load one of `SOURCES`: the first time through tensorflow-datasets, later from a cache of plain arrays.

    Args:
        name: "mnist", "fashion_mnist" or "kmnist".
        cache_dir: default: the environment variable SNNLAB_CACHE, or the user's cache folder.
        manual_dir: a folder that already holds the four files; their checksums are verified.
        progress: show progress bars during download and preparation.

    Raises:
        SnnlabError: if the extra "data" is not installed.
        DataError: if there is no network, a checksum is wrong, or the cache cannot be written.

    Sources: LeCun et al. (1998), DOI 10.1109/5.726791; Xiao et al. (2017), arXiv:1708.07747;
    Clanuwat et al. (2018), arXiv:1812.01718.
    """
    cache = arguments.path("cache_dir", cache_dir or cache_folder())
    manual_dir = manual_dir and arguments.path("manual_dir", manual_dir)
    file = cache / f"{name}.npz"
    dataset = _read_cache(name, file)
    if dataset is None:
        arrays = _through_tfds(name, cache, manual_dir, progress)
        dataset = _dataset(name, arrays)
        _write_cache(file, arrays)
    return dataset


def _dataset(name: str, arrays) -> Dataset:
    return Dataset(name=name, class_names=SOURCES[name].class_names, **{part: arrays[part] for part in FILES})


def _read_cache(name: str, file: Path) -> Dataset | None:
    if not os.path.lexists(file):
        return None
    try:
        return _dataset(name, read_npz(file, tuple(FILES)))
    except SnnlabError as error:
        reason = textwrap.shorten(str(error).removeprefix(f"{file}: "), 200)
        warn(f"{file}: the cache is damaged ({reason}) and will be made again")
        return None


def _write_cache(file: Path, arrays: dict[str, np.ndarray]) -> None:
    """Keep the arrays for later; if that fails they are there all the same."""
    try:
        with atomic_path(file) as part, part.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
    except OSError as error:
        warn(f"{file}: cannot be written ({error.strerror or error}), so it will be made again")


def _through_tfds(name: str, cache: Path, manual_dir, progress: bool) -> dict[str, np.ndarray]:
    try:
        import tensorflow_datasets as tfds

        from snnlab.data.tfds_builder import SnnlabImages

        if manual_dir:
            _check_files(name, manual_dir)
        else:
            _check_network(name)
        with _temporary(cache) as folder, _quiet(tfds, progress):
            builder = SnnlabImages(config=name, data_dir=folder, file_format="array_record")
            config = tfds.download.DownloadConfig(
                manual_dir=manual_dir and os.fspath(manual_dir), try_download_gcs=False, force_checksums_validation=True
            )
            builder.download_and_prepare(download_config=config)
            return _read_back(builder)
    except SnnlabError:
        raise
    except ImportError as error:  # tensorflow-datasets imports some of its parts late
        raise SnnlabError(f"{name} needs tensorflow-datasets ({error}): {install_hint('data')}") from error
    except Exception as error:  # tensorflow-datasets passes on whatever its downloader raises
        raise DataError(_advice(name, error, manual_dir)) from error


def _read_back(builder) -> dict[str, np.ndarray]:
    arrays = {}
    for split in ("train", "test"):
        source = builder.as_data_source(split=split)
        rows = source.__getitems__(range(len(source)))
        arrays[f"x_{split}"] = np.stack([row["image"] for row in rows])
        arrays[f"y_{split}"] = np.array([row["label"] for row in rows], np.int32)
    return arrays


def _advice(name: str, error: Exception, manual_dir) -> str:
    origin = manual_dir or SOURCES[name].url
    kind = type(error).__name__
    reason = f"{kind}: {textwrap.shorten(str(error), 400)}"
    if kind == "NonMatchingChecksumError":
        return f"{name}: a file from {origin} is damaged or not the published one; download it again ({reason})"
    return (
        f"{name}: could not be loaded from {origin} ({reason}). Without a network, put {', '.join(FILES.values())} "
        "into a folder and call load(FOLDER) or pass manual_dir=FOLDER, or use the embedded 'digits'"
    )


def _check_files(name: str, folder: Path) -> None:
    """Name missing files at once: tensorflow-datasets would try to download them."""
    missing = [file for file in FILES.values() if not (folder / file).is_file()]
    if missing:
        raise DataError(f"{folder}: has no {', '.join(missing)}; manual_dir must hold the four files of {name}")


def _check_network(name: str) -> None:
    """Fail at once without a network: tensorflow-datasets would retry silently for minutes."""
    import requests  # as tensorflow-datasets does: the same proxies and certificates

    with requests.get(SOURCES[name].url + FILES["y_test"], stream=True, timeout=10) as response:
        response.raise_for_status()


@contextlib.contextmanager
def _writing(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{cache}: cannot be written ({reason}); choose another cache_dir, or set SNNLAB_CACHE"
        ) from error


@contextlib.contextmanager
def _temporary(cache: Path) -> Iterator[str]:
    """Yield a folder in the cache that is deleted afterwards, whatever happens."""
    with _writing(cache):
        cache.mkdir(parents=True, exist_ok=True)
        # Ignore errors: the downloader's threads may still hold a file when another one fails.
        folder = TemporaryDirectory(dir=cache, prefix=".preparing.", ignore_cleanup_errors=True)
    with folder:
        yield folder.name


@contextlib.contextmanager
def _quiet(tfds, progress: bool) -> Iterator[None]:
    """Suppress log lines, and progress bars too if `progress` is False."""
    levels = {logger: logger.level for logger in map(logging.getLogger, ("absl", "urllib3"))}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    if not progress:
        tfds.disable_progress_bar()
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
        if not progress:
            tfds.enable_progress_bar()
