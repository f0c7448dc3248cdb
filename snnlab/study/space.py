"""The values that a study tries: axes of a grid, the place of each cell in it, and the order of work. Loads no JAX."""

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnlab.errors import ArgumentError
from snnlab.study.cells import Axis
from snnlab.support import arguments

SEED = "seed"  # the axis of repetitions: it draws the weights, the order of the data, and codes that are random
COARSE = 4  # the map begins with every fourth value of each axis
MOST_CELLS = 100_000
DIGITS = 4  # of spaced values: they are read on axes and typed again
LONGEST_KEY = 120  # characters; file systems take 255 bytes

Index = tuple[int, ...]


class Spaced(tuple):
    """Evenly spaced values, which know whether they are so on a logarithmic scale; see `log` and `linear`.

    Attributes:
        log: whether ratios of neighbours are equal, and not their differences.
    """

    log: bool

    def __new__(cls, values: Iterable[float], *, log: bool):
        spaced = super().__new__(cls, values)
        spaced.log = log
        return spaced


def log(low: float, high: float, count: int) -> Spaced:
    """Return `count` values from `low` to `high` with equal ratios: `low (high/low)^(k/(count - 1))`.

    They are rounded to four digits, or as many as keep them apart.

    Raises:
        ArgumentError: if an end is not above 0, the ends are equal, or `count` is below 2.

    Example:
        >>> log(1, 100, 5)
        (1.0, 3.162, 10.0, 31.62, 100.0)
    """
    low, high = (arguments.number(name, value, 0.0, strict=True) for name, value in (("low", low), ("high", high)))
    return Spaced(_rounded(np.geomspace(low, high, _count(low, high, count))), log=True)


def linear(low: float, high: float, count: int) -> Spaced:
    """Return `count` values from `low` to `high` with equal differences: `low + k (high - low)/(count - 1)`.

    They are rounded to four digits, or as many as keep them apart; integers if both ends and all values are.

    Raises:
        ArgumentError: if the ends are equal, or `count` is below 2.

    Example:
        >>> linear(0.5, 2.0, 4), linear(50, 200, 4)
        ((0.5, 1.0, 1.5, 2.0), (50, 100, 150, 200))
    """
    whole = isinstance(low, int | np.integer) and isinstance(high, int | np.integer)
    low, high = (arguments.number(name, value) for name, value in (("low", low), ("high", high)))
    values = _rounded(np.linspace(low, high, _count(low, high, count)))
    if whole and all(value.is_integer() for value in values):
        return Spaced(map(int, values), log=False)
    return Spaced(values, log=False)


def _count(low: float, high: float, count: int) -> int:
    if low == high:
        raise ArgumentError(f"high: must differ from low, got {high!r} twice")
    return arguments.count("count", count, 2, MOST_CELLS)


def _rounded(exact: np.ndarray) -> list[float]:
    """Round to the fewest digits, `DIGITS` at least, that move no value by more than a hundredth of a gap."""
    gap, rounded = np.abs(np.diff(exact)).min(), exact.tolist()
    for digits in range(DIGITS, 18):
        rounded = [float(f"{value:.{digits}g}") for value in exact]
        if np.abs(rounded - exact).max() <= 0.01 * gap:
            break
    return [float(exact[0]), *rounded[1:-1], float(exact[-1])]


@dataclass(frozen=True)
class Space:
    """The grid of a study: every combination of the values of its axes.

    A cell is known in two ways: by its index, its place on each axis, and by its key, which names its values. The key
    does not depend on the other values of an axis, nor on the order of the axes, so a larger grid finds its cells.

    Args:
        axes: at least one; see `Space.of`.

    Example:
        >>> space = Space.of({"tau_mem": log(1, 100, 3), "hidden": [50, 100], "seed": range(2)})
        >>> space.shape, len(space), space.point((1, 0, 1))
        ((3, 2, 2), 12, {'tau_mem': 10.0, 'hidden': 50, 'seed': 1})
        >>> space.key((1, 0, 1))
        'hidden=50,seed=1,tau_mem=10'
    """

    axes: tuple[Axis, ...]

    @classmethod
    def of(cls, over: Mapping[str, Iterable[Any]]) -> "Space":
        """Make the axes of `{name: values}`.

        Raises:
            ArgumentError: if there is no axis, one has no values or one of them twice, or a value is not a number, a
                word, None, True, False, or a tuple of such.
        """
        if not isinstance(over, Mapping) or not over:
            raise ArgumentError(
                f"over: must name what is varied, such as {{'tau_mem': [5, 10, 20]}}, got {over!r:.100}"
            )
        space = cls(tuple(_axis(name, values) for name, values in over.items()))
        if len(space) > MOST_CELLS:
            raise ArgumentError(f"over: makes {len(space):,} cells, more than {MOST_CELLS:,}; leave values out")
        return space

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values on each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    def __len__(self) -> int:
        return int(np.prod(self.shape, dtype=object))

    def __iter__(self) -> Iterator[Index]:
        """Go through the indices of all cells, the last axis fastest."""
        return itertools.product(*map(range, self.shape))

    def check(self, index: Iterable[int]) -> Index:
        """Return the index of a cell.

        Raises:
            ArgumentError: if there is no such cell.
        """
        try:
            found = tuple(index)
        except TypeError:
            found = ()
        shape = self.shape
        if len(found) != len(shape):
            raise ArgumentError(f"cell: must be an index with {len(shape)} places, got {index!r:.100}")
        return tuple(
            arguments.count(f"cell[{axis.name}]", k, 0, size - 1)
            for axis, k, size in zip(self.axes, found, shape, strict=True)
        )

    def point(self, index: Index) -> dict[str, Any]:
        """Return the values of a cell by the name of their axis."""
        return {axis.name: axis.values[k] for axis, k in zip(self.axes, index, strict=True)}

    def key(self, index: Index) -> str:
        """Return the name of a cell, which is that of its folder, too."""
        return key_of(self.point(index))

    def in_order(self) -> list[Index]:
        """Return all cells in the order of work: coarse to fine, and the seeds of a cell one round after the other.

        First comes every fourth value of each axis, from its middle out, then every second, then all; of a short axis
        come two values at least. So the map is there at once, and sharpens.

        Example:
            >>> Space.of({"a": range(8)}).in_order()
            [(1,), (5,), (3,), (7,), (0,), (2,), (4,), (6,)]
            >>> Space.of({"a": [3, 4], "seed": range(2)}).in_order()
            [(0, 0), (1, 0), (0, 1), (1, 1)]
        """
        levels = [_levels(axis) for axis in self.axes]

        def place(index: Index) -> tuple:
            seeds = [k for axis, k in zip(self.axes, index, strict=True) if axis.seeds]
            return seeds, max(level[k] for level, k in zip(levels, index, strict=True)), index

        return sorted(self, key=place)


def key_of(point: Mapping[str, Any]) -> str:
    """Return a name of a point for a folder; see `Space.key`."""
    words = ",".join(f"{name}={_text(point[name])}" for name in sorted(point))
    key = re.sub(r"[^A-Za-z0-9_.,=+-]", "_", words)
    if key == words and len(key) <= LONGEST_KEY:
        return key
    return f"{key[: LONGEST_KEY - 17]}-{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def words_of(point: Mapping[str, Any]) -> str:
    """Return a point for people, as in "tau_mem=10, seed=1"."""
    return ", ".join(f"{name}={_text(value)}" for name, value in point.items())


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(_text, value))
    return str(value) if isinstance(value, str | bool | None) else repr(value).removesuffix(".0")


def _levels(axis: Axis) -> list[int]:
    """When each value of an axis comes: 0 with the coarse map, 1 with the halves, and so on."""
    count, stride = len(axis.values), COARSE
    if axis.seeds:
        return [0] * count
    while 2 * stride > max(count, 2):
        stride //= 2
    offset = (count - 1) % stride // 2
    strides = [stride >> k for k in range(stride.bit_length())]
    return [next(level for level, step in enumerate(strides) if (k - offset) % step == 0) for k in range(count)]


def _axis(name: str, values: Iterable[Any]) -> Axis:
    name = arguments.name("over", name)
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise ArgumentError(f"over: the values of {name!r} must be a list, such as [5, 10, 20], got {values!r:.100}")
    found = tuple(_plain(name, value) for value in itertools.islice(values, MOST_CELLS + 1))
    if not found:
        raise ArgumentError(f"over: {name!r} has no values")
    seen: set[str] = set()
    for value in found:
        text = f"{'word ' * isinstance(value, str)}{_text(value)}"
        if text in seen:
            raise ArgumentError(f"over: {name!r} has the value {value!r} twice")
        seen.add(text)
    return Axis(name, found, log=getattr(values, "log", False) is True, seeds=name == SEED)


def _plain(name: str, value: Any) -> Any:
    """Return a value as JSON can keep it, and as a frozen dataclass takes it."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(_plain(name, one) for one in value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if not isinstance(value, float):
        raise ArgumentError(f"over: a value of {name!r} must be a number, a word or a tuple, got {value!r:.100}")
    if np.isnan(value):
        raise ArgumentError(f"over: a value of {name!r} is NaN")
    return value
