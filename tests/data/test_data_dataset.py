"""What is no data set is refused, in one line that names the argument."""

import numpy as np
import pytest

from snnlab.data import Dataset, EventLists
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
        ({"x_train": X * 1j}, "x_train: must be integers or real numbers, got complex128"),
        ({"x_train": X.astype(object)}, "x_train: must be integers or real numbers, got object"),
        ({"x_train": None}, "x_train: must be an array or nested lists of numbers, got NoneType"),
        ({"x_train": Y}, r"x_train: must be \(samples, \*sample_shape\), got shape \(7,\)"),
        ({"x_train": [[1, 2], [3]]}, "x_train: is not an array"),
        ({"y_train": Y + 0.5}, 'y_train: must be integers, got float64; to learn numbers, pass task="values"$'),
        ({"y_train": Y * 1.0}, r"y_train: must be integers, got float64; use .astype\(int\)"),
        ({"y_train": Y > 0}, r"y_train: must be integers, got bool; use .astype\(int\)"),
        (
            {"y_train": np.array(list("aabbcca"))},
            r"y_train: must be integers, got <U1; .*return_inverse",
        ),
        ({"y_train": 0 * Y, "y_test": 0 * Y[:5]}, "y_train, y_test: all labels are 0"),
        (
            {"y_train": Y * 10**9},
            r"y_train, y_test: label 2000000000 means more than 100000 .* numpy.unique.*\[1\]",
        ),
        ({"y_train": Y * 10**10}, "y_train: labels must be in 0..number of classes - 1, got 0..20000000000"),
        ({"y_train": Y - 1}, r"y_train: labels must be in 0..number of classes - 1, got -1..1"),
        ({"y_train": np.eye(7)}, r"y_train: must be \(samples,\), got shape \(7, 7\); these are one-hot, use .argmax"),
        ({"y_train": np.ones((7, 2))}, r"y_train: must be \(samples,\), got shape \(7, 2\); a sample has one label"),
        ({"class_names": "abc"}, "class_names: must be a sequence with one name per class, got 'abc'"),
        ({"class_names": None}, "class_names: must be a sequence with one name per class, got None"),
        ({"class_names": ("a", "b")}, r"y_train, y_test: label 2 is out of range 0..1 \(class_names\)"),
    ],
)
def test_bad_arrays_are_named(changes, message):
    with pytest.raises(ArgumentError, match=message) as caught:
        make(**changes)
    assert "\n" not in str(caught.value)


def test_what_a_message_advises_works():
    """The advice of `_labels`, followed: the labels are those that were meant."""
    for given, cured in [
        (np.eye(3, dtype=int)[Y], lambda y: y.argmax(1)),
        (Y.astype(float), lambda y: y.astype(int)),
        (Y > 0, lambda y: y.astype(int)),
        (np.array(["no", "yes", "so"])[Y], lambda y: np.unique(y, return_inverse=True)[1]),
        (Y * 10**9, lambda y: np.unique(y, return_inverse=True)[1]),
    ]:
        with pytest.raises(ArgumentError):
            make(y_train=given)
        classes = make(y_train=cured(given)).y_train
        assert len(np.unique(classes)) == len(np.unique(given, axis=0))
        pairs = [(k, j) for k in range(7) for j in range(7) if classes[k] == classes[j]]
        assert all(np.all(given[k] == given[j]) for k, j in pairs)


def test_a_column_of_labels_is_what_it_looks_like():
    np.testing.assert_array_equal(make(y_train=Y[:, None]).y_train, make().y_train)


def test_true_is_one():
    """As pixels they stand for 0 and 1, as everywhere."""
    found = make(x_train=X > 3, x_test=X[:5] > 3)
    np.testing.assert_array_equal(found.x_train / 255.0, X > 3)


def sorted_by_class(sizes, **options):
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = np.arange(len(y), dtype=np.float32)[:, None]
    return Dataset(name="sorted", x_train=x, y_train=y, x_test=x, y_test=y, **options)


@pytest.mark.parametrize("sizes", [(50, 50, 50, 50), (90, 8, 1, 1), (1, 1, 98)])
@pytest.mark.parametrize("count", [4, 7, 20, 99])
def test_a_subset_of_sorted_data_has_every_class_in_proportion(sizes, count):
    whole = sorted_by_class(sizes)
    part = whole.subset(train=count)
    exact = np.array(sizes) * count / sum(sizes)
    got = np.bincount(part.y_train, minlength=len(sizes))
    assert len(part.x_train) == count and (got >= 1).all()
    assert (abs(got - exact) < 1 + (exact < 1).sum()).all()
    np.testing.assert_array_equal(part.y_train, whole.y_train[part.x_train[:, 0].astype(int)])
    assert (np.diff(part.x_train[:, 0]) > 0).all()


def test_a_subset_of_mixed_data_is_its_beginning():
    x, y = np.arange(10, dtype=np.float32)[:, None], np.arange(10) % 2
    mixed = Dataset(name="mixed", x_train=x, y_train=y, x_test=x, y_test=y)
    np.testing.assert_array_equal(mixed.subset(train=4).x_train, mixed.x_train[:4])
    np.testing.assert_array_equal(sorted_by_class((5, 5, 5)).subset(train=2).x_train[:, 0], [0, 1])  # too few for all


def test_a_subset_of_sorted_events_has_every_class():
    lists = EventLists.from_lists([[(k, 0, 0, 0)] * (k % 3) for k in range(9)], sensor=(1, 1, 1))
    y = np.repeat([0, 1, 2], 3)
    part = Dataset(name="e", x_train=lists, y_train=y, x_test=lists, y_test=y).subset(train=4)
    assert part.y_train.tolist() in ([0, 0, 1, 2], [0, 1, 1, 2], [0, 1, 2, 2])
    for k, times in enumerate(part.x_train[:][:, 0]):
        first = int(np.flatnonzero(y == part.y_train[k])[0]) + int((part.y_train[:k] == part.y_train[k]).sum())
        assert times[times >= 0].tolist() == [first] * (first % 3)
