"""MNIST, Fashion-MNIST and KMNIST through tensorflow-datasets, without TensorFlow.

The builders that come with tensorflow-datasets can be read without TensorFlow but not prepared. This one only
lets it download and verify the four idx files, reads them itself, and lets it write and read ArrayRecord.
"""

import contextlib
import io
import logging
import os
import shutil
import socket
import urllib.parse
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from platformdirs import user_cache_dir

from snnlab.data.dataset import Dataset
from snnlab.data.idx import FILES
from snnlab.data.sources import SOURCES
from snnlab.errors import DataError, SnnlabError
from snnlab.files import atomic_path


def load_images(
    name: str,
    *,
    cache_dir: str | os.PathLike | None = None,
    manual_dir: str | os.PathLike | None = None,
    progress: bool = True,
) -> Dataset:
    """One of `SOURCES`; the first time through tensorflow-datasets, later from a cache of plain arrays.

    Args:
        name: "mnist", "fashion_mnist" or "kmnist".
        cache_dir: default: the environment variable SNNLAB_CACHE, or the user's cache folder.
        manual_dir: a folder that has the four files already; their checksums are verified.
        progress: show a progress bar while it downloads and prepares.

    Raises:
        SnnlabError: if the extra "data" is not installed.
        DataError: without network, for a wrong checksum, or if the cache cannot be written.
    """
    cache = Path(cache_dir or os.environ.get("SNNLAB_CACHE") or user_cache_dir("snnlab"))
    arrays_file = cache / f"{name}.npz"
    arrays = _read_cache(arrays_file)
    if arrays is None:
        arrays = _through_tfds(name, cache, manual_dir, progress)
        try:
            with atomic_path(arrays_file) as part, part.open("wb") as file:
                np.savez(file, **arrays)
        except OSError as error:
            raise DataError(f"{arrays_file}: cannot be written ({error.strerror}); choose another cache_dir") from error
    return Dataset(name=name, class_names=SOURCES[name].class_names, **arrays)


def _read_cache(file: Path) -> dict[str, np.ndarray] | None:
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as saved:
            return {part: saved[part] for part in FILES}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        warnings.warn(f"{file}: the cache is damaged ({error}); it is made again", stacklevel=4)
        return None


def _through_tfds(name: str, cache: Path, manual_dir, progress: bool) -> dict[str, np.ndarray]:
    try:
        import tensorflow_datasets as tfds

        from snnlab.data.tfds_builder import SnnlabImages
    except ImportError as error:
        raise SnnlabError(f'{name} needs tensorflow-datasets ({error}): pip install "snnlab[data]"') from error
    root = cache / "tensorflow_datasets"
    try:
        builder = SnnlabImages(config=name, data_dir=root, file_format="array_record")
        if manual_dir is None and not Path(builder.data_dir).exists():
            _check_network(name)
        with _quiet(tfds, progress), _nothing_half_written(root):
            manual = None if manual_dir is None else os.fspath(manual_dir)
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual))
            return _read_back(builder)
    except SnnlabError:
        raise
    except Exception as error:  # tensorflow-datasets lets through whatever its downloader raises
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
    kind = type(error).__name__
    first_line = (str(error).strip() or kind).splitlines()[0]
    if kind == "NonMatchingChecksumError":
        where = manual_dir or SOURCES[name].url
        return (
            f"{name}: a file from {where} is damaged or not the published one (checksum): {first_line}; fetch it again"
        )
    files = ", ".join(FILES.values())
    return (
        f"{name}: could not be fetched from {SOURCES[name].url} ({kind}: {first_line}). Without network, put {files} "
        f"into a folder and pass it as data, or use the embedded 'digits'"
    )


def _check_network(name: str) -> None:
    """Say at once that there is no network: tensorflow-datasets would try again in silence for minutes."""
    address = urllib.parse.urlsplit(SOURCES[name].url)
    port = address.port or (443 if address.scheme == "https" else 80)
    socket.create_connection((address.hostname, port), timeout=10).close()


@contextlib.contextmanager
def _nothing_half_written(root: Path) -> Iterator[None]:
    """After a failure or an interrupt no unfinished download and no unfinished preparation stays behind."""
    try:
        yield
    except BaseException:
        for path in root.rglob("*"):
            if ".tmp." in path.name or ".incomplete" in path.name:
                shutil.rmtree(path, ignore_errors=True)
        raise


@contextlib.contextmanager
def _quiet(tfds, progress: bool) -> Iterator[None]:
    """No log lines; no bars and no prints either, if `progress` is off."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        if progress:
            yield
        else:
            tfds.disable_progress_bar()
            with contextlib.redirect_stdout(io.StringIO()):
                yield
    finally:
        logger.setLevel(level)
        tfds.enable_progress_bar()
