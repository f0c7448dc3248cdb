"""Event lists: what a network gets of them, and everything that is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snnlab.train.step  # noqa: F401 (makes event lists known to jax)
from snnlab.data import Dataset, EventLists, load
from snnlab.data.eventlists import EVENT, MAX_UNITS
from snnlab.errors import ArgumentError

SENSOR = (2, 3, 5)  # polarities, height, width
SAMPLES = [
    [(0, 0, 0, 0), (7, 4, 2, 1), (7, 4, 2, 1)],  # twice the same pixel at the same time
    [],
    [(2**31 - 1, 1, 2, 0)],
    [(3, 2, 1, 1), (3, 2, 1, 0), (1000, 0, 2, 1), (1001, 4, 0, 0)],
]


@pytest.fixture
def lists() -> EventLists:
    return EventLists.from_lists(SAMPLES, sensor=SENSOR)


def dataset(**changes) -> Dataset:
    x = EventLists.from_lists(SAMPLES, sensor=SENSOR)
    return Dataset(
        **{"name": "mine", "x_train": x, "y_train": [0, 1, 2, 1], "x_test": x, "y_test": [0, 1, 2, 1]} | changes
    )


def expected(sample, limit: int) -> list:
    """By hand: unit = (p * 3 + y) * 5 + x, then -1 up to the limit."""
    rows = [(t, (p * 3 + y) * 5 + x) for t, x, y, p in sample][:limit]
    rows += [(-1, -1)] * (limit - len(rows))
    return [[t for t, _ in rows], [u for _, u in rows]]


def test_a_batch_is_cut_out_and_padded(lists):
    """One sample, a slice, any order and twice the same: as of an array; within jit too."""
    whole = np.array([expected(sample, 4) for sample in SAMPLES])
    assert lists.limit == 4 and lists.shape == (4, 2, 3, 5) and len(lists) == 4
    np.testing.assert_array_equal(lists[:], whole)
    for index in (2, slice(1, 3), np.array([3, 0, 3]), -1):
        np.testing.assert_array_equal(lists[index], whole[index])
        assert lists[index].dtype == np.int32 == lists.dtype
    on_device = jax.tree.map(jnp.asarray, lists)
    for index in ([3, 0, 3], [1, 1], [2]):
        np.testing.assert_array_equal(jax.jit(lambda x, k: x[k])(on_device, jnp.array(index)), whole[index])


def test_events_come_back(lists):
    """Out again as they came in, in the form that files have."""
    rows = [event for sample in SAMPLES for event in sample]
    assert lists.structured().dtype == EVENT and lists.structured().tolist() == rows
    again = EventLists.of(lists.structured(), lists.offsets, sensor=SENSOR)
    np.testing.assert_array_equal(again[:], lists[:])


def test_a_limit_drops_the_later_events_and_says_so(lists):
    few = lists.capped(2)
    np.testing.assert_array_equal(few[:], [expected(sample, 2) for sample in SAMPLES])
    assert (few.limit, few.dropped, lists.dropped) == (2, 3, 0)
    assert "8 events, 3 of them beyond the limit of 2 a sample" in repr(few)
    assert few.capped(99).limit == 2, "what is dropped stays dropped"
    data = dataset().subset(events=2)
    assert repr(data).endswith("3 classes; dropped 6 of 16 events, those after 2 of a sample)")
    assert repr(dataset()).endswith("samples (2, 3, 5) events, 3 classes)")


def test_a_subset_keeps_whole_samples(lists):
    part = dataset().subset(train=3, test=2)
    np.testing.assert_array_equal(part.x_train[:], [expected(sample, 3) for sample in SAMPLES[:3]])
    assert len(part.x_test) == 2 and part.x_test.limit == 3
    empty = EventLists.from_lists([[], [(1, 0, 0, 0)]], sensor=SENSOR).head(1)
    assert empty[:].tolist() == [[[-1], [-1]]]


def test_the_image_counts_events_by_pixel(lists):
    image = lists.image(0)
    assert image.shape == (6, 5) and image.sum() == 3
    assert image[0, 0] == 1 and image[3 + 2, 4] == 2  # ON lies below OFF
    assert lists.capped(2).image(0)[3 + 2, 4] == 1
    np.testing.assert_array_equal(dataset().image(0), image)
    np.testing.assert_array_equal(load("digits").image(3), load("digits").x_test[3])


def test_steps_until_the_last_event():
    """An event at t lies in step floor(t / dt), so the last one needs floor(t / dt) + 1 steps."""
    lists = EventLists.from_lists([[(0, 0, 0, 0), (1999, 0, 0, 0), (2000, 0, 0, 0)]], sensor=SENSOR)
    assert [lists.steps(dt) for dt in (0.001, 0.1, 1.0, 2.0, 2.001)] == [2001, 21, 3, 2, 1]
    assert [lists.late(steps, 1.0) for steps in (1, 2, 3)] == [2, 1, 0]


@given(st.lists(st.lists(st.tuples(*[st.integers(0, 9)] * 2, st.integers(0, 2)), max_size=7), min_size=1, max_size=5))
@settings(deadline=None, max_examples=50)
def test_any_lists_come_back(drawn):
    samples = [sorted((t, x, y, x % 2) for t, x, y in sample) for sample in drawn]
    if not any(samples):
        return
    lists = EventLists.from_lists(samples, sensor=(2, 3, 10))
    bounds = zip(lists.offsets[:-1], lists.offsets[1:], strict=True)
    assert [lists.structured()[a:b].tolist() for a, b in bounds] == samples


GOOD = np.array([(0, 0, 0, 0), (5, 4, 2, 1)], EVENT)


def changed(name: str, values) -> np.ndarray:
    dtype = [(field, np.asarray(values).dtype if field == name else EVENT[field]) for field in EVENT.names]
    events = GOOD.astype(dtype)
    events[name] = values
    return events


@pytest.mark.parametrize(
    ("events", "offsets", "sensor", "message"),
    [
        (changed("x", [0, 5]), [0, 2], SENSOR, r"events: x must be in 0..4 \(sensor \(2, 3, 5\)\), got 0..5"),
        (changed("y", [3, 0]), [0, 2], SENSOR, "events: y must be in 0..2 .* got 0..3"),
        (changed("p", [0, 2]), [0, 2], SENSOR, "events: p must be in 0..1 .* got 0..2"),
        (changed("x", np.int16([-1, 0])), [0, 2], SENSOR, "events: x must be in 0..4 .* got -1..0"),
        (changed("t", np.int64([0, 2**31])), [0, 2], SENSOR, "t must be in 0..2147483647 us, got 0..2147483648"),
        (changed("t", np.uint64([0, 2**64 - 1])), [0, 2], SENSOR, "t must be in 0..2147483647 us"),
        (changed("t", [0.0, np.nan]), [0, 2], SENSOR, "events: t must be integers, got float64"),
        (changed("t", [5, 4]), [0, 2], SENSOR, "events: sample 0 is not sorted by time, 4 us follows 5 us"),
        (GOOD[["t", "x", "y"]], [0, 2], SENSOR, "events: must be an array with the fields t, x, y and p"),
        (np.zeros((2, 4), int), [0, 2], SENSOR, r"must be an array with the fields .* got int64\(2, 4\)"),
        (GOOD[:0], [0, 0], SENSOR, "events: must be 1.* in all samples together, got 0"),
        (GOOD, [0, 1], SENSOR, "offsets: must increase from 0 to the number of events, 2"),
        (GOOD, [1, 2], SENSOR, "offsets: must increase from 0"),
        (GOOD, [0, 3, 2], SENSOR, "offsets: must increase from 0"),
        (GOOD, [0, 2, 1, 2], SENSOR, "offsets: must increase from 0"),
        (GOOD, [0, 2**63, 2], SENSOR, "offsets: must"),
        (GOOD, [0.0, 2.0], SENSOR, r"offsets: must be two or more integers, got float64\(2,\)"),
        (GOOD, [2], SENSOR, "offsets: must be two or more"),
        (GOOD, [0, 2], (2, 3), "sensor: must be .polarities, height, width."),
        (GOOD, [0, 2], (0, 3, 5), "sensor: must be"),
        (GOOD, [0, 2], (2, 3, 5.5), "sensor: must be"),
        (GOOD, [0, 2], (2, 2**16, 2**16), rf"sensor: must be .* at most .* {MAX_UNITS:,} units"),
        (GOOD, [0, 2], ("2", "3", "5"), "sensor: must be"),
    ],
)
def test_what_is_refused(events, offsets, sensor, message):
    with pytest.raises(ArgumentError, match=message) as caught:
        EventLists.of(events, np.array(offsets), sensor=sensor)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "samples: must not be empty"),
        ([[], []], "events: must be 1.* got 0"),
        ([[(0, 0, 0, 0)], [(0, 65536 + 1, 0, 0)]], r"samples\[1\]: events: x must be in 0..4 .* got 65537"),
        ([[(0, 0, 0)]], r"samples\[0\]: events: must be tuples \(t, x, y, p\)"),
        ([[(0, 0, 0, 0), (1, 2)]], r"samples\[0\]: events: must be tuples"),
        ([[(0.5, 0, 0, 0)]], r"samples\[0\]: events: t must be integers, got float64"),
        ([3], r"samples\[0\]: events: must be"),
    ],
)
def test_bad_lists_are_named(samples, message):
    with pytest.raises(ArgumentError, match=message):
        EventLists.from_lists(samples, sensor=SENSOR)


def test_what_does_not_fit_together():
    other = EventLists.from_lists(SAMPLES, sensor=(2, 3, 6))
    with pytest.raises(ArgumentError, match="x_test: its samples are"):
        dataset(x_test=other)
    with pytest.raises(ArgumentError, match="x_test: its samples are"):
        dataset(x_test=np.zeros((4, 2, 3, 5), np.uint8))
    with pytest.raises(ArgumentError, match="y_train: has 3 labels, x_train has 4 samples"):
        dataset(y_train=[0, 1, 2])
    with pytest.raises(ArgumentError, match="events: must be an integer >= 1, got 0"):
        dataset().subset(events=0)
    with pytest.raises(ArgumentError, match=r"events: .*'digits'"):
        load("digits").subset(events=5)
