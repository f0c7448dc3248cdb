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
from typing import NamedTuple

import numpy as np
from platformdirs import user_cache_dir

from snnlab.data.dataset import Dataset
from snnlab.data.idx import FILES
from snnlab.errors import DataError, SnnlabError
from snnlab.files import atomic_path

FASHION = (
    "t-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


class Source(NamedTuple):
    """Where the four files are, in the order of `FILES`: their sizes in bytes and SHA-256 sums."""

    url: str
    class_names: tuple[str, ...]
    citation: str
    files: tuple[tuple[int, str], ...]


SOURCES = {
    "mnist": Source(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        (),
        "LeCun et al. (1998), DOI 10.1109/5.726791",
        (
            (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
    ),
    "fashion_mnist": Source(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        FASHION,
        "Xiao, Rasul & Vollgraf (2017), arXiv:1708.07747",
        (
            (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
    ),
    "kmnist": Source(
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        KANA,
        "Clanuwat et al. (2018), arXiv:1812.01718",
        (
            (18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            (29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            (3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            (5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ),
    ),
}


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
