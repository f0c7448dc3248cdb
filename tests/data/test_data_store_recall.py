"""The store-recall set says what its description says: checked on its spikes, not on how they were drawn."""

import numpy as np
import pytest

from snnlab import data
from snnlab.data.store_recall import load_store_recall

STEPS, SYMBOL, GROUPS = 800, 50, 4


@pytest.fixture(scope="module")
def stream():
    """Of 200 samples: spikes of each group in each symbol, and the label of each symbol."""
    made = load_store_recall(train=200, test=3)
    counts = np.zeros((200, STEPS // SYMBOL, GROUPS), int)
    for sample, (times, units) in enumerate(made.x_train[:]):
        there = times >= 0
        np.add.at(counts[sample], (times[there] // (1000 * SYMBOL), units[there] // 10), 1)
    labels = made.y_train.reshape(200, -1, SYMBOL)
    assert (labels == labels[..., :1]).all(), "a symbol has one label"
    return counts, labels[..., 0]


def test_every_recall_asks_for_the_bit_that_was_stored_last(stream):
    for counts, labels in zip(*stream, strict=True):
        stored = None
        for symbol, (zero, one, store, recall) in enumerate(counts > 0):
            assert (labels[symbol] >= 0) == recall, "the steps of a recall have a label, no others"
            if recall:
                assert not zero and not one and not store and labels[symbol] == stored
            else:
                assert zero != one, "one bit is shown"
            if store:
                stored = int(one)


def test_delays_are_those_of_the_description(stream):
    """Between the ends of the command to store and the begin of the recall lie 100 to 250 ms, all alike."""
    gaps = []
    for counts in stream[0]:
        store, recall = (np.flatnonzero(counts[:, group]) for group in (2, 3))
        assert len(store) == len(recall) >= 1, "what is stored is recalled"
        gaps.extend((recall - store - 1) * SYMBOL)
    values, found = np.unique(gaps, return_counts=True)
    assert values.tolist() == [100, 150, 200, 250]
    # Every sample has its first delay from a uniform draw; later ones may be cut off, long ones more often.
    assert found.min() > 0.15 * found.sum()


def test_rates_and_bits_are_fair(stream):
    """A group of 10 neurons at 100 Hz fires 50 spikes a symbol on average; the mean over n symbols has the deviation
    sqrt(45 / n) of a binomial distribution. Bits are fair coins."""
    counts, labels = stream
    shown = counts[counts > 0]
    assert abs(shown.mean() - 50.0) < 4.0 * np.sqrt(45.0 / shown.size)
    said = labels[labels >= 0]
    assert abs(said.mean() - 0.5) < 4.0 * 0.5 / np.sqrt(said.size)


def test_the_set():
    made, again = (load_store_recall(train=20, test=10) for _ in range(2))
    assert made.crc == again.crc, "the same samples every time"
    assert made.crc != load_store_recall(train=20, test=11).crc
    assert made.x_train.sensor == (1, 4, 10) and made.y_test.shape == (10, STEPS)
    assert made.mask_train.any() and not made.mask_train.all()
    train, test = ({row[:, row[0] >= 0].tobytes() for row in lists[:]} for lists in (made.x_train, made.x_test))
    assert (len(train), len(test)) == (20, 10) and not train & test, "no sample stands twice"
    assert data.sizes("store_recall") == (2048, 512)
