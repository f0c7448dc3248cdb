"""Fashion-MNIST through the real tensorflow-datasets, offline, and everything that can go wrong on the way."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from snnlab import data
from snnlab.errors import DataError, SnnlabError


@pytest.fixture(scope="module")
def source(shared):
    return shared / "data" / "fashion-mnist"


@pytest.fixture(scope="module")
def cache(tmp_path_factory, source):
    """A cache into which tensorflow-datasets has verified, prepared and read the real files."""
    cache = tmp_path_factory.mktemp("cache")
    script = (
        "import sys; from snnlab import data;"
        f"data.load('fashion_mnist', cache_dir={str(cache)!r}, manual_dir={str(source)!r}, progress=False);"
        "assert 'tensorflow_datasets' in sys.modules and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    return cache


def same(a: data.Dataset, b: data.Dataset) -> bool:
    parts = ("x_train", "y_train", "x_test", "y_test")
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in parts)


def test_it_gives_what_the_files_hold(cache, source):
    """Verified by tensorflow-datasets, written as ArrayRecord, read back: bit for bit the idx files."""
    assert list((cache / "tensorflow_datasets" / "snnlab_images" / "fashion_mnist").glob("1.0.0/*.array_record*"))
    found = data.load("fashion_mnist", cache_dir=cache)
    assert same(found, data.load(source)) and found.class_names[9] == "ankle boot"


def test_a_damaged_cache_is_made_again(cache, source, tmp_path):
    copy = tmp_path / "cache"
    shutil.copytree(cache, copy)
    arrays = copy / "fashion_mnist.npz"
    arrays.write_bytes(arrays.read_bytes()[:1_000_000])
    with pytest.warns(UserWarning, match=r"fashion_mnist.npz: the cache is damaged .* made again"):
        found = data.load("fashion_mnist", cache_dir=copy, progress=False)
    assert same(found, data.load(source))


def test_a_wrong_file_is_refused_and_nothing_is_left(source, tmp_path):
    manual, cache = tmp_path / "files", tmp_path / "cache"
    shutil.copytree(source, manual)
    labels = manual / "train-labels-idx1-ubyte.gz"
    content = bytearray(labels.read_bytes())
    content[1000] ^= 1
    labels.write_bytes(content)
    with pytest.raises(
        DataError, match=r"fashion_mnist: a file from .* is damaged or not the published one \(checksum\)"
    ):
        data.load("fashion_mnist", cache_dir=cache, manual_dir=manual, progress=False)
    left = [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".json"]
    assert left == []


def test_without_network_it_says_what_to_do(tmp_path, monkeypatch):
    def no_network(*_args, **_kwargs):
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("socket.create_connection", no_network)
    with pytest.raises(
        DataError, match=r"kmnist: could not be fetched from http\S+ .* Without network, put train-images"
    ):
        data.load("kmnist", cache_dir=tmp_path, progress=False)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_interrupt_leaves_nothing_half_written(source, tmp_path, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("snnlab.data.tfds_builder.SnnlabImages._generate_examples", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.load("fashion_mnist", cache_dir=tmp_path, manual_dir=source, progress=False)
    monkeypatch.undo()
    assert [path for path in tmp_path.rglob("*") if "incomplete" in path.name] == []
    assert not (tmp_path / "fashion_mnist.npz").exists()


def test_a_full_disk_is_said(cache, source, tmp_path, monkeypatch):
    copy = tmp_path / "cache"
    shutil.copytree(cache, copy)
    (copy / "fashion_mnist.npz").unlink()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.savez", full)
    with pytest.raises(DataError, match=r"fashion_mnist.npz: cannot be written \(No space left on device\)"):
        data.load("fashion_mnist", cache_dir=copy, progress=False)
    assert list(copy.glob("*.part")) == list(copy.glob(".*.part")) == []


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.delitem(sys.modules, "snnlab.data.tfds_builder", raising=False)
    with pytest.raises(SnnlabError, match=r'pip install "snnlab\[data\]"'):
        data.load("mnist", cache_dir=tmp_path)
