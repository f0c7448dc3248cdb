"""The sets that need no download, and what happens to names that are none."""

import subprocess
import sys

import numpy as np
import pytest

from snnlab import data
from snnlab.data import tfds_images
from snnlab.data.yinyang import classify
from snnlab.errors import ArgumentError, DataError


def test_digits_are_the_real_ones(digits):
    """1,797 images, every class split four to one, nothing lost: counts of the published set."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    counts = np.bincount(labels)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.abs(np.bincount(digits.y_test) - counts / 5).max() <= 1
    assert len(digits.x_train) == 1437 and digits.x_train.dtype == np.uint8

    def rows(images, labels):
        return sorted((*image, label) for image, label in zip(images.reshape(-1, 64).tolist(), labels, strict=True))

    levels = np.round(np.concatenate([digits.x_train, digits.x_test]) * (16 / 255))
    assert rows(levels, np.concatenate([digits.y_train, digits.y_test])) == rows(images, labels)


def test_the_same_split_every_time(digits):
    again = data.load("digits")
    for part in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(again, part), getattr(digits, part))


@pytest.mark.parametrize(
    ("point", "label"),
    [
        ((0.5, 0.9), 1),  # the upper half is yang,
        ((0.75, 0.7), 0),  # except in the big disc around the right dot,
        ((0.25, 0.3), 1),  # and yang goes on in the big disc around the left dot;
        ((0.5, 0.1), 0),  # the lower half is yin
        ((0.25, 0.59), 2),  # the dots have a radius of 0.1
        ((0.25, 0.61), 1),
        ((0.75, 0.41), 2),
        ((0.75, 0.39), 0),
    ],
)
def test_yinyang_regions_are_where_the_paper_has_them(point, label):
    assert classify(*map(np.array, point)) == label


def test_yinyang_areas_and_symmetry():
    """Two dots of area pi r^2; yin and yang share the rest, and a turn by 180 degrees swaps them."""
    x, y = (np.stack(np.meshgrid(*[np.arange(1000)] * 2)).reshape(2, -1) + 0.5) / 1000
    inside = np.hypot(x - 0.5, y - 0.5) < 0.5
    labels = classify(x, y)[inside]
    dots = 2 * np.pi * 0.1**2
    half = (np.pi * 0.5**2 - dots) / 2
    np.testing.assert_allclose(np.bincount(labels) / 1e6, [half, half, dots], rtol=2e-3)
    np.testing.assert_array_equal(classify(1 - x, 1 - y)[inside], np.array([1, 0, 2])[labels])


def test_yinyang_samples():
    """Features x, y, 1 - x, 1 - y; points inside the circle; a third in each class; no test point in training."""
    yinyang = data.load("yinyang")
    assert yinyang.class_names == ("yin", "yang", "dot") and yinyang.x_train.dtype == np.float32
    for features, labels in ((yinyang.x_train, yinyang.y_train), (yinyang.x_test, yinyang.y_test)):
        np.testing.assert_allclose(features[:, :2] + features[:, 2:], 1.0, atol=1e-6)
        x, y = features[:, :2].T.astype(float)
        assert (np.hypot(x - 0.5, y - 0.5) <= 0.5 + 1e-6).all()
        assert np.ptp(np.bincount(labels)) <= 1
        np.testing.assert_array_equal(classify(x, y), labels)
    assert not set(map(tuple, yinyang.x_train)) & set(map(tuple, yinyang.x_test))
    np.testing.assert_array_equal(data.load("yinyang").x_train, yinyang.x_train)


def test_yinyang_is_uniform_within_a_class():
    """The mean of uniform points is the centroid: for both dots together the centre of the circle."""
    yinyang = data.load("yinyang")
    dots = yinyang.x_train[yinyang.y_train == 2, :2]
    np.testing.assert_allclose(dots.mean(0), 0.5, atol=4 * 0.26 / np.sqrt(len(dots)))


def test_unknown_names_get_advice(tmp_path):
    with pytest.raises(
        ArgumentError, match=r"'fashion-mnist' is unknown\. Did you mean 'fashion_mnist'\? Known: digits"
    ):
        data.load("fashion-mnist")
    with pytest.raises(
        ArgumentError, match=r"'qqq' is unknown\. Known: digits, yinyang, event_digits, ecg, store_recall, mnist"
    ):
        data.load("qqq")
    with pytest.raises(ArgumentError, match="name: must be a name or a path, got NoneType"):
        data.load(None)
    with pytest.raises(DataError, match=r"no/such/folder: does not exist; a data set may be .* the four idx files"):
        data.load("no/such/folder")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file: is neither a folder nor an .npz, .csv or .tsv file"):
        data.load(tmp_path / "file")


def test_options_that_mean_nothing_to_a_set():
    with pytest.raises(ArgumentError, match=r"manual_dir: .*'digits'"):
        data.load("digits", manual_dir=".")
    assert data.load("yinyang", progress=False, cache_dir="unused").num_features == 4


def test_import_loads_nothing_heavy():
    check = "import sys, snnlab.data; print({'jax', 'sklearn', 'tensorflow_datasets', 'requests'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", check], text=True).strip() == "set()"


def test_a_set_that_cannot_be_kept_is_there_all_the_same(tmp_path):
    """Only the user hears of it; nothing is half written."""
    (tmp_path / "cache").write_text("in the way")
    with pytest.warns(UserWarning, match=r"mnist.npz: cannot be written \(File exists\), so it will be made again"):
        tfds_images._write_cache(tmp_path / "cache" / "mnist.npz", {})
