"""Handwritten digits as an event camera sees them: a small N-MNIST, simulated on the spot, the same every time.

The embedded 8x8 digits lie on a dark field. As in N-MNIST, the camera makes three quick moves over each digit, at
constant speed, and returns to where it began; brightness between pixels is interpolated bilinearly. A pixel that has
become brighter by `THRESHOLD` since its last event sends an ON event (polarity 1). One that has become darker by as
much sends an OFF event (polarity 0).
"""

import numpy as np
from jaxtyping import Float

from snnlab.data.dataset import Dataset
from snnlab.data.digits import load_digits
from snnlab.data.eventlists import EVENT, EventLists

CORNERS = ((0.0, 0.0), (2.0, 1.0), (0.0, 2.0), (0.0, 0.0))  # pixels (down, right): where the moves begin and end
DURATION = 100.0  # ms, of all moves together
FRAMES = 100  # brightness changes linearly between frames, which are short enough for at most one event per pixel
THRESHOLD = 0.2  # of a brightness in 0..1
MARGIN = 2  # dark pixels around a digit, as far as the camera moves


def watch(
    images: Float[np.ndarray, "samples rows columns"],
    *,
    corners: tuple[tuple[float, float], ...] = CORNERS,
    duration: float = DURATION,
    frames: int = FRAMES,
    threshold: float = THRESHOLD,
) -> EventLists:
    """Simulate an event camera that moves over still images.

    With `L(t)` the brightness of a pixel and `n` its ON minus its OFF events so far, it sends the next event when

        |L(t) - L(0) - n threshold| = threshold.

    `L` is bilinear in the position of the camera. It is computed at `frames + 1` times and linear in between.

    Args:
        images: brightness in 0..1; it is dark beyond their edges.
        corners: positions (down, right) in pixels >= 0 that the camera visits, at equal intervals.
        duration: of the whole path [ms].
        frames: number of intervals; a pixel sends at most one event in each.
        threshold: change of brightness per event.

    Example:
        >>> edge = np.broadcast_to(np.arange(5) >= 3, (1, 1, 5)).astype(float)
        >>> seen = watch(edge, corners=((0, 0), (0, 1)), duration=10.0, frames=5, threshold=0.4)
        >>> seen.structured().tolist()  # (t, x, y, p): at 4 and at 8 ms; the far edge is dark again
        [(4000, 2, 0, 1), (4000, 4, 0, 0), (8000, 2, 0, 1), (8000, 4, 0, 0)]
    """
    samples, height, width = images.shape
    room = int(np.ceil(np.max(corners))) + 1
    padded = np.pad(images, ((0, 0), (0, room), (0, room)))
    time = np.linspace(0.0, duration, frames + 1)
    ends = np.linspace(0.0, duration, len(corners))
    way = np.stack([np.interp(time, ends, axis) for axis in np.transpose(corners)], axis=1)
    first = before = _shifted(padded, way[0], height, width)
    net = np.zeros(first.shape, np.int32)  # ON minus OFF events
    found = []
    for k in range(1, frames + 1):
        now = _shifted(padded, way[k], height, width)
        gone = (now - first) / threshold - net  # since the last event, in thresholds
        sign = (gone >= 1.0 - 1e-9).astype(np.int32) - (gone <= -1.0 + 1e-9)
        at = np.nonzero(sign)
        rest = first[at] + (net[at] + sign[at]) * threshold - before[at]
        when = time[k - 1] + rest / (now[at] - before[at]) * (time[k] - time[k - 1])
        found.append((at[0], np.minimum(np.floor(1000.0 * when + 1e-6), 1000.0 * duration - 1), at, sign[at] > 0))
        net += sign
        before = now
    return _sorted(found, samples, height, width)


def _shifted(padded: np.ndarray, place: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the brightness of every pixel when the camera is at `place`."""
    (down, right), (dy, dx) = place.astype(int), place % 1.0
    corner = [padded[:, i : i + height, j : j + width] for i in (down, down + 1) for j in (right, right + 1)]
    return (1 - dy) * ((1 - dx) * corner[0] + dx * corner[1]) + dy * ((1 - dx) * corner[2] + dx * corner[3])


def _sorted(found: list, samples: int, height: int, width: int) -> EventLists:
    """Sort the events of all frames by sample, then by time."""
    sample, when = (np.concatenate([frame[k] for frame in found]) for k in (0, 1))
    events = np.empty(len(sample), EVENT)
    events["t"] = when
    events["y"], events["x"] = (np.concatenate([frame[2][axis] for frame in found]) for axis in (1, 2))
    events["p"] = np.concatenate([frame[3] for frame in found])
    order = np.lexsort((events["t"], sample))
    offsets = np.searchsorted(sample[order], np.arange(samples + 1))
    return EventLists.of(events[order], offsets, sensor=(2, height, width))


def load_event_digits() -> Dataset:
    """Make the digits under a moving camera: 12x12 pixels, ON and OFF, 100 ms; the split is that of `load_digits`.

    Source: Orchard et al. (2015), DOI 10.3389/fnins.2015.00437, for the moves; Lichtsteiner, Posch & Delbruck (2008),
    DOI 10.1109/JSSC.2007.914337, for the camera; Alpaydin & Kaynak (1998), DOI 10.24432/C50P49, for the digits.

    Example:
        >>> load_event_digits()
        Dataset('event_digits': 1,437 train, 360 test, samples (2, 12, 12) events, 10 classes)
    """
    digits = load_digits()
    seen = {}
    for part in ("train", "test"):
        images = getattr(digits, f"x_{part}") / 255.0
        seen[f"x_{part}"] = watch(np.pad(images, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))))
    return Dataset(name="event_digits", y_train=digits.y_train, y_test=digits.y_test, **seen)
