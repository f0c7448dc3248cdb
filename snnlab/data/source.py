"""`Source`: data that come batch by batch, from a function, a loader or a disk, and are never in memory as a whole."""

import dataclasses
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from snnlab.data.dataset import MORE, PARTS, Dataset, Part, checked
from snnlab.data.eventlists import EventLists, in_order
from snnlab.data.providers import Samples, fields, place_of, plain, put_at, understood
from snnlab.data.targets import KINDS, MAX_CLASSES, Targets
from snnlab.errors import ArgumentError, DataError
from snnlab.support import arguments
from snnlab.support.numbers import count

MOST_BATCHES = 100_000  # of an epoch that are counted; with `batches=` there may be more
HEAD_SAMPLES = 1_000
HEAD_BYTES = 16e6  # of a part
ARRAYS = ("x", "y", *MORE)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Source:
    """Data that come batch by batch.

    Each part may be one of these; none is kept in memory, and the packages are yours, snnlab imports none of them.

    - A function that returns an iterable of batches, such as a generator function: `lambda: batches(x, y)`. It is
      called for every epoch. If it has an argument `epoch`, it is given its number, from 1; with `seed`, the seed of
      the run. Test and validation functions get epoch 1 and seed 0. If the batches depend on nothing else, the run can
      be rewound and resumed anywhere.
    - An iterable that begins anew when it is iterated: a list of batches, a PyTorch `DataLoader`, a `tf.data.Dataset`
      (or `tfds.as_numpy` of it), a loader or an `IterDataset` of Grain. Iterators of Grain can be put to a place, so a
      run continues there in the middle of an epoch; other loaders are read again up to it.
    - A data set of samples: `len(data)` and `data[k]`, which returns `(x, y)`, as those of PyTorch, tonic and Grain
      (`MapDataset`) do. Batches are put together here; training samples are shuffled as in a `Dataset`. Any position of
      the run is found at once.
    - A pair of arrays `(x, y)`, also from `numpy.load(..., mmap_mode="r")`: the same, of any size.

    A batch, or a sample, is `(x, y)` or `(x, y, more)`, where `more` is a dict with "mask", "lengths" or "weights"; or
    a dict with "x" and "y", or "image" and "label". Arrays may be those of NumPy, JAX, PyTorch or TensorFlow. What `x`
    and `y` may be is told in `Dataset`; whole numbers as floats are understood as labels, too. Recordings of events
    are structured arrays with the fields t, x, y and p, one for each sample; they stay events.

    All batches of a part have the same shape; only the last one of an epoch may be smaller. In the training part, this
    costs the compilation of a second program. Metrics of an epoch of training are means over its steps.

    Args:
        train: what is trained with.
        test: what is tested with.
        val: what is looked at while the network learns; default: the test part.
        name: shown to users, and kept with trained networks.
        task: what the targets are, see `Dataset`.
        classes: the names of the classes, or their number. Default: up to the highest label among the batches that are
            read at the start. A higher label stops the run.
        batches: in an epoch of the training part, or of several parts by name, `{"train": 500, "test": 50}`. What comes
            after them is left. Default: the length of what was passed; if it has none, its batches are counted in one
            pass at the start, at most 100,000.
        sensor: (polarities, height, width), for recordings of events. Default: what the data set says of itself
            (`sensor_size`, as in tonic).
        events: of a recording that are read at most, the first ones. Default: as many as the longest recording among
            the first 1,000 samples has, rounded up to a power of two; a longer one stops the run.

    Raises:
        ArgumentError: if an argument is not what is told above.

    Example:
        >>> def batches(epoch):
        ...     rng = np.random.default_rng(epoch)
        ...     for _ in range(3):
        ...         y = rng.integers(0, 2, 8)
        ...         yield 255 * y[:, None] * np.ones((1, 4), int), y
        >>> source = Source(train=batches, test=batches)
        >>> source
        Source('stream': train a function, test a function)
        >>> opened = source.open()
        >>> opened.head
        Head('stream': the first 24 train, 24 test, samples (4,) uint8, 2 classes)
        >>> opened.streams["train"].batches, opened.batch_size
        (3, 8)
    """

    train: Any
    test: Any
    val: Any = None
    name: str = "stream"
    task: str = "label"
    classes: int | Sequence[str] | None = None
    batches: int | Mapping[str, int] | None = None
    sensor: tuple[int, int, int] | None = None
    events: int | None = None

    def __post_init__(self):
        arguments.name("name", self.name)
        kind = KINDS[arguments.choice("task", self.task, KINDS)]
        if self.classes is not None:
            if not kind.classes:
                raise ArgumentError(f"classes: there are none with task={self.task!r}; leave it out")
            if not isinstance(self.classes, list | tuple):
                arguments.count("classes", self.classes, 1, MAX_CLASSES)
        if self.events is not None:
            arguments.count("events", self.events)
        for part, number in self._batches.items():
            arguments.choice("batches: a part", part, self.parts)
            arguments.count("batches", number)
        if self.test is None:
            raise ArgumentError("test: a run needs samples that it does not learn from; pass test=, as you pass train")
        object.__setattr__(self, "_streams", {})
        for part in self.parts:
            self._understood(part, 1)

    def __reduce__(self):
        """For `pickle`: what was read at the start is read again."""
        return _again, ({field.name: getattr(self, field.name) for field in dataclasses.fields(self)},)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that there are: "train", "val" if there is one, and "test"."""
        return tuple(part for part in PARTS if getattr(self, part) is not None)

    @property
    def _batches(self) -> dict[str, int]:
        given = self.batches
        return {} if given is None else dict(given) if isinstance(given, Mapping) else {"train": given}

    def __repr__(self) -> str:
        words = {"train": "train", "val": "validation", "test": "test"}
        parts = ", ".join(f"{words[part]} {self._understood(part, 1).what}" for part in self.parts)
        return f"Source({self.name!r}: {parts})"

    def _understood(self, part: str, batch_size: int):
        order = "shuffled" if part == "train" else "as they are"
        return understood(part, getattr(self, part), batch_size, order=order, task=self.task)

    def open(self, batch_size: int | None = None, seed: int = 0) -> "Opened":
        """Look at the first batches of every part, and count them where that is needed.

        Args:
            batch_size: of batches that are put together here; default 128. Batches that come as they are have a size.
            seed: of the run.

        Raises:
            ArgumentError: if what is read is not what is told above, or the batches have another size.
            DataError: if it cannot be read.
        """
        train = self._stream("train", batch_size or 128, seed)
        if batch_size not in (None, train.size):
            raise ArgumentError(
                f"batch_size: the batches of the source have {count(train.size, 'sample')}, got {batch_size}; leave it "
                "out"
            )
        streams = {part: self._stream(part, train.size, 0) for part in self.parts if part != "train"}
        streams = {part: {"train": train, **streams}[part] for part in self.parts}
        for part, stream in streams.items():
            stream.check_alike(train, part)
        return Opened(self, streams)

    def _stream(self, part: str, batch_size: int, seed: int) -> "Stream":
        """Return the stream of a part; whatever was counted once is not counted again."""
        provider, kept = self._understood(part, batch_size), getattr(self, "_streams")  # noqa: B009
        key = (part, batch_size if isinstance(provider, Samples) else None)
        if key not in kept:
            kept[key] = Stream(part, provider, self, seed)
        return kept[key]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, if they were given."""
        if self.classes is None or isinstance(self.classes, list | tuple):
            return None if self.classes is None else tuple(map(str, self.classes))
        return tuple(map(str, range(int(self.classes))))  # pyright: ignore[reportArgumentType] (a number, see above)


def _again(values: dict[str, Any]) -> Source:
    return Source(**values)


class Head(Dataset):
    """The first samples of a source, for all that looks at single samples. Results are those of the whole source."""

    def __repr__(self) -> str:
        return super().__repr__().replace("Dataset(", "Head(", 1).replace(": ", ": the first ", 1)


class Opened:
    """A source whose first batches have been read.

    Attributes:
        source: of the batches.
        streams: its parts by name.
        head: the first samples of every part, at most 1,000.
        batch_size: samples in a training batch.
    """

    def __init__(self, source: Source, streams: Mapping[str, "Stream"]):
        self.source, self.streams = source, dict(streams)
        self.batch_size = streams["train"].size
        arrays = {
            f"{name}_{part}": a for part, stream in streams.items() for name, a in stream.head(self.limit).items()
        }
        self.head = Head(name=source.name, task=source.task, class_names=self._class_names() or (), **arrays)
        for stream in streams.values():
            stream.classes, stream.limit = self.head.num_classes, self.limit

    def _class_names(self) -> tuple[str, ...] | None:
        """Names of the classes; of labels, up to the highest that was read."""
        given, task = self.source.class_names, self.source.task
        if given is not None or task not in ("label", "step_labels"):
            return given
        highest = max(stream.highest for stream in self.streams.values())
        return tuple(map(str, range(highest + 1))) if highest < MAX_CLASSES else None

    @property
    def limit(self) -> int:
        """Number of events of a recording that are read."""
        longest = max(stream.longest for stream in self.streams.values())
        return self.source.events or 1 << max(0, int(longest) - 1).bit_length()


class Place(NamedTuple):
    """Where the iterator of a provider stood.

    Attributes:
        number: position in the epoch of the batch that came next.
        state: what `place_of` returned.
    """

    number: int
    state: str


class Read(NamedTuple):
    """One batch that was read.

    Attributes:
        number: its position in the epoch.
        batch: its samples and targets.
        before: where the iterator stood before it, if it can say that.
    """

    number: int
    batch: Part
    before: Place | None


class Stream:
    """One part of a source, as batches that are checked.

    Args:
        part: its name.
        provider: what gives the batches.
        source: of the batches.
        seed: of the run.

    Attributes:
        exact: an epoch can be read from any batch on.
        batches: number of batches in an epoch.
        size: samples in a batch.
        last: samples in the last batch of an epoch, or None if that is not known.
        highest: label that was read at the start.
        longest: number of events in a recording that was read at the start.
        classes: number of classes; labels must be below it.
        limit: number of events of a recording that are read.
    """

    def __init__(self, part: str, provider, source: Source, seed: int):
        self._part, self._provider, self._source = part, provider, source
        self.exact = provider.exact
        self.size, self.highest, self.longest, self.classes, self.limit = 0, 0, 0, 0, 1
        self.last: int | None = None
        self._given = source._batches.get(part)
        self._first: dict[str, Any] = {}
        self._head: list[dict[str, Any]] = []
        self.batches = self._begin(seed)

    # ---- the start ----

    def _begin(self, seed: int) -> int:
        """Read the head, and all batches if nobody says how many there are. Return their number."""
        known = self._given or self._provider.batches
        progress, samples, size, number = _Progress(self._part), 0, 0.0, 0
        for number, (found, _) in enumerate(self._found(seed, 1, 0), 1):
            if number > MOST_BATCHES:
                raise ArgumentError(
                    f"{self._part}: has more than {MOST_BATCHES:,} batches; if it has an end, say how many there are "
                    "with Source(..., batches=)"
                )
            if self.last is not None:
                raise ArgumentError(self._too_small(number - 1, 1, self.last))
            self._note(number, found)
            if samples < HEAD_SAMPLES and size < HEAD_BYTES:
                self._head.append(_owned(found))
                samples, size = samples + len(found["y"]), size + sum(_bytes(a) for a in found.values())
            if number == known:
                break
            if known is not None and (samples >= HEAD_SAMPLES or size >= HEAD_BYTES):
                progress.end()
                self.last = self.size if isinstance(self._provider, Samples) and self._part == "train" else None
                return known
            progress.tell(number)
        progress.end()
        if number == 0:
            raise ArgumentError(f"{self._part}: is empty: there is no batch in it")
        if known is not None and number < known:
            raise ArgumentError(self._ended(number, 1, known))
        self.last = self.last or self.size
        return number

    def _note(self, number: int, found: dict[str, Any]) -> None:
        """Remember what a batch of the start is like."""
        if number == 1:
            self.size, self._first = len(found["y"]), _owned(found)
        elif len(found["y"]) < self.size:
            self.last = len(found["y"])
        self._compare(found, self._where(number, 1))
        if self._source.task in ("label", "step_labels"):
            self.highest = max(self.highest, int(found["y"].max()))
        if isinstance(found["x"], EventLists):
            self.longest = max(self.longest, int(np.diff(found["x"].offsets).max()))

    @property
    def first(self) -> Part:
        """The first batch that was read at the start."""
        return self._made(self._first)

    @cached_property
    def crc(self) -> int | None:
        """CRC-32 of the first batch with the seed 0; None if it is another one every time, as with a random order.

        Where the unit of the targets is taken from the first samples, other samples are other data in any case.
        """
        one, two = (crc_of(next(self.read(0, 1))[1]) for _ in range(2))
        return one if one == two or self._source.task in ("values", "traces") else None

    def check_alike(self, train: "Stream", part: str) -> None:
        """Check that a part has samples like those that are trained with.

        Raises:
            ArgumentError: if it has not.
        """
        for name in ("x", "y"):
            own, other = self._first[name], train._first[name]
            if (own.shape[1:], own.dtype) != (other.shape[1:], other.dtype):
                raise ArgumentError(
                    f"{part}: {name} of a sample is {own.dtype}{own.shape[1:]}, in train {other.dtype}{other.shape[1:]}"
                )

    def head(self, limit: int) -> dict[str, Any]:
        """Return the first samples, by the names that `Dataset` has for its arrays."""
        found: dict[str, Any] = {}
        for name in ARRAYS:
            arrays = [batch[name] for batch in self._head]
            if isinstance(arrays[0], EventLists):
                found[name] = replace(_joined(arrays).head(min(HEAD_SAMPLES, sum(map(len, arrays)))), limit=limit)
            else:
                found[name] = None if arrays[0] is None else np.concatenate(arrays)[:HEAD_SAMPLES]
        return found

    # ---- reading ----

    def read(self, seed: int, epoch: int, start: int = 0) -> Iterator[tuple[int, Part]]:
        """Yield the batches of an epoch with their positions, from `start` on; from the first if this is not exact.

        Raises:
            DataError: if a batch cannot be read, is not like the first one, or there are fewer or more than before.
        """
        return ((number, batch) for number, batch, _ in self.readings(seed, epoch, start))

    def readings(self, seed: int, epoch: int, start: int = 0, place: Place | None = None) -> Iterator[Read]:
        """Yield the same, each with where the iterator stood; from a place on, if an iterator can be put there.

        Raises:
            DataError: as `read`.
        """
        epoch_of_part, seed = (epoch, seed) if self._part == "train" else (1, 0)
        raws = None if place is None or self.exact else self._put_at(place, seed, epoch_of_part)
        if not self.exact:
            start = 0 if raws is None or place is None else place.number
        found = self._found(seed, epoch_of_part, start, raws)
        for number in range(start + 1, self.batches + 1):
            where = self._where(number, epoch)
            try:
                batch, before = next(found, (None, None))
                if batch is None:
                    raise DataError(self._ended(number - 1, epoch, self.batches))
                self._compare(batch, where)
                if len(batch["y"]) < self.size and number < self.batches:
                    raise DataError(self._too_small(number, epoch, len(batch["y"])))
                self._check_range(batch, where)
            except ArgumentError as error:
                raise DataError(str(error)) from error
            made = self._made(batch)
            if number == self.batches and self._given is None and not self.exact and next(found, None) is not None:
                raise DataError(
                    f"{self._part}: epoch {epoch} has more than the {count(self.batches, 'batch', 'batches')} of the "
                    "start; Source(..., batches=) says how many an epoch takes"
                )
            yield Read(number - 1, made, before)

    def _put_at(self, place: Place, seed: int, epoch: int) -> Iterator | None:
        """Return what the provider iterates with, put to a place; None if that cannot be done."""
        try:
            raws = self._provider.read(seed, epoch, 0)
            put_at(raws, place.state)
        except Exception:  # of other libraries, in whatever form
            return None
        return raws

    def _found(
        self, seed: int, epoch: int, start: int, raws: Iterator | None = None
    ) -> Iterator[tuple[dict[str, Any], Place | None]]:
        """Yield the checked arrays of the batches of an epoch, and where the iterator stood before each.

        Raises:
            DataError: if one cannot be read.
            ArgumentError: if one is not what it should be.
        """
        number = start
        while True:
            number += 1
            where = self._where(number, epoch)
            try:
                raws = self._provider.read(seed, epoch, start) if raws is None else raws
                state = place_of(raws)
                raw = next(raws)
            except StopIteration:
                return
            except ArgumentError:
                raise
            except Exception as error:  # of the user's code, in whatever form
                raise DataError(f"{where} cannot be read ({type(error).__name__}: {error})") from error
            yield self._checked(raw, where), None if state is None else Place(number - 1, state)

    def _where(self, number: int, epoch: int) -> str:
        return f"{self._part}: batch {number}" + (f" of epoch {epoch}" if self._part == "train" else "")

    def _checked(self, raw: Any, where: str) -> dict[str, Any]:
        """Return the arrays of a batch as they are kept. Samples are events, still as lists, or arrays."""
        given = fields(where, raw)
        unknown = given.keys() - {*ARRAYS}
        if unknown:
            raise ArgumentError(f"{where}: has {', '.join(map(str, unknown))}; it may have {', '.join(ARRAYS)}")
        more = {name: None if given.get(name) is None else plain(f"{where}: {name}", given[name]) for name in MORE}
        x, y = self._samples(where, given["x"]), self._targets(where, given["y"])
        found = checked({"x": x, "y": y, **more}, self._source.task, lambda name: f"{where}: {name}")
        masked = self._first["mask"] is not None if self._first else self._has_mask(found)
        if masked and found["mask"] is None:
            found["mask"] = np.ones(found["y"].shape[:2], bool)
        return found

    def _has_mask(self, found: dict[str, Any]) -> bool:
        """Whether the batches have a mask, which is told by the first one."""
        every_step = KINDS[self._source.task].every_step
        return found["mask"] is not None or (every_step and found["lengths"] is not None)

    def _samples(self, where: str, x: Any) -> Any:
        """Return samples as an array, a list of arrays, or lists of events."""
        if isinstance(x, EventLists):
            return x
        rows = list(x) if isinstance(x, list | tuple) or getattr(x, "dtype", None) == np.dtype(object) else None
        if not rows:
            return plain(f"{where}: x", x)
        rows = [plain(f"{where}: x", row) for row in rows]
        if rows[0].dtype.names is None:
            return rows if len({row.shape for row in rows}) > 1 else np.stack(rows)
        sensor = self._sensor()
        return EventLists.from_lists([_sorted(f"{where}: x", row, sensor) for row in rows], sensor=sensor)

    def _sensor(self) -> tuple[int, int, int]:
        given = self._source.sensor
        if given is None:
            size = getattr(
                getattr(self._source, self._part), "sensor_size", None
            )  # of tonic: width, height, polarities
            if size is None:
                raise ArgumentError(
                    "sensor: must be (polarities, height, width) for recordings of events; Source(..., sensor=)"
                )
            polarities, height, width = map(int, reversed(size))
            given = polarities, height, width
        return given

    def _targets(self, where: str, y: Any) -> np.ndarray:
        """Return targets as an array; labels may be whole numbers as floats."""
        array = plain(f"{where}: y", y)
        labels = self._source.task in ("label", "step_labels") and array.dtype.kind == "f"
        return array.astype(np.int64) if labels and (array == np.floor(array)).all() else array

    def _compare(self, found: dict[str, Any], where: str) -> None:
        """Raise an ArgumentError if a batch is not like the first one."""
        for name in ARRAYS:
            own, first = found[name], self._first[name]
            if (own is None) != (first is None):
                has, had = ("no", "had one") if own is None else ("a", "had none")
                raise ArgumentError(f"{where}: has {has} {name}, the first batch {had}; all batches must be alike")
            if own is None:
                continue
            if (own.shape[1:], own.dtype) != (first.shape[1:], first.dtype) or len(own) > self.size:
                raise ArgumentError(
                    f"{where}: {name} is {own.dtype}{own.shape}, that of the first batch {first.dtype}{first.shape}; "
                    "all batches must have one shape, only the last one of an epoch may have fewer samples"
                )

    def _check_range(self, found: dict[str, Any], where: str) -> None:
        """Raise an ArgumentError if a label or the length of a recording is beyond what the network was made for."""
        if self._source.task in ("label", "step_labels"):
            highest = int(found["y"].max())
            if highest >= self.classes:
                raise ArgumentError(
                    f"{where}: y: label {highest} is out of range 0..{self.classes - 1}; Source(..., classes=) says "
                    "how many classes there are"
                )
        if isinstance(found["x"], EventLists) and self._source.events is None:
            longest = int(np.diff(found["x"].offsets).max())
            if longest > self.limit:
                raise ArgumentError(
                    f"{where}: x: a recording has {longest:,} events, more than the {self.limit:,} that those of the "
                    "start need; Source(..., events=) says how many are read"
                )

    def _made(self, found: dict[str, Any]) -> Part:
        """Return a batch that owns its memory: a generator may write the next one into the same arrays."""
        x = found["x"]
        made = {**found, "x": replace(x, limit=self.limit)[:] if isinstance(x, EventLists) else x}
        if not isinstance(self._provider, Samples):
            made = _owned(made)
        return Part(made["x"], Targets(made["y"], *(made[name] for name in MORE)))

    def _ended(self, number: int, epoch: int, expected: int) -> str:
        of = f" of epoch {epoch}" if self._part == "train" else ""
        return (
            f"{self._part}: ended after batch {number}{of}, but an epoch has {count(expected, 'batch', 'batches')}; "
            "Source(..., batches=) says how many an epoch takes"
        )

    def _too_small(self, number: int, epoch: int, samples: int) -> str:
        return (
            f"{self._where(number, epoch)}: has {count(samples, 'sample')}, the first batch has {self.size}; only the "
            "last batch of an epoch may be smaller"
        )


def crc_of(batch: Part) -> int:
    """CRC-32 of a batch."""
    crc = 0
    for array in (batch.x, *batch.targets.arrays):
        if array is not None:
            crc = zlib.crc32(np.ascontiguousarray(array).data, zlib.crc32(f"{array.dtype} {array.shape}".encode(), crc))
    return crc


class _Progress:
    """Tells on the terminal how many batches were counted, if that takes long."""

    def __init__(self, part: str):
        self._part, self._due, self._told = part, time.monotonic() + 1.0, False

    def tell(self, number: int) -> None:
        if time.monotonic() >= self._due:
            print(f"\rsnnlab: counting the batches of {self._part}: {number:,}", end="", file=sys.stderr, flush=True)
            self._due, self._told = time.monotonic() + 1.0, True

    def end(self) -> None:
        if self._told:
            print(file=sys.stderr)


def _sorted(name: str, events: np.ndarray, sensor: tuple[int, int, int]) -> np.ndarray:
    """Sort a recording by time; of a sensor with one row, only t and x are read."""
    channels = tuple(sensor[:2]) == (1, 1)
    wanted = ("t", "x") if channels else ("t", "x", "y", "p")
    wrong = [field for field in wanted if events.dtype.names is None or field not in events.dtype.names]
    wrong += [field for field in wanted if not wrong and events[field].dtype.kind not in "iub"]
    if wrong:
        raise ArgumentError(
            f"{name}: the events must have the fields {', '.join(wanted)}, integers, t in microseconds; got "
            f"{events.dtype}"
        )
    return in_order(events, channels=channels)


def _joined(lists: Sequence[EventLists]) -> EventLists:
    """Put lists of events one after the other."""
    ends = np.cumsum([0, *(len(part.times) for part in lists)])
    offsets = [part.offsets[:-1] + start for part, start in zip(lists, ends[:-1], strict=True)]
    return replace(
        lists[0],
        times=np.concatenate([part.times for part in lists]),
        units=np.concatenate([part.units for part in lists]),
        offsets=np.concatenate([*offsets, ends[-1:]]).astype(np.int32),
        limit=max(part.limit for part in lists),
    )


def _owned(found: dict[str, Any]) -> dict[str, Any]:
    return {name: np.array(array) if isinstance(array, np.ndarray) else array for name, array in found.items()}


def _bytes(array: Any) -> int:
    if isinstance(array, EventLists):
        return array.times.nbytes + array.units.nbytes
    return 0 if array is None else array.nbytes
