"""Targets of every kind, masks, lengths, weights and the validation part: taken, or refused by name."""

import numpy as np
import pytest

from snnlab.data import Dataset, EventLists
from snnlab.errors import ArgumentError

N, T, F, K = 6, 5, 3, 2
X = np.random.default_rng(0).random((N, T, F)).astype(np.float32)
STEP_LABELS = np.arange(N * T).reshape(N, T) % 3
SEVERAL = np.arange(N * K).reshape(N, K) % 2
VALUES = np.linspace(-1.0, 1.0, N * K).reshape(N, K)
TRACES = np.linspace(-1.0, 1.0, N * T * K).reshape(N, T, K)
SPIKES = (np.arange(N * T * K).reshape(N, T, K) % 4 == 0) * 1
KINDS = {
    "label": np.arange(N) % 2,
    "step_labels": STEP_LABELS,
    "several_labels": SEVERAL,
    "values": VALUES,
    "traces": TRACES,
    "spike_trains": SPIKES,
}


def make(kind: str = "label", **changes) -> Dataset:
    y = KINDS[kind]
    return Dataset(**{"name": "mine", "x_train": X, "y_train": y, "x_test": X, "y_test": y, "task": kind} | changes)


@pytest.mark.parametrize(("task", "outputs"), list(zip(KINDS, (2, 3, 2, 2, 2, 2), strict=True)))
def test_each_kind_keeps_its_values_and_tells_the_outputs(task, outputs):
    data = make(task)
    np.testing.assert_allclose(data.y_train, KINDS[task], atol=1e-7)
    assert data.num_outputs == outputs and data.part("train").targets.mask is None


def test_it_shows_what_the_targets_are():
    assert repr(make("traces")).endswith("samples (5, 3) float32, 2 traces)")
    assert repr(make("step_labels")).endswith("3 classes every step)")
    assert repr(make("several_labels")).endswith("2 classes, several a sample)")
    assert repr(make("values", y_train=VALUES[:, 0], y_test=VALUES[:, 0])).endswith("1 value)")


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("step_labels", {"y_train": STEP_LABELS[:, 0]}, r"y_train: must be \(samples, time\), a label for every step"),
        (
            "step_labels",
            {"y_train": STEP_LABELS - 2},
            r"y_train: labels must be .* or -1 where there is none, got -2..0",
        ),
        ("step_labels", {"y_train": STEP_LABELS * 0 - 1}, "y_train: no step of any sample has a label"),
        ("step_labels", {"y_test": STEP_LABELS[:, :4]}, r"y_test: a target has shape \(4,\), one of y_train \(5,\)"),
        ("several_labels", {"y_train": SEVERAL + 1}, "y_train: must be 0 and 1 only"),
        ("several_labels", {"y_train": SEVERAL[:, 0]}, r"y_train: must be \(samples, classes\) of 0 and 1"),
        ("values", {"y_train": VALUES * np.nan}, "y_train: has 12 values that are NaN, infinite"),
        ("values", {"y_train": np.array(["a"] * N)}, "y_train: must be numbers, got <U1"),
        ("values", {"class_names": ("a", "b")}, "class_names: there are no classes with task='values'; leave it out"),
        ("values", {"mask_train": np.ones((N, T), bool)}, "mask_train: does nothing with task='values'; leave it out"),
        ("traces", {"y_train": TRACES[:4]}, "y_train: has 4 targets, x_train has 6 samples"),
        (
            "traces",
            {"mask_train": np.ones((N, 4), bool)},
            r"mask_train: must be \(samples, time\) = \(6, 5\), got shape",
        ),
        ("traces", {"mask_train": np.zeros((N, T), bool)}, "mask_train: masks every step of every sample"),
        ("traces", {"mask_train": np.full((N, T), 0.5)}, "mask_train: must be True where a step is scored"),
        ("spike_trains", {"y_train": SPIKES * 0.5}, "y_train: must be 0 and 1 only"),
        ("label", {"y_train": STEP_LABELS}, 'y_train: must be .samples,., got shape .6, 5.; .*task="step_labels"'),
        ("label", {"task": "classify"}, r"task: .*'classify'"),
        ("label", {"lengths_train": [5, 5, 5, 5, 5, 0]}, r"lengths_train: must be in 1..5, sample 5 has 0"),
        ("label", {"lengths_train": [5, 6, 5, 5, 5, 5]}, r"lengths_train: must be in 1..5, sample 1 has 6"),
        ("label", {"lengths_train": [5.0] * N}, "lengths_train: must be 6 integers"),
        ("label", {"lengths_train": [5, 5]}, "lengths_train: must be 6 integers"),
        ("label", {"weights_train": [1.0] * 5}, "weights_train: must be 6 numbers"),
        ("label", {"weights_train": [-1.0] * N}, "weights_train: .*>= 0"),
        ("label", {"weights_train": [0.0] * N}, "weights_train: all weights are 0"),
        ("label", {"x_val": X}, "y_val: must be given with x_val"),
        ("label", {"mask_val": X}, "x_val: must be given with mask_val"),
        ("label", {"x_val": X[:, :4], "y_val": KINDS["label"]}, r"x_val: its samples are float32\(4, 3\)"),
        ("traces", {"lengths_train": [4] * N, "mask_train": np.eye(N, T) > 1.0}, "mask_train: masks every step"),
        (
            "traces",
            {"lengths_train": [4] * N, "mask_train": np.arange(N * T).reshape(N, T) % T == 4},
            "mask_train: with it, no step of any sample has a target that is scored",
        ),
    ],
)
def test_bad_targets_are_named(task, changes, message):
    with pytest.raises(ArgumentError, match=message) as caught:
        make(task, **changes)
    assert "\n" not in str(caught.value)


def test_a_mask_leaves_out_what_is_masked_unlabelled_or_beyond_the_end():
    labels, given = STEP_LABELS.copy(), np.ones((N, T), bool)
    labels[0, 1], given[1, 2] = -1, False
    lengths = np.array([5, 5, 3, 5, 5, 5])
    mask = make("step_labels", y_train=labels, mask_train=given, lengths_train=lengths).mask_train
    expected = np.ones((N, T), bool)
    expected[0, 1] = expected[1, 2] = False
    expected[2, 3:] = False
    np.testing.assert_array_equal(mask, expected)


def test_arrays_of_different_lengths_are_padded():
    sequences = [X[k, : 2 + k % 4] for k in range(N)]
    data = make(x_train=sequences)
    assert data.x_train.shape == (N, 5, F) and data.lengths_train.tolist() == [2, 3, 4, 5, 2, 3]
    for k, sequence in enumerate(sequences):
        np.testing.assert_array_equal(data.x_train[k, : len(sequence)], sequence)
        assert not data.x_train[k, len(sequence) :].any()
    with pytest.raises(ArgumentError, match="lengths_train: the arrays in x_train have lengths of their own"):
        make(x_train=sequences, lengths_train=[5] * N)
    with pytest.raises(ArgumentError, match=r"x_train: its arrays must be \(time, \*frame\) with the same frame"):
        make(x_train=[X[0], X[1, :4, :2], *X[2:]])


def test_lengths_need_an_axis_of_time():
    flat = X[:, 0]
    with pytest.raises(ArgumentError, match=r"lengths_train: samples with lengths must be \(time, \*frame\)"):
        make(x_train=flat, x_test=flat, lengths_train=[1] * N)
    events = EventLists.from_lists([[(1, 0, 0, 0)]] * N, sensor=(1, 1, 1))
    with pytest.raises(ArgumentError, match="lengths_train: samples with lengths must be"):
        make(x_train=events, x_test=events, lengths_train=[1] * N)


def test_a_part_and_a_subset_keep_all_arrays_together():
    mask = np.arange(N * T).reshape(N, T) % 2 == 0
    data = make("traces", mask_train=mask, weights_train=np.arange(1.0, N + 1), lengths_train=[5, 4, 5, 4, 5, 4])
    targets = data.subset(train=3).part("train").targets
    assert targets.weights.tolist() == [1.0, 2.0, 3.0] and targets.lengths.tolist() == [5, 4, 5]
    np.testing.assert_array_equal(targets.mask, (mask & (np.arange(T) < np.array([5, 4, 5, 4, 5, 4])[:, None]))[:3])
    with pytest.raises(ArgumentError, match="val: there is no validation part"):
        data.subset(val=1)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_share_is_held_out_of_every_class_and_belongs_to_one_part_only(share):
    y = np.repeat([0, 1, 2], [60, 30, 10])
    x = np.arange(100, dtype=np.float32)[:, None]
    whole = Dataset(name="mine", x_train=x, y_train=y, x_test=x, y_test=y)
    data = whole.hold_out(share, seed=3)
    assert (data.parts, data.watched, whole.watched) == (("train", "val", "test"), "val", "test")
    assert sorted(np.concatenate([data.x_train, data.x_val])[:, 0]) == x[:, 0].tolist()
    for part in ("train", "val"):
        samples, targets = data.part(part)
        np.testing.assert_array_equal(targets.values, y[samples[:, 0].astype(int)])
    assert abs(np.bincount(data.y_val) - share * np.array([60, 30, 10])).max() < 1
    assert not np.array_equal(data.x_val, whole.hold_out(share, seed=4).x_val)
    with pytest.raises(ArgumentError, match="hold_out: this data set has a validation part already"):
        data.hold_out(0.1)


def test_a_share_that_leaves_nothing_is_refused():
    for share in (0.0, 0.01, 0.99, 1.0):
        with pytest.raises(ArgumentError, match=r"share: .* leaves a part without any"):
            make().hold_out(share)


def test_the_checksum_knows_every_array():
    whole = make("traces").crc
    for changes in (
        {"mask_train": np.eye(N, T) < 1},
        {"weights_test": np.ones(N)},
        {"x_val": X, "y_val": TRACES},
        {"lengths_train": [4] * N},
    ):
        assert make("traces", **changes).crc != whole
