"""The camera that moves over images: closed forms for an edge, and what must hold for any picture."""

import numpy as np
import pytest

from snnlab import data
from snnlab.data.event_digits import THRESHOLD, watch


@pytest.mark.parametrize("threshold", [0.12, 0.3, 0.45])
@pytest.mark.parametrize("bright_first", [False, True])
def test_an_edge_that_passes(threshold, bright_first):
    """The camera moves right by 3 pixels in 60 ms over an edge. A pixel `d` pixels before it sees the edge from
    20 (d - 1) ms to 20 d ms, when its brightness goes from 0 to 1 along a straight line: event `k` comes at
    20 (d - 1 + k threshold) ms, and there are floor(1 / threshold) of them."""
    row = np.zeros((1, 1, 12))
    row[..., 5:] = 1.0
    image = 1.0 - row if bright_first else row
    events = watch(image, corners=((0, 0), (0, 3)), duration=60.0, frames=240, threshold=threshold).structured()
    per_pixel = int(1.0 / threshold)
    for d in (1, 2, 3):
        seen = events[events["x"] == 5 - d]
        expected = 20.0 * (d - 1 + threshold * np.arange(1, per_pixel + 1))
        np.testing.assert_allclose(seen["t"] / 1000.0, expected, atol=0.0011)
        assert (seen["p"] == (0 if bright_first else 1)).all()
    assert not np.isin([0, 1, 5, 6, 7], events["x"]).any(), "these see no change"


def test_a_way_there_and_back():
    """The camera ends where it began, so every pixel sends as many ON as OFF events, whatever the picture: fewer than
    one threshold is left over."""
    images = np.random.default_rng(0).random((7, 5, 3))
    lists = watch(images)
    for k in range(7):
        off, on = lists.image(k).reshape(2, 5, 3)
        np.testing.assert_array_equal(on, off)
    assert lists.structured()["t"].max() < 100_000


def test_brightness_counts_not_the_sample():
    """Samples do not see each other; a picture half as bright with half the threshold sends the same events."""
    images = np.random.default_rng(1).random((3, 6, 6))
    lists = watch(images)
    np.testing.assert_array_equal(
        watch(images[1:2]).structured(), lists.structured()[lists.offsets[1] : lists.offsets[2]]
    )
    np.testing.assert_array_equal(watch(images / 2, threshold=THRESHOLD / 2).structured(), lists.structured())


def test_the_set(digits):
    events, again = data.load("event_digits"), data.load("event_digits")
    assert repr(events) == "Dataset('event_digits': 1,437 train, 360 test, samples (2, 12, 12) events, 10 classes)"
    for part in ("train", "test"):
        np.testing.assert_array_equal(getattr(events, f"y_{part}"), getattr(digits, f"y_{part}"))
        lists = getattr(events, f"x_{part}")
        np.testing.assert_array_equal(lists.structured(), getattr(again, f"x_{part}").structured())
        assert 0 < lists.times.max() < 100_000 and lists.dropped == 0
    counts = np.array([events.x_test.image(k).max() for k in range(50)])
    assert (counts > 1).all(), "a pixel sends more than one event"
