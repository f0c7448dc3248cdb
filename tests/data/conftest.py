"""A tiny MNIST-like set, written as idx files, for everything that does not need the real ones."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
from idx_writer import idx_bytes

from snnlab.data.published import FILES, SOURCES


@pytest.fixture(scope="session")
def tiny_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (7, 28, 28), np.uint8),
        "y_train": np.array([3, 1, 4, 1, 5, 9, 2], np.uint8),
        "x_test": rng.integers(0, 256, (5, 28, 28), np.uint8),
        "y_test": np.array([6, 5, 3, 5, 8], np.uint8),
    }


@pytest.fixture
def tiny_folder(tmp_path, tiny_arrays) -> Path:
    """A folder with the tiny set's four gzipped files."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    for part, array in tiny_arrays.items():
        (folder / FILES[part]).write_bytes(gzip.compress(idx_bytes(array)))
    return folder


@pytest.fixture
def tiny_kmnist(tiny_folder, monkeypatch) -> Path:
    """The tiny folder, whose files are for the time of a test the published ones of "kmnist"."""
    contents = [(tiny_folder / file).read_bytes() for file in FILES.values()]
    files = tuple((len(content), hashlib.sha256(content).hexdigest()) for content in contents)
    monkeypatch.setitem(SOURCES, "kmnist", SOURCES["kmnist"]._replace(files=files))
    return tiny_folder
