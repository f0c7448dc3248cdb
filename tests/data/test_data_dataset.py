"""What is no data set is refused, in one line that names the argument."""

import numpy as np
import pytest

from snnlab.data import Dataset
from snnlab.errors import ArgumentError

X = np.arange(7 * 4 * 3, dtype=np.uint8).reshape(7, 4, 3)
Y = np.arange(7) % 3


def make(**changes) -> Dataset:
    return Dataset(**{"name": "mine", "x_train": X, "y_train": Y, "x_test": X[:5], "y_test": Y[:5]} | changes)


def test_own_arrays_come_in():
    """Real numbers stay what they are, as float32; integers are pixels; both may be lists."""
    mine = make(x_train=X.astype(float) / 255, x_test=(X[:5] / 255.0).tolist(), y_test=Y[:5].tolist())
    assert mine.x_train.dtype == mine.x_test.dtype == np.float32 and mine.y_train.dtype == mine.y_test.dtype == np.int32
    np.testing.assert_array_equal(mine.x_train, (X / 255.0).astype(np.float32))
    assert mine.sample_shape == (4, 3) and mine.num_features == 12 and mine.num_classes == 3
    assert mine.class_names == ("0", "1", "2")
    pixels = make(x_train=X.astype(np.int64), x_test=X[:5].tolist())
    assert pixels.x_train.dtype == pixels.x_test.dtype == np.uint8
    np.testing.assert_array_equal(pixels.x_train, X)


def test_it_shows_itself_in_one_short_line():
    assert repr(make(class_names=["a", "b", "c"])) == (
        "Dataset('mine': 7 train, 5 test, samples (4, 3) uint8, 3 classes)"
    )


def test_subset():
    small = make(class_names=("a", "b", "c", "d")).subset(train=2)
    assert len(small.x_train) == len(small.y_train) == 2 and len(small.x_test) == 5
    assert small.num_classes == 4  # also those of which no sample is left
    np.testing.assert_array_equal(small.x_train, X[:2])


@pytest.mark.parametrize(
    ("part", "count", "have"), [("train", 8, 7), ("test", 0, 5), ("train", 2.5, 7), ("test", "2", 5)]
)
def test_a_subset_of_more_than_there_is(part, count, have):
    with pytest.raises(ArgumentError, match=rf"{part}: must be an integer in 1..{have}, got {count!r}"):
        make().subset(**{part: count})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": Y[:6]}, "y_train: has 6 labels, x_train has 7 samples"),
        ({"x_test": X[:5, :2]}, r"x_test: its samples are uint8\(2, 3\), those of x_train uint8\(4, 3\)"),
        ({"x_test": X[:5] / 255.0}, r"x_test: its samples are float32\(4, 3\), those of x_train uint8\(4, 3\)"),
        ({"x_train": X[:0], "y_train": Y[:0]}, r"x_train: is empty, shape \(0, 4, 3\)"),
        ({"y_test": []}, "y_test: is empty"),
        ({"x_train": np.full((7, 4, 3), np.nan)}, "x_train: has 84 values that are NaN, infinite"),
        ({"x_test": [[1.0, np.inf]]}, "x_test: has 1 values that are NaN, infinite"),
        ({"x_train": np.full((7, 4, 3), 1e300)}, "x_train: has 84 values that are .* too large for float32"),
        (
            {"x_train": X.astype(int) * 4},
            r"x_train: integers must be pixels in 0..255, got 0..332; .* .astype\(numpy.f",
        ),
        ({"x_train": X.astype(int) - 1}, r"x_train: integers must be pixels in 0..255, got -1..82"),
        ({"x_train": X > 3}, "x_train: must be integers or real numbers, got bool"),
        ({"x_train": X * 1j}, "x_train: must be integers or real numbers, got complex128"),
        ({"x_train": X.astype(object)}, "x_train: must be integers or real numbers, got object"),
        ({"x_train": None}, r"x_train: must be \(samples, \*sample_shape\), got shape \(\)"),
        ({"x_train": Y}, r"x_train: must be \(samples, \*sample_shape\), got shape \(7,\)"),
        ({"x_train": [[1, 2], [3]]}, "x_train: is not an array"),
        ({"y_train": Y + 0.5}, "y_train: must be integers, got float64"),
        ({"y_train": Y > 0}, "y_train: must be integers, got bool"),
        ({"y_train": Y * 10**9}, "y_train, y_test: label 2000000000 means more than 100000 classes; .* numpy.unique"),
        ({"y_train": Y * 10**10}, "y_train: labels must be in 0..number of classes - 1, got 0..20000000000"),
        ({"y_train": Y - 1}, r"y_train: labels must be in 0..number of classes - 1, got -1..1"),
        ({"y_train": np.eye(7)}, r"y_train: must be \(samples,\), got shape \(7, 7\); for one-hot labels use .argmax"),
        ({"class_names": "abc"}, "class_names: must be a sequence with one name per class, got 'abc'"),
        ({"class_names": None}, "class_names: must be a sequence with one name per class, got None"),
        ({"class_names": ("a", "b")}, r"y_train, y_test: label 2 is out of range 0..1 \(class_names\)"),
    ],
)
def test_bad_arrays_are_named(changes, message):
    with pytest.raises(ArgumentError, match=message) as caught:
        make(**changes)
    assert "\n" not in str(caught.value)
