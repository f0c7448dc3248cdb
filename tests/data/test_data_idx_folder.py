"""Folders of idx files: the real ones with the facts published about them, and your own."""

import gzip
import shutil

import numpy as np
import pytest
from idx_writer import idx_bytes
from tiers import needed

from snnlab import data
from snnlab.data.published import FILES, SOURCES
from snnlab.errors import DataError, FileFormatError


def test_fashion_mnist_is_known_by_its_checksums(shared):
    """Published: 6,000 / 1,000 a class, mean pixel 72.94 (= 0.2860 * 255); class 9 is the ankle boot."""
    fashion = data.load(shared / "data" / "fashion-mnist")
    assert fashion.name == "fashion_mnist" and fashion.class_names[0] == "t-shirt/top"
    assert fashion.class_names[9] == "ankle boot"
    assert fashion.x_train.shape == (60_000, 28, 28) and fashion.x_test.shape == (10_000, 28, 28)
    assert set(np.bincount(fashion.y_train)) == {6000} and set(np.bincount(fashion.y_test)) == {1000}
    assert abs(fashion.x_train.mean() - 72.94) < 0.01


def test_mnist_is_known_by_its_checksums(shared):
    """Published: mean pixel 33.318 (= 0.1307 * 255), 6,742 ones."""
    mnist = data.load(shared / "data" / "mnist")
    assert mnist.name == "mnist" and mnist.class_names == tuple("0123456789")
    assert abs(mnist.x_train.mean() - 33.318) < 0.001 and np.bincount(mnist.y_train)[1] == 6742


def test_other_files_are_not_taken_for_the_published_ones(shared, tmp_path):
    """A folder that is called fashion-mnist, with one file packed anew: nothing vouches for its class names."""
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for file in FILES.values():
        (folder / file).symlink_to(shared / "data" / "fashion-mnist" / file)
    labels = folder / FILES["y_test"]
    content = gzip.decompress(labels.read_bytes())
    labels.unlink()
    labels.write_bytes(gzip.compress(content, 1))
    found = data.load(folder)
    assert found.name == "fashion-mnist" and found.class_names == tuple("0123456789")


@pytest.mark.peers
def test_the_checksums_are_those_of_tensorflow_datasets():
    """It lists all three sets itself, at the same addresses."""
    tfds = needed("tensorflow_datasets", "peers")
    for name, source in SOURCES.items():
        lines = (tfds.core.utils.tfds_path() / "url_checksums" / f"{name}.txt").read_text().splitlines()
        listed = {url: (int(size), checksum) for url, size, checksum, _ in map(str.split, lines)}
        assert listed == {source.url + file: found for file, found in zip(FILES.values(), source.files, strict=True)}


def test_your_own_files_plain_or_packed(tiny_folder, tiny_arrays):
    packed = tiny_folder / FILES["x_train"]
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    found = data.load(str(tiny_folder))
    assert found.name == "tiny" and found.num_classes == 10
    for part, array in tiny_arrays.items():
        np.testing.assert_array_equal(getattr(found, part), array)


def test_what_is_wrong_with_a_folder_is_said(tiny_folder, tmp_path):
    missing = tmp_path / "missing"
    missing.mkdir()
    with pytest.raises(DataError, match=r"missing: has no data in it; a data set may be an .npz file with x and y, .*"):
        data.load(missing)
    (missing / FILES["y_test"]).touch()
    with pytest.raises(DataError, match=r"missing: has no train-images-idx3-ubyte.gz; .* needs .* \(plain or gzip"):
        data.load(missing)
    (tiny_folder / FILES["y_test"]).write_bytes(gzip.compress(idx_bytes(np.arange(4, dtype=np.uint8))))
    with pytest.raises(DataError, match=r"tiny: its four files do not match \(y_test: has 4 labels, x_test has 5"):
        data.load(tiny_folder)
    shutil.copy(tiny_folder / FILES["x_test"], tiny_folder / FILES["y_test"])
    with pytest.raises(DataError, match=r"tiny: its four files do not match \(y_test: must be \(samples,\)"):
        data.load(tiny_folder)
    (tiny_folder / FILES["y_test"]).write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"t10k-labels-idx1-ubyte.gz: is not an idx file"):
        data.load(tiny_folder)
