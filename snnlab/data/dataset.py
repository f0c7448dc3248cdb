"""`Dataset`: labelled samples for training and testing. Every loader returns one; your own arrays become one."""

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import numpy as np

from snnlab.data.eventlists import EventLists
from snnlab.errors import ArgumentError
from snnlab.support import arguments

MAX_CLASSES = 100_000


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Dataset:
    """A data set for classification.

    Args:
        name: shown to users, and kept with trained networks.
        x_train: samples `(samples, *sample_shape)`. Integers are pixels, kept as uint8; 0..255 stands for 0..1. True
            and False stand for 1 and 0. Real numbers are kept as float32. The sample shape of `EventLists` is the shape
            of the sensor.
        y_train: labels `(samples,)` or `(samples, 1)`, integers from 0.
        x_test: as `x_train`, with the same sample shape and type.
        y_test: as `y_train`.
        class_names: one per class; default "0", "1", ... up to the highest label.

    Raises:
        ArgumentError: if arrays do not match, are empty, contain NaN, or have labels out of range or of one class only.

    Example:
        >>> x, y = np.zeros((10, 4, 4), np.uint8), np.arange(10) % 2
        >>> Dataset(name="mine", x_train=x, y_train=y, x_test=x, y_test=y)
        Dataset('mine': 10 train, 10 test, samples (4, 4) uint8, 2 classes)
    """

    name: str
    x_train: np.ndarray | EventLists
    y_train: np.ndarray
    x_test: np.ndarray | EventLists
    y_test: np.ndarray
    class_names: tuple[str, ...] = ()

    def __post_init__(self):
        for part in ("train", "test"):
            x = _samples(f"x_{part}", getattr(self, f"x_{part}"))
            y = _labels(f"y_{part}", getattr(self, f"y_{part}"))
            if len(x) != len(y):
                raise ArgumentError(f"y_{part}: has {len(y)} labels, x_{part} has {len(x)} samples")
            object.__setattr__(self, f"x_{part}", x)
            object.__setattr__(self, f"y_{part}", y)
        if self.x_train.shape[1:] != self.x_test.shape[1:] or self.x_train.dtype != self.x_test.dtype:
            raise ArgumentError(
                f"x_test: its samples are {self.x_test.dtype}{self.x_test.shape[1:]}, "
                f"those of x_train {self.x_train.dtype}{self.x_train.shape[1:]}"
            )
        highest = int(max(self.y_train.max(), self.y_test.max()))
        object.__setattr__(self, "class_names", _class_names(self.class_names, highest))
        if self.num_classes == 1:
            raise ArgumentError(
                "y_train, y_test: all labels are 0, but there must be two or more classes to tell apart"
            )

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.x_train.shape[1:]

    @property
    def num_features(self) -> int:
        """Number of values in one sample, or of units of the event sensor."""
        return math.prod(self.sample_shape)

    @property
    def has_events(self) -> bool:
        """Whether the samples are lists of events."""
        return isinstance(self.x_train, EventLists)

    @cached_property
    def crc(self) -> int:
        """CRC-32 of all samples and labels; it does not depend on the names."""
        crc = 0
        for x, y in ((self.x_train, self.y_train), (self.x_test, self.y_test)):
            arrays = (x.times, x.units, x.offsets) if isinstance(x, EventLists) else (x,)
            for array in (*arrays, y):
                crc = zlib.crc32(f"{array.dtype} {array.shape}".encode(), crc)
                crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
        return crc

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def image(self, index: int) -> np.ndarray:
        """Return test sample `index` as an image; events are counted per pixel, one polarity below the other."""
        return self.x_test.image(index) if isinstance(self.x_test, EventLists) else self.x_test[index]

    def subset(self, *, train: int | None = None, test: int | None = None, events: int | None = None) -> "Dataset":
        """Return the first `train` and `test` samples, each with its first `events` events; None keeps all.

        If the first samples lack a class that would fit, as in data sorted by class, the first samples of every class
        are taken instead, in the proportions and the order of the whole part.

        Raises:
            ArgumentError: if there are fewer samples, or `events` is given for samples that are not events.
        """
        kept = {}
        for part, count in (("train", train), ("test", test)):
            have = len(getattr(self, f"x_{part}"))
            count = have if count is None else count
            if not isinstance(count, Integral) or not 1 <= count <= have:
                raise ArgumentError(f"{part}: must be an integer in 1..{have}, got {count!r}")
            x, y = (getattr(self, f"{axis}_{part}") for axis in "xy")
            chosen = _first_of_every_class(y, count)
            if chosen is None:
                x, y = x.head(count) if isinstance(x, EventLists) else x[:count], y[:count]
            else:
                x, y = x.take(chosen) if isinstance(x, EventLists) else x[chosen], y[chosen]
            kept |= {f"x_{part}": x, f"y_{part}": y}
        if events is not None:
            if not self.has_events:
                raise ArgumentError(f"events: does not apply to {self.name!r}, which has no events; leave it out")
            arguments.count("events", events)
            kept |= {part: kept[part].capped(events) for part in ("x_train", "x_test")}
        return Dataset(name=self.name, class_names=self.class_names, **kept)

    def __repr__(self) -> str:
        counts = f"{len(self.x_train):,} train, {len(self.x_test):,} test"
        samples = f"samples {self.sample_shape} {'events' if self.has_events else self.x_train.dtype}"
        return f"Dataset({self.name!r}: {counts}, {samples}, {self.num_classes} classes{self._dropped()})"

    def _dropped(self) -> str:
        """Say how many events the limit leaves out, so that nobody has to look for it."""
        parts = [part for part in (self.x_train, self.x_test) if isinstance(part, EventLists)]
        dropped, total = sum(part.dropped for part in parts), sum(len(part.times) for part in parts)
        limit = max((part.limit for part in parts), default=0)
        return f"; dropped {dropped:,} of {total:,} events, those after {limit:,} of a sample" if dropped else ""


def _first_of_every_class(labels: np.ndarray, count: int) -> np.ndarray | None:
    """Return which `count` samples hold every class, in proportion; None if the first do, or if there are too few."""
    classes, sizes = np.unique(labels, return_counts=True)
    if count < len(classes) or len(np.unique(labels[:count])) == len(classes):
        return None
    exact = sizes * count / len(labels)
    wanted = np.ones(len(classes), int)
    for _ in range(count - len(classes)):  # one more of the class that lacks most
        wanted[np.argmax(exact - wanted)] += 1
    first = [np.flatnonzero(labels == label)[:size] for label, size in zip(classes, wanted, strict=True)]
    return np.sort(np.concatenate(first))


def _samples(name: str, values) -> np.ndarray | EventLists:
    if isinstance(values, EventLists):
        return values
    array = arguments.array(name, values)
    if array.ndim < 2:
        raise ArgumentError(f"{name}: must be (samples, *sample_shape), got shape {array.shape}")
    if array.size == 0:
        raise ArgumentError(f"{name}: is empty, shape {array.shape}")
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(array.dtype, np.integer):
        if array.min() < 0 or array.max() > 255:
            raise ArgumentError(
                f"{name}: integers must be pixels in 0..255, got {array.min()}..{array.max()}; "
                f"if they are not pixels, use .astype(numpy.float32)"
            )
        return array.astype(np.uint8, copy=False)
    if not np.issubdtype(array.dtype, np.floating):
        raise ArgumentError(f"{name}: must be integers or real numbers, got {array.dtype}")
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused below
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        bad = np.count_nonzero(~np.isfinite(array))
        raise ArgumentError(f"{name}: has {bad} values that are NaN, infinite or too large for float32")
    return array


def _labels(name: str, values) -> np.ndarray:
    array = arguments.array(name, values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        one_hot = array.ndim == 2 and array.dtype.kind in "biuf" and ((array != 0).sum(1) == 1).all()
        hint = "; these are one-hot, use .argmax(1)" if one_hot else "; a sample has one label"
        raise ArgumentError(f"{name}: must be (samples,), got shape {array.shape}{hint}")
    if array.size == 0:
        raise ArgumentError(f"{name}: is empty")
    if not np.issubdtype(array.dtype, np.integer):
        raise ArgumentError(f"{name}: must be integers, got {array.dtype}{_label_hint(array)}")
    if array.min() < 0 or array.max() > np.iinfo(np.int32).max:
        raise ArgumentError(f"{name}: labels must be in 0..number of classes - 1, got {array.min()}..{array.max()}")
    return array.astype(np.int32)


def _label_hint(labels: np.ndarray) -> str:
    """Say how to make integers of labels, if that is clear."""
    if labels.dtype == bool or (labels.dtype.kind == "f" and (labels == np.floor(labels)).all()):
        return "; use .astype(int)"
    if labels.dtype.kind in "US":
        return "; number them with numpy.unique(labels, return_inverse=True)[1]"
    return ""


def _class_names(given, highest: int) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ArgumentError(f"class_names: must be a sequence with one name per class, got {given!r}")
    names = tuple(map(str, given))
    if not names:
        if highest >= MAX_CLASSES:
            raise ArgumentError(
                f"y_train, y_test: label {highest} means more than {MAX_CLASSES} classes; number those of both "
                f"parts together from 0, with numpy.unique(labels, return_inverse=True)[1]"
            )
        return tuple(map(str, range(highest + 1)))
    if highest >= len(names):
        raise ArgumentError(f"y_train, y_test: label {highest} is out of range 0..{len(names) - 1} (class_names)")
    return names
