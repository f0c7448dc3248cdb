"""`Dataset`: samples and their targets, to train and test with. Loaders return one; your own arrays become one."""

import math
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from snnlab.data.eventlists import EventLists
from snnlab.data.parts import in_proportion
from snnlab.data.targets import KINDS, MAX_CLASSES, Targets, lengths_of, mask_of, weights_of
from snnlab.errors import ArgumentError
from snnlab.support import arguments

PARTS = ("train", "val", "test")
MORE = ("mask", "lengths", "weights")  # arrays beside samples and targets that a part may have


class Part(NamedTuple):
    """One part of a data set: its samples, and their targets."""

    x: np.ndarray | EventLists
    targets: Targets


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Dataset:
    """Samples, and what a network shall say about them.

    A data set has a part to train with, one to test with and, if you want, one to validate with. Whatever you choose
    while you look at results (an epoch, a knob, a network) is chosen for the samples that you look at. So with a
    validation part, curves, early stopping and branches look at that, and the test part is seen only by `evaluate`.

    Targets, by `task`:

    - "label": one label a sample, `(samples,)`, integers from 0.
    - "step_labels": one label every step, `(samples, time)`; -1 where a step has none.
    - "several_labels": `(samples, classes)`, 1 for every class that a sample belongs to, else 0.
    - "values": numbers, `(samples, outputs)`, or `(samples,)` for one.
    - "traces": numbers at every step, `(samples, time, outputs)`, or `(samples, time)` for one.
    - "spike_trains": spikes that the readout shall fire, `(samples, time, outputs)` of 0 and 1.

    Args:
        name: shown to users, and kept with trained networks.
        x_train: samples `(samples, *sample_shape)`. Integers are pixels, kept as uint8; 0..255 stands for 0..1. True
            and False stand for 1 and 0. Real numbers are kept as float32. The sample shape of `EventLists` is the shape
            of the sensor. A list of arrays `(time, *frame)` of different lengths is padded with zeros at the end, and
            `lengths_train` is filled in.
        y_train: targets.
        x_test: as `x_train`, with the same sample shape and type.
        y_test: as `y_train`.
        class_names: one per class; default "0", "1", ... up to the highest label.
        task: what the targets are.
        x_val, y_val: the validation part; see also `hold_out`.
        mask_train, mask_val, mask_test: which steps are scored, `(samples, time)`, where there is a target every step.
        lengths_train, lengths_val, lengths_test: number of steps of every sample, whose first axis is time; nothing
            after the last step counts, neither output nor spikes.
        weights_train, weights_val, weights_test: of the samples in the loss, >= 0; not in metrics.
        timed: the first axis of a sample is time, of which a network reads one frame a step; so it is in any case where
            samples have lengths.
        understood: how a file was understood, in words, by what has read it.

    Raises:
        ArgumentError: if arrays do not match, are empty, contain NaN, or have labels out of range or of one class only.

    Example:
        >>> x, y = np.zeros((10, 4, 4), np.uint8), np.arange(10) % 2
        >>> Dataset(name="mine", x_train=x, y_train=y, x_test=x, y_test=y)
        Dataset('mine': 10 train, 10 test, samples (4, 4) uint8, 2 classes)
        >>> sizes = np.linspace(0.5, 2.5, 10)
        >>> Dataset(name="sizes", x_train=x, y_train=sizes, x_test=x, y_test=sizes, task="values")
        Dataset('sizes': 10 train, 10 test, samples (4, 4) uint8, 1 value)
    """

    name: str
    x_train: np.ndarray | EventLists
    y_train: np.ndarray
    x_test: np.ndarray | EventLists
    y_test: np.ndarray
    class_names: tuple[str, ...] = ()
    task: str = "label"
    x_val: np.ndarray | EventLists | None = None
    y_val: np.ndarray | None = None
    mask_train: np.ndarray | None = None
    mask_val: np.ndarray | None = None
    mask_test: np.ndarray | None = None
    lengths_train: np.ndarray | None = None
    lengths_val: np.ndarray | None = None
    lengths_test: np.ndarray | None = None
    weights_train: np.ndarray | None = None
    weights_val: np.ndarray | None = None
    weights_test: np.ndarray | None = None
    timed: bool = False
    understood: str = ""

    def __post_init__(self):
        kind = KINDS[arguments.choice("task", self.task, KINDS)]
        self._check_validation()
        for part in self.parts:
            self._set(self._checked(part))
        for part in self.parts[1:]:
            self._check_alike(part)
        lengthy = any(self._get("lengths", part) is not None for part in self.parts)
        self._set({"timed": arguments.flag("timed", self.timed) or lengthy})
        names = self.class_names
        if not kind.classes:
            if names:
                raise ArgumentError(f"class_names: there are no classes with task={self.task!r}; leave it out")
        else:
            self._set({"class_names": _class_names(names, self._highest(), self._labelled)})
            if self.num_classes == 1 and self.task != "several_labels":
                raise ArgumentError(
                    f"{self._labelled}: all labels are 0, but there must be two or more classes to tell apart"
                )

    def _set(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _get(self, name: str, part: str) -> Any:
        return getattr(self, f"{name}_{part}")

    def _check_validation(self) -> None:
        """Check that a validation part has samples and targets, or nothing at all."""
        given = [name for name in ("x", "y", *MORE) if self._get(name, "val") is not None]
        if given and not {"x", "y"} <= {*given}:
            lacking = "x_val" if "x" not in given else "y_val"
            raise ArgumentError(f"{lacking}: must be given with {given[0]}_val")

    def _checked(self, part: str) -> dict[str, Any]:
        """Check the arrays of a part; return them as they are kept."""
        given = {name: self._get(name, part) for name in ("x", "y", *MORE)}
        found = checked(given, self.task, lambda name: f"{name}_{part}")
        return {f"{name}_{part}": array for name, array in found.items()}

    def _check_alike(self, part: str) -> None:
        """Check that a part has samples and targets like those that are trained with."""
        x, y, own_x, own_y = self.x_train, self.y_train, self._get("x", part), self._get("y", part)
        if x.shape[1:] != own_x.shape[1:] or x.dtype != own_x.dtype:
            raise ArgumentError(
                f"x_{part}: its samples are {own_x.dtype}{own_x.shape[1:]}, those of x_train {x.dtype}{x.shape[1:]}"
            )
        if y.shape[1:] != own_y.shape[1:]:
            raise ArgumentError(f"y_{part}: a target has shape {own_y.shape[1:]}, one of y_train {y.shape[1:]}")

    @property
    def _labelled(self) -> str:
        return ", ".join(f"y_{part}" for part in self.parts)

    def _highest(self) -> int:
        """The highest label."""
        if self.task == "several_labels":
            return self.y_train.shape[1] - 1
        return int(max(self._get("y", part).max() for part in self.parts))

    # ---- parts ----

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that there are: "train", "val" if there is one, and "test"."""
        return tuple(part for part in PARTS if part != "val" or self.x_val is not None)

    @property
    def watched(self) -> str:
        """Name of the part that is looked at while a network learns: "val" if there is one, else "test"."""
        return "test" if self.x_val is None else "val"

    @property
    def seen(self) -> Part:
        """The part that is looked at while a network learns."""
        return self.part(self.watched)

    def part(self, name: str) -> Part:
        """Return a part by its name.

        Raises:
            ArgumentError: if there is no such part.
        """
        arguments.choice("part", name, self.parts)
        return Part(self._get("x", name), Targets(self._get("y", name), *(self._get(more, name) for more in MORE)))

    def hold_out(self, share: float = 0.1, *, seed: int = 0) -> "Dataset":
        """Split off a share of the training samples, drawn at random, as a validation part.

        Where a sample has one label, every class gives its share.

        Args:
            share: of the training samples, > 0 and < 1.
            seed: of the draw.

        Raises:
            ArgumentError: if there is a validation part already, or the share leaves a part without a sample.

        Example:
            >>> x, y = np.zeros((10, 4, 4), np.uint8), np.arange(10) % 2
            >>> Dataset(name="mine", x_train=x, y_train=y, x_test=x, y_test=y).hold_out(0.2)
            Dataset('mine': 8 train, 2 validation, 10 test, samples (4, 4) uint8, 2 classes)
        """
        if self.x_val is not None:
            raise ArgumentError("hold_out: this data set has a validation part already")
        share = arguments.number("share", share, 0.0, 1.0)
        samples = len(self.x_train)
        count = round(share * samples)
        if not 1 <= count < samples:
            raise ArgumentError(f"share: {share:g} of {samples} samples leaves a part without any")
        order = np.random.default_rng(arguments.seed("seed", seed)).permutation(samples)
        labels = self.y_train[order] if self.task == "label" else np.zeros(samples, int)
        taken = in_proportion(labels, count)
        chosen = {"train": np.sort(np.delete(order, taken)), "val": np.sort(order[taken])}
        return Dataset(**self._values(chosen, {"val": "train"}))

    def _values(
        self, chosen: Mapping[str, np.ndarray | slice], source: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The arguments that make this data set, with the chosen samples of its parts; one may come from another."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for part, index in chosen.items():
            origin = (source or {}).get(part, part)
            for name in ("x", "y", *MORE):
                array = self._get(name, origin)
                values[f"{name}_{part}"] = None if array is None else _taken(array, index)
        return values

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
        """CRC-32 of all samples and targets; it does not depend on the names."""
        crc = 0
        for part in (self.part(name) for name in self.parts):
            x = part.x
            arrays = (x.times, x.units, x.offsets) if isinstance(x, EventLists) else (x,)
            for array in (*arrays, *(array for array in part.targets.arrays if array is not None)):
                crc = zlib.crc32(f"{array.dtype} {array.shape}".encode(), crc)
                crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
        return crc

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 if the targets are no classes."""
        return len(self.class_names)

    @property
    def num_outputs(self) -> int:
        """Number of outputs that a network needs: one per class, or per value of a target."""
        return self.num_classes or self.y_train.shape[-1]

    def image(self, index: int) -> np.ndarray:
        """Return a sample of the part that is looked at as an image.

        Events are counted per pixel, one polarity below the other.
        """
        x = self.seen.x
        return x.image(index) if isinstance(x, EventLists) else x[index]

    def subset(
        self,
        *,
        train: int | None = None,
        test: int | None = None,
        val: int | None = None,
        events: int | None = None,
    ) -> "Dataset":
        """Return the first samples of each part, each with its first `events` events; None keeps all.

        If the first samples lack a class that would fit, as in data sorted by class, the first samples of every class
        are taken instead, in the proportions and the order of the whole part.

        Raises:
            ArgumentError: if there are fewer samples, or `events` is given for samples that are not events.
        """
        if val is not None and self.x_val is None:
            raise ArgumentError("val: there is no validation part; leave it out")
        chosen = {}
        for part, count in (("train", train), ("val", val), ("test", test)):
            if count is None:
                continue
            have = len(self._get("x", part))
            if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= have:
                raise ArgumentError(f"{part}: must be an integer in 1..{have}, got {count!r}")
            first = _first_of_every_class(self._get("y", part), count) if self.task == "label" else None
            chosen[part] = slice(count) if first is None else first
        values = self._values(chosen)
        if events is not None:
            if not self.has_events:
                raise ArgumentError(f"events: does not apply to {self.name!r}, which has no events; leave it out")
            arguments.count("events", events)
            values |= {f"x_{part}": values[f"x_{part}"].capped(events) for part in self.parts}
        return Dataset(**values)

    def __repr__(self) -> str:
        words = {"train": "train", "val": "validation", "test": "test"}
        counts = ", ".join(f"{len(self._get('x', part)):,} {words[part]}" for part in self.parts)
        samples = f"samples {self.sample_shape} {'events' if self.has_events else self.x_train.dtype}"
        return f"Dataset({self.name!r}: {counts}, {samples}, {self.targets_in_words}{self._dropped()})"

    @property
    def targets_in_words(self) -> str:
        """What the targets are, such as "10 classes"."""
        count = self.num_outputs
        what = {"values": "value", "traces": "trace", "spike_trains": "spike train"}.get(self.task)
        if what is not None:
            return f"{count} {what}{'' if count == 1 else 's'}"
        more = {"step_labels": " every step", "several_labels": ", several a sample"}.get(self.task, "")
        return f"{count} classes{more}"

    def _dropped(self) -> str:
        """Say how many events the limit leaves out, so that nobody has to look for it."""
        parts = [x for part in self.parts if isinstance(x := self._get("x", part), EventLists)]
        dropped, total = sum(part.dropped for part in parts), sum(len(part.times) for part in parts)
        limit = max((part.limit for part in parts), default=0)
        return f"; dropped {dropped:,} of {total:,} events, those after {limit:,} of a sample" if dropped else ""


def checked(given: Mapping[str, Any], task: str, called: Callable[[str], str]) -> dict[str, Any]:
    """Check samples, their targets and what is beside them.

    Args:
        given: "x" and "y"; and "mask", "lengths" and "weights", None where there are none.
        task: what the targets are, see `Dataset`.
        called: how errors call an array, by its name here.

    Returns:
        The arrays as they are kept, by the same names.

    Raises:
        ArgumentError: see `Dataset`.
    """
    kind = KINDS[task]
    x, lengths = padded(called("x"), given["x"])
    if lengths is None:
        lengths = given["lengths"]
    elif given["lengths"] is not None:
        raise ArgumentError(f"{called('lengths')}: the arrays in {called('x')} have lengths of their own; leave it out")
    x = _samples(called("x"), x)
    y = kind.check(called("y"), given["y"])
    if len(x) != len(y):
        what = "labels" if kind.classes and not kind.every_step else "targets"
        raise ArgumentError(f"{called('y')}: has {len(y)} {what}, {called('x')} has {len(x)} samples")
    weights = given["weights"]
    return {
        "x": x,
        "y": y,
        "lengths": None if lengths is None else _lengths(lengths, x, y if kind.every_step else None, called),
        "mask": _mask(given["mask"], task, y, lengths, called),
        "weights": None if weights is None else weights_of(called("weights"), weights, len(x)),
    }


def _mask(given, task: str, y: np.ndarray, lengths, called: Callable[[str], str]) -> np.ndarray | None:
    """Return which steps are scored: not masked, labelled, and before the end of the sample. None for all."""
    if not KINDS[task].every_step:
        if given is not None:
            raise ArgumentError(f"{called('mask')}: does nothing with task={task!r}; leave it out")
        return None
    mask = np.ones(y.shape[:2], bool) if given is None else mask_of(called("mask"), given, y)
    if task == "step_labels":
        mask &= y >= 0
    if lengths is not None:
        mask &= np.arange(y.shape[1]) < np.asarray(lengths)[:, None]
    if not mask.any():
        raise ArgumentError(f"{called('mask')}: with it, no step of any sample has a target that is scored")
    return None if mask.all() else mask


def _taken(array: np.ndarray | EventLists, index: np.ndarray | slice) -> np.ndarray | EventLists:
    if isinstance(array, EventLists):
        return array.head(index.stop) if isinstance(index, slice) else array.take(index)
    return array[index]


def padded(name: str, values) -> tuple[Any, np.ndarray | None]:
    """Pad a list of arrays of different lengths with zeros; return them as one array, and their lengths."""
    if not isinstance(values, list | tuple) or not values:
        return values, None
    shapes: set[tuple[int, ...]] = {value.shape for value in values if isinstance(value, np.ndarray)}
    if len(shapes) < 2 or not all(isinstance(value, np.ndarray) for value in values):
        return values, None
    if len({(len(shape), *shape[1:]) for shape in shapes}) > 1 or () in shapes:
        some = ", ".join(map(str, sorted(shapes)[:3]))
        raise ArgumentError(f"{name}: its arrays must be (time, *frame) with the same frame, got shapes {some}")
    lengths = np.array([len(value) for value in values], np.int32)
    whole = np.zeros((len(values), lengths.max(), *np.shape(values[0])[1:]), np.result_type(*values))
    for row, value in zip(whole, values, strict=True):
        row[: len(value)] = value
    return whole, lengths


def _lengths(lengths, x: np.ndarray | EventLists, y: np.ndarray | None, called: Callable[[str], str]) -> np.ndarray:
    name = called("lengths")
    if isinstance(x, EventLists) or x.ndim < 3:
        raise ArgumentError(f"{name}: samples with lengths must be (time, *frame), those of {called('x')} are not")
    if y is not None and y.shape[1] != x.shape[1]:
        raise ArgumentError(f"{called('y')}: has targets for {y.shape[1]} steps, the samples have {x.shape[1]}")
    return lengths_of(name, lengths, len(x), x.shape[1])


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


def _class_names(given, highest: int, labelled: str) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ArgumentError(f"class_names: must be a sequence with one name per class, got {given!r}")
    names = tuple(map(str, given))
    if not names:
        if highest >= MAX_CLASSES:
            raise ArgumentError(
                f"{labelled}: label {highest} means more than {MAX_CLASSES} classes; number those of all "
                f"parts together from 0, with numpy.unique(labels, return_inverse=True)[1]"
            )
        return tuple(map(str, range(highest + 1)))
    if highest >= len(names):
        raise ArgumentError(f"{labelled}: label {highest} is out of range 0..{len(names) - 1} (class_names)")
    return names
