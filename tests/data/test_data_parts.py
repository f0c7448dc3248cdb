"""A set in one piece is divided by one rule; what targets are is deduced only where nothing else fits."""

import numpy as np
import pytest

from snnlab.data.deduce import deduced, numbered
from snnlab.data.parts import divide
from snnlab.errors import ArgumentError


def test_parts_are_disjoint_whole_and_the_same_every_time():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    parts = divide(100, labels)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(100))
    assert all(np.array_equal(parts[name], again) for name, again in divide(100, labels).items())
    counts = {name: np.bincount(labels[places]).tolist() for name, places in parts.items()}
    assert counts == {"train": [42, 21, 7], "val": [6, 3, 1], "test": [12, 6, 2]}


def test_every_class_is_trained_however_small():
    """With three samples of a class, two may be drawn, one for each other part."""
    labels = np.repeat(np.arange(9), 3)
    parts = divide(27, labels)
    assert set(labels[parts["train"]]) == set(range(9))
    assert set(divide(27, labels, validation=False)) == {"train", "test"}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(9, int), "x: 9 samples are too few to divide; give x_train, y_train, x_test and y_test"),
        (np.repeat([0, 1], [10, 1]), "y: class 'b' has 1 of the samples, sample 11 is the first; a class needs 3"),
    ],
)
def test_what_cannot_be_divided(labels, message):
    with pytest.raises(ArgumentError, match=message):
        divide(len(labels), labels, names=("a", "b"))


STEPS, TABLE = np.zeros((12, 5, 2)), np.zeros((12, 4))
ZERO_ONE = np.arange(12 * 3).reshape(12, 3) % 2


@pytest.mark.parametrize(
    ("y", "x", "task"),
    [
        (np.arange(12) % 3, TABLE, "label"),
        (np.arange(12)[:, None] % 3, STEPS, "label"),
        (np.array(["a", "b"] * 6), TABLE, "label"),
        (np.arange(12) % 2 == 0, TABLE, "label"),
        (np.linspace(0, 1, 12), TABLE, "values"),
        (np.full((12, 2), 0.5), STEPS, "values"),
        (ZERO_ONE, TABLE, "several_labels"),
        (np.zeros((12, 5), int), STEPS, "step_labels"),
        (np.zeros((12, 5)), STEPS, "traces"),
        (np.full((12, 5, 3), 0.5), STEPS, "traces"),
        (np.full((12, 5, 3), 2), STEPS, "traces"),
        (np.zeros((12, 5, 3), int), STEPS, "spike_trains"),
    ],
)
def test_what_can_only_be_one_task(y, x, task):
    assert deduced(y, x) == task


@pytest.mark.parametrize(
    ("y", "x", "message"),
    [
        (np.arange(12.0) % 3, TABLE, r"whole numbers as float64 may be classes or values; choose task='label' or "),
        (np.arange(12), TABLE, "12 different integers in 12 samples may be classes or values; .*'label' or .*'values'"),
        (np.eye(4, dtype=int)[np.arange(12) % 4], TABLE, r"one 1 in every row .*; save y.argmax\(1\) for the first"),
        (np.full((12, 3), 2), TABLE, r"shape \(12, 3\) of integers are no labels of the samples, nor of their steps"),
        (np.zeros((12, 5, 3)), STEPS, "zeros and ones may be traces or spikes; .*'traces' or .*'spike_trains'"),
        (np.zeros((12, 7, 3)), STEPS, r"shape \(12, 7, 3\) fits no task with samples of shape \(5, 2\)"),
        (np.zeros(12, complex), TABLE, "must be numbers or texts, got complex128"),
        (np.zeros((12, 0)), TABLE, r"is empty, shape \(12, 0\)"),
    ],
)
def test_what_may_be_several_or_nothing_is_refused(y, x, message):
    with pytest.raises(ArgumentError, match=f"y: {message}"):
        deduced(y, x)


def test_labels_get_numbers_in_their_order_over_all_parts():
    found, names = numbered({"train": np.array([7, 3, 7]), "test": np.array([5, 3])})
    assert names == ("3", "5", "7") and found["train"].tolist() == [2, 0, 2] and found["test"].tolist() == [1, 0]
    found, names = numbered({"train": np.array([1.0, 0.0])})
    assert names == ("0", "1") and found["train"].tolist() == [1, 0]
    assert numbered({"train": np.array([b"no", b"yes"])})[1] == ("no", "yes")
    for parts, message in (
        ({"train": np.array(["a"]), "test": np.array([1])}, "y: is text in y_train and numbers in y_test"),
        ({"train": np.array([0.5])}, "y_train: labels must be integers or texts, got float64"),
        ({"train": np.array([[1, 2]])}, r"y_train: must be \(samples,\), a label each, got shape \(1, 2\)"),
        ({"train": np.array([b"\xff"])}, "y_train: its texts are not UTF-8"),
        ({"train": np.array(["a\nb", "c"])}, "y: must be a name in one line"),
    ):
        with pytest.raises(ArgumentError, match=message):
            numbered(parts)
