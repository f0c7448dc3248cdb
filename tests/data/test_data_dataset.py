"""What is no data set is refused, in one line that names the argument."""

import numpy as np
import pytest

from snnlab import data
from snnlab.data import Dataset
from snnlab.errors import ArgumentError, DataError

X = np.arange(7 * 4 * 3, dtype=np.uint8).reshape(7, 4, 3)
Y = np.arange(7) % 3


def make(**changes) -> Dataset:
    return Dataset(**{"name": "mine", "x_train": X, "y_train": Y, "x_test": X[:5], "y_test": Y[:5]} | changes)


def test_own_arrays_come_in():
    mine = make(x_train=X.astype(float) / 255, x_test=X[:5].tolist() and X[:5] / 255.0, y_test=Y[:5].tolist())
    assert mine.x_train.dtype == np.float32 and mine.y_test.dtype == np.int32
    assert mine.sample_shape == (4, 3) and mine.num_features == 12 and mine.num_classes == 3
    assert mine.class_names == ("0", "1", "2")
    assert repr(make(class_names=("a", "b", "c"))) == (
        "Dataset('mine': 7 train, 5 test, samples (4, 3) uint8, 3 classes)"
    )
    np.testing.assert_array_equal(make().x_train, X)


def test_subset():
    small = make().subset(train=2)
    assert len(small.x_train) == 2 and len(small.x_test) == 5
    with pytest.raises(ArgumentError, match=r"train: must be in 1..7, got 8"):
        make().subset(train=8)
    with pytest.raises(ArgumentError, match=r"test: must be in 1..5, got 0"):
        make().subset(test=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": Y[:6]}, "y_train: has 6 labels, x_train has 7 samples"),
        ({"x_test": X[:5, :2]}, r"x_test: its samples are uint8\(2, 3\), those of x_train uint8\(4, 3\)"),
        ({"x_test": X[:5] / 255.0}, r"x_test: its samples are float32\(4, 3\), those of x_train uint8\(4, 3\)"),
        ({"x_train": X[:0], "y_train": Y[:0]}, r"x_train: is empty, shape \(0, 4, 3\)"),
        ({"y_test": []}, "y_test: is empty"),
        ({"x_train": np.full((7, 4, 3), np.nan)}, "x_train: has 84 values that are NaN or infinite"),
        ({"x_train": X.astype(int)}, "x_train: must be uint8 or floating point, got int64"),
        ({"x_train": Y}, r"x_train: must be \(samples, \*sample_shape\), got shape \(7,\)"),
        ({"x_train": [[1, 2], [3]]}, "x_train: is not an array"),
        ({"y_train": Y + 0.5}, "y_train: must be integers, got float64"),
        ({"y_train": Y - 1}, r"y_train: labels must be in 0..number of classes - 1, got -1..1"),
        ({"y_train": np.eye(7)}, r"y_train: must be \(samples,\), got shape \(7, 7\); one-hot labels: use .argmax"),
        ({"class_names": ("a", "b")}, r"y_train, y_test: label 2 is out of range 0..1 \(class_names\)"),
    ],
)
def test_bad_arrays_are_named(changes, message):
    with pytest.raises(ArgumentError, match=message):
        make(**changes)


def test_digits_are_the_real_ones(digits):
    """1,797 images, every class split four to one, nothing lost: counts of the published set."""
    counts = np.bincount(np.concatenate([digits.y_train, digits.y_test]))
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.abs(np.bincount(digits.y_test) - counts / 5).max() <= 1
    assert digits.x_train.dtype == np.uint8 and digits.x_train.min() == 0 and digits.x_train.max() == 255
    np.testing.assert_array_equal(data.load("digits").x_test, digits.x_test)


def test_yinyang_has_the_published_geometry():
    """Features are complementary; a turn by 180 degrees swaps yin and yang and keeps the dots; areas are known."""
    from snnlab.data.yinyang import classify

    yinyang = data.load("yinyang")
    x, y, cx, cy = yinyang.x_train.T
    np.testing.assert_allclose(x + cx, 1.0, atol=1e-6)
    np.testing.assert_allclose(y + cy, 1.0, atol=1e-6)
    assert (np.hypot(x - 0.5, y - 0.5) <= 0.5 + 1e-6).all()
    assert np.bincount(yinyang.y_train).tolist() == [1667, 1667, 1666]
    np.testing.assert_array_equal(classify(x, y), yinyang.y_train)
    np.testing.assert_array_equal(classify(1 - x, 1 - y), np.array([1, 0, 2])[yinyang.y_train])
    points = np.random.default_rng(0).random((200_000, 2))
    points = points[np.hypot(*(points - 0.5).T) <= 0.5]
    share = np.bincount(classify(*points.T)) / len(points)
    dots = 2 * 0.1**2 / 0.5**2
    np.testing.assert_allclose(share, [(1 - dots) / 2, (1 - dots) / 2, dots], atol=0.005)


def test_unknown_names_get_advice():
    with pytest.raises(
        ArgumentError, match=r"'fashion-mnist' is unknown. Did you mean 'fashion_mnist'\? There are digits"
    ):
        data.load("fashion-mnist")
    with pytest.raises(DataError, match=r"no/such/folder: is not a folder; needed is one with the four idx files"):
        data.load("no/such/folder")
    with pytest.raises(ArgumentError, match="manual_dir: means nothing to 'digits'"):
        data.load("digits", manual_dir=".")
