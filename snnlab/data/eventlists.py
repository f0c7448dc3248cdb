"""Samples that are lists of events `(t, x, y, p)` of any length, as an event camera or a silicon cochlea sends them.

The lists lie end to end in flat columns, six or eight bytes per event. Indexing cuts out a batch and pads it to one
length, so that compiled programs have fixed shapes. Nothing here imports JAX, but the same code indexes NumPy arrays
and, inside a compiled program, JAX arrays.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int, Shaped

from snnlab.errors import ArgumentError
from snnlab.support import arguments

FIELDS = ("t", "x", "y", "p")
EVENT = np.dtype(list(zip(FIELDS, ("<u4", "<u2", "<u2", "u1"), strict=True)))
"""One event in a file: time [us], column, row, polarity."""

MAX_TIME = 2**31 - 1  # us, 35 minutes
MAX_UNITS = 2**24  # of a sensor: nine HD event cameras
MAX_EVENTS = 2**31 - 2**24  # of all samples together, because positions are 32-bit integers


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class EventLists:
    """One list of events per sample. Make it with `of` or `from_lists`, which check everything.

    Indexing returns the input of a network: `lists[3]` is `(2, limit)`, `lists[2:9]` and `lists[np.array([5, 1])]` are
    `(batch, 2, limit)`, int32: the times [us] and the units of the first `limit` events, padded with -1.
    The unit of an event is `(p height + y) width + x`.

    Attributes:
        times: of all events, sample after sample [us].
        units: of all events.
        offsets: sample `k` has the events `offsets[k]` to `offsets[k + 1] - 1`.
        sensor: (polarities, height, width); `x` is in 0..width - 1, and so on.
        limit: number of events read from a sample; later ones are dropped. Initially the length of the longest sample.

    Example:
        >>> lists = EventLists.from_lists([[(1500, 0, 1, 1), (1500, 0, 1, 1)], [(900, 2, 0, 0)]], sensor=(2, 2, 3))
        >>> lists
        EventLists(2 samples, 3 events, sensor (2, 2, 3), 0..1.5 ms)
        >>> lists[:].tolist()  # unit 9 = (1 * 2 + 1) * 3 + 0
        [[[1500, 1500], [9, 9]], [[900, -1], [2, -1]]]
    """

    times: Int[np.ndarray, " events"]
    units: Int[np.ndarray, " events"]
    offsets: Int[np.ndarray, " samples_and_one"]
    sensor: tuple[int, int, int]
    limit: int

    @classmethod
    def of(cls, events: Shaped[np.ndarray, " events"], offsets, *, sensor: tuple[int, int, int]) -> "EventLists":
        """Make event lists from one structured array and the positions where its samples begin and end.

        Args:
            events: with the fields `t` (integers, 0..2^31 - 1 us, never decreasing within a sample), `x`, `y` and `p`
                (integers within the sensor).
            offsets: sample `k` has the events `offsets[k]` to `offsets[k + 1] - 1`; from 0 to `len(events)`.
            sensor: (polarities, height, width).

        Raises:
            ArgumentError: if types are wrong, numbers out of range, times decrease, or there are no samples or events.
        """
        sensor = _sensor(sensor)
        times, units = _columns(np.asarray(events), sensor)
        offsets = _offsets(np.asarray(offsets), len(times))
        falls = np.setdiff1d(np.flatnonzero(times[1:] < times[:-1]) + 1, offsets)
        if falls.size:
            sample = int(np.searchsorted(offsets, falls[0], "right")) - 1
            before, after = times[falls[0] - 1 : falls[0] + 1]
            raise ArgumentError(f"events: sample {sample} is not sorted by time, {after} us follows {before} us")
        longest = int(np.diff(offsets).max())
        return cls(times=times, units=units, offsets=offsets, sensor=sensor, limit=longest)

    @classmethod
    def from_lists(cls, samples: Iterable, *, sensor: tuple[int, int, int]) -> "EventLists":
        """Make event lists from one list per sample: a structured array as in `of`, or tuples `(t, x, y, p)`.

        Raises:
            ArgumentError: as `of`.
        """
        parts = []
        for k, sample in enumerate(samples):
            try:
                parts.append(compact(sample, sensor))
            except ArgumentError as error:
                raise ArgumentError(f"samples[{k}]: {error}") from None
        if not parts:
            raise ArgumentError("samples: must not be empty")
        offsets = np.cumsum([0, *map(len, parts)])
        return cls.of(np.concatenate(parts), offsets, sensor=sensor)

    def __getitem__(self, index) -> Int[np.ndarray, "*batch 2 limit"]:
        xp = self.offsets.__array_namespace__()  # NumPy, or JAX inside a compiled program
        first, end = (xp.asarray(bound[index])[..., None] for bound in (self.offsets[:-1], self.offsets[1:]))
        at = first + xp.arange(self.limit, dtype=xp.int32).reshape((1,) * (first.ndim - 1) + (-1,))
        there = xp.minimum(at, xp.asarray(len(self.times) - 1, dtype=xp.int32))
        columns = xp.stack([self.times[there], self.units[there].astype(xp.int32)], axis=-2)
        return xp.where((at < end)[..., None, :], columns, xp.asarray(-1, dtype=xp.int32))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(samples, polarities, height, width)."""
        return (len(self), *self.sensor)

    @property
    def dtype(self) -> np.dtype:
        """Type of what indexing returns."""
        return np.dtype(np.int32)

    @property
    def dropped(self) -> int:
        """Number of events that the limit leaves out."""
        return int(np.maximum(np.diff(self.offsets) - self.limit, 0).sum())

    def steps(self, dt: float) -> int:
        """Return the number of steps of `dt` [ms] that include the last event."""
        return int(self.times.max()) // arguments.microseconds("dt", dt) + 1

    def late(self, num_steps: int, dt: float) -> int:
        """Return the number of events after `num_steps` steps of `dt` [ms]."""
        return int((self.times // arguments.microseconds("dt", dt) >= num_steps).sum())

    def capped(self, limit: int) -> "EventLists":
        """Return the same samples with at most `limit` events each."""
        return replace(self, limit=min(self.limit, arguments.count("limit", limit)))

    def head(self, count: int) -> "EventLists":
        """Return the first `count` samples."""
        offsets = self.offsets[: count + 1]
        last, longest = (max(1, int(size)) for size in (offsets[-1], np.diff(offsets).max()))  # columns are never empty
        limit = min(self.limit, longest)
        return replace(self, times=self.times[:last], units=self.units[:last], offsets=offsets, limit=limit)

    def take(self, samples: np.ndarray) -> "EventLists":
        """Return these samples, in this order."""
        first, end = self.offsets[:-1][samples], self.offsets[1:][samples]
        at = np.concatenate([np.arange(a, b) for a, b in zip(first, end, strict=True)])
        at = at if at.size else np.zeros(1, int)  # columns are never empty
        offsets = np.concatenate([[0], np.cumsum(end - first)]).astype(np.int32)
        limit = min(self.limit, max(1, int((end - first).max())))
        return replace(self, times=self.times[at], units=self.units[at], offsets=offsets, limit=limit)

    def image(self, index: int) -> Int[np.ndarray, "rows width"]:
        """Count the events of sample `index` within the limit per pixel, one polarity below the other."""
        units = self[index][1]
        polarities, height, width = self.sensor
        counts = np.bincount(units[units >= 0], minlength=polarities * height * width)
        return counts.reshape(polarities * height, width)

    def structured(self) -> Shaped[np.ndarray, " events"]:
        """Return all events as an array of type `EVENT`."""
        events = np.empty(len(self.times), EVENT)
        events["t"] = self.times
        events["p"], events["y"], events["x"] = np.unravel_index(self.units, self.sensor)
        return events

    def __repr__(self) -> str:
        dropped = f", {self.dropped:,} of them beyond the limit of {self.limit:,} a sample" if self.dropped else ""
        events = f"{len(self):,} samples, {len(self.times):,} events{dropped}"
        return f"EventLists({events}, sensor {self.sensor}, 0..{int(self.times.max()) / 1000.0} ms)"


def compact(sample, sensor: tuple[int, int, int]) -> Shaped[np.ndarray, " events"]:
    """Return one sample's events as `EVENT`; they are checked first, because its narrow fields would wrap around.

    Args:
        sample: a structured array with the fields t, x, y and p, or tuples `(t, x, y, p)`; may be empty.
        sensor: (polarities, height, width).

    Raises:
        ArgumentError: as `EventLists.of`, except that their order is not checked.
    """
    try:
        events = np.asarray(sample)
        if events.dtype.names is None:
            columns = events.reshape(-1, len(FIELDS)) if events.size == 0 else events
            t, x, y, p = columns.T
            events = _structured(t=t, x=x, y=y, p=p)
    except (TypeError, ValueError):
        raise ArgumentError("events: must be tuples (t, x, y, p), or an array with these fields") from None
    found = np.empty(len(events), EVENT)
    if len(events):
        _columns(events, _sensor(sensor))
        for name in FIELDS:
            found[name] = events[name]
    return found


def in_order(events: Shaped[np.ndarray, " events"], *, channels: bool) -> Shaped[np.ndarray, " events"]:
    """Sort the events of one sample by time, those of one time stay in their order.

    Args:
        events: with the fields t, x, y and p.
        channels: the sensor has a single row: only t and x are read, as a channel is a pixel with the only polarity.

    Example:
        >>> events = np.array([(30, 1), (20, 5)], [("t", int), ("x", int)])
        >>> in_order(events, channels=True).tolist()
        [(20, 5, 0, 0), (30, 1, 0, 0)]
    """
    wide = np.zeros(len(events), [(field, np.int64) for field in FIELDS])
    for field in ("t", "x") if channels else FIELDS:
        wide[field] = events[field]
    return wide[np.argsort(wide["t"], kind="stable")]


def _structured(**columns: np.ndarray) -> np.ndarray:
    """Join columns of equal length into one structured array; their types stay as they are."""
    rows = np.empty(len(columns["t"]), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        rows[name] = column
    return rows


def _sensor(sensor) -> tuple[int, int, int]:
    sizes = tuple(np.asarray(sensor).ravel().tolist())
    good = len(sizes) == 3 and all(isinstance(size, int) and size >= 1 for size in sizes)
    if not good or sizes[0] > 256 or max(sizes) > 2**16 or sizes[0] * sizes[1] * sizes[2] > MAX_UNITS:
        raise ArgumentError(
            "sensor: must be (polarities, height, width), integers >= 1; at most 256 polarities, 65536 rows, columns "
            f"and {MAX_UNITS:,} units in all, got {sizes[:9]}"
        )
    return sizes


def _columns(events: np.ndarray, sensor: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return times and units; raise if a field is missing, has another type, or is out of range."""
    if events.ndim != 1 or not set(FIELDS) <= set(events.dtype.names or ()):
        raise ArgumentError(f"events: must be an array with the fields t, x, y and p, got {events.dtype}{events.shape}")
    if not 1 <= len(events) <= MAX_EVENTS:
        raise ArgumentError(f"events: must be 1..{MAX_EVENTS:,} in all samples together, got {len(events):,}")
    for name, end in zip("tpyx", (MAX_TIME + 1, *sensor), strict=True):
        values = events[name]
        if values.dtype.kind not in "iub":
            raise ArgumentError(f"events: {name} must be integers, got {values.dtype}")
        if values.min() < 0 or values.max() >= end:
            unit = " us" if name == "t" else f" (sensor {sensor})"
            raise ArgumentError(f"events: {name} must be in 0..{end - 1}{unit}, got {values.min()}..{values.max()}")
    narrow = np.uint16 if np.prod(sensor) <= 2**16 else np.int32
    p, y, x = (events[name].astype(np.int32) for name in "pyx")
    return events["t"].astype(np.int32), ((p * sensor[1] + y) * sensor[2] + x).astype(narrow)


def _offsets(offsets: np.ndarray, events: int) -> np.ndarray:
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) < 2:
        raise ArgumentError(f"offsets: must be two or more integers, got {offsets.dtype}{offsets.shape}")
    inside = offsets.min() == offsets[0] == 0 and offsets.max() == offsets[-1] == events
    if not inside or (offsets[1:] < offsets[:-1]).any():
        raise ArgumentError(f"offsets: must increase from 0 to the number of events, {events}")
    return offsets.astype(np.int32)
