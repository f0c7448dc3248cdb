"""The map of a study: the median of the seeds of each place, and where it stands, over two axes that are chosen.

A *place* of the map is what all seeds of one combination share. Axes that are not shown have one value, or, for each
place, the one whose score is highest ("best of").
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from snnlab.errors import ArgumentError
from snnlab.study.cells import Axis, Cell, Fate
from snnlab.support import arguments

FATES = ("absent", *(fate.value for fate in Fate))  # a number in what is sent; a search has no network in most places
FINDINGS = ("", "silent", "saturated", "diverged")
ABSENT, WAITING, RUNNING, DONE, STOPPED, FAILED = range(len(FATES))
COLUMNS = 12  # numbers of a place in what is sent, see `sent`


@dataclass(frozen=True)
class View:
    """What a map shows.

    Attributes:
        x: the axis that runs to the right.
        y: the axis that runs upwards; None for a curve over `x`.
        fixed: of every other axis, the index of its value; None for the best.
        level: of the contour; None for one a little below the highest score.
        contour: whether it is drawn.
        front: whether the places of the Pareto front are marked.
    """

    x: str
    y: str | None = None
    fixed: Mapping[str, int | None] = field(default_factory=dict)
    level: float | None = None
    contour: bool = True
    front: bool = True


def questions(axes: Sequence[Axis]) -> list[Axis]:
    """Return the axes that a map can show: all but the seeds; the seeds, if there is nothing else.

    Example:
        >>> [axis.name for axis in questions([Axis("tau_mem", (1, 2)), Axis("seed", (0, 1), seeds=True)])]
        ['tau_mem']
    """
    return [axis for axis in axes if not axis.seeds] or list(axes)


def first_view(axes: Sequence[Axis]) -> View:
    """Return what is shown at first: the first two axes, and of the others the best.

    Example:
        >>> first_view([Axis("tau_mem", (1, 2)), Axis("v_th", (1, 2)), Axis("hidden", (50,))])
        View(x='tau_mem', y='v_th', fixed={'hidden': None}, level=None, contour=True, front=True)
    """
    shown = sorted(questions(axes), key=lambda axis: len(axis.values) == 1)  # those with one value are no question
    names = [axis.name for axis in shown]
    x, y = names[0], names[1] if len(names) > 1 and len(shown[1].values) > 1 else None
    return View(x, y, {axis.name: None for axis in questions(axes) if axis.name not in (x, y)})


def checked_view(old: View, changes: Mapping[str, Any], axes: Sequence[Axis]) -> View:
    """Return a view with changes that a page asked for. If it asks for an axis that the other one is, they swap.

    Raises:
        ArgumentError: if something cannot be shown; then nothing changes.

    Example:
        >>> axes = [Axis("tau_mem", (1, 2)), Axis("v_th", (1, 2)), Axis("hidden", (50, 100))]
        >>> checked_view(first_view(axes), {"x": "hidden"}, axes)
        View(x='hidden', y='v_th', fixed={'tau_mem': None}, level=None, contour=True, front=True)
        >>> checked_view(first_view(axes), {"fixed": {"hidden": 2}}, axes)
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: hidden: must be an integer >= 0 and <= 1, got 2
    """
    sizes = {axis.name: len(axis.values) for axis in questions(axes)}
    for name in changes:
        arguments.choice("view", name, ("x", "y", "fixed", "level", "contour", "front"))
    x = arguments.choice("x", changes.get("x", old.x), tuple(sizes))
    y = changes.get("y", old.y)
    y = y if y is None else arguments.choice("y", y, tuple(sizes))
    if x == y:
        if "y" not in changes:
            y = old.x
        elif "x" in changes or len(sizes) == 1:
            raise ArgumentError(f"x, y: must be two axes, got {x!r} twice")
        else:
            x = old.y or next(name for name in sizes if name != y)
    fixed = dict(old.fixed) | dict(arguments.instance("fixed", changes.get("fixed", {}), dict, "values by axis"))
    for name, k in fixed.items():
        arguments.choice("fixed", name, tuple(sizes))
        if k is not None:
            arguments.count(name, k, 0, sizes[name] - 1)
    level = changes.get("level", old.level)
    level = level if level is None else arguments.number("level", level, -1e6, 1e6)
    shown = [arguments.flag(name, changes.get(name, getattr(old, name))) for name in ("contour", "front")]
    return View(x, y, {name: fixed.get(name) for name in sizes if name not in (x, y)}, level, *shown)


class Space(NamedTuple):
    """What is known of every cell, as arrays over all axes; NaN, or `ABSENT`, where there is none."""

    accuracy: Float[np.ndarray, "..."]
    spikes: Float[np.ndarray, "..."]
    epochs: Float[np.ndarray, "..."]
    fate: UInt8[np.ndarray, "..."]
    finding: UInt8[np.ndarray, "..."]
    computing: Bool[np.ndarray, "..."]


def space(axes: Sequence[Axis], cells: Iterable[Cell]) -> Space:
    """Return what the newest rows of the cells say; those of a network that failed or diverged are no result."""
    shape = tuple(len(axis.values) for axis in axes)
    accuracy, spikes, epochs = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
    fate, finding, computing = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, bool)
    for cell in cells:
        at = cell.index
        if cell.rows:
            newest = cell.rows[-1]
            epochs[at] = newest.epoch
            if cell.fate is not Fate.FAILED and cell.finding != "diverged":
                accuracy[at], spikes[at] = newest.accuracy, newest.spikes
        fate[at], computing[at] = FATES.index(cell.fate.value), cell.computing
        finding[at] = FINDINGS.index(cell.finding) if cell.finding in FINDINGS else 0
    return Space(accuracy, spikes, epochs, fate, finding, computing)


@dataclass(frozen=True)
class Grid:
    """What a map shows of every place; the first row is the lowest.

    Attributes:
        accuracy: median, lowest and highest of the seeds; NaN where nothing is known.
        spikes: the same, in spikes a sample.
        progress: share of the epochs that are done.
        base: number of the place's first seed, in the order of all cells.
        typical: number of the seed whose score is nearest to the median; `base` if none has a score.
        fate: index into `FATES`, of all seeds together.
        finding: index into `FINDINGS`: what is said of at least half of the seeds that have begun.
        computing: whether a worker computes one of them.
    """

    accuracy: Float[np.ndarray, "y x 3"]
    spikes: Float[np.ndarray, "y x 3"]
    progress: Float[np.ndarray, "y x"]
    base: Int[np.ndarray, "y x"]
    typical: Int[np.ndarray, "y x"]
    fate: UInt8[np.ndarray, "y x"]
    finding: UInt8[np.ndarray, "y x"]
    computing: Bool[np.ndarray, "y x"]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.fate.shape
        return rows, columns

    @property
    def sent(self) -> Float[np.ndarray, "places 12"]:
        """All numbers of every place, row by row, as float32: what a page is sent."""
        parts = [self.accuracy, self.spikes, self.progress, self.base, self.typical]
        parts += [self.fate, self.finding, self.computing]
        places = self.fate.size
        return np.concatenate([np.reshape(part, (places, -1)) for part in parts], 1).astype(np.float32)


def grid(axes: Sequence[Axis], known: Space, view: View, epochs: int) -> Grid:
    """Return the map for a view.

    Args:
        axes: of the study.
        known: see `space`.
        view: which axes are shown.
        epochs: of each network.

    Example:
        >>> from snnlab.study.cells import Row
        >>> axes = [Axis("tau_mem", (5.0, 20.0)), Axis("seed", (0, 1, 2), seeds=True)]
        >>> rows = [(Row(1, 9, 0.5, accuracy, 40.0),) for accuracy in (0.7, 0.9, 0.8)]
        >>> cells = [Cell((1, k), {}, Fate.DONE, rows[k]) for k in range(3)]
        >>> drawn = grid(axes, space(axes, cells), first_view(axes), epochs=1)
        >>> drawn.accuracy.tolist(), drawn.typical.tolist()
        ([[[nan, nan, nan], [0.8, 0.7, 0.9]]], [[0, 5]])
    """
    numbers = np.arange(known.fate.size).reshape(known.fate.shape)
    arranged = [_arranged(axes, values, view) for values in (*known, numbers)]
    accuracy, spikes, done, fate, finding, computing, number = _best(arranged)
    score = _of_seeds(accuracy)
    nearest = np.abs(np.nan_to_num(accuracy - score[..., :1], nan=np.inf)).argmin(-1)
    there = np.maximum((fate != ABSENT).sum(-1), 1)
    return Grid(
        accuracy=score,
        spikes=_of_seeds(spikes),
        progress=np.minimum(done.sum(-1) / (there * epochs), 1.0),
        base=number[..., 0],
        typical=np.take_along_axis(number, nearest[..., None], -1)[..., 0],
        fate=_together(fate),
        finding=_agreed(finding, (done > 0) | (finding > 0)),
        computing=np.any(computing, axis=-1, keepdims=True)[..., 0],
    )


def _arranged(axes: Sequence[Axis], values: np.ndarray, view: View) -> np.ndarray:
    """Reshape values over all axes to (y, x, other combinations, seeds)."""
    names = [axis.name for axis in axes]
    seeds = [axis.name for axis in axes if axis.seeds and axis.name not in (view.x, view.y)]
    for name, k in view.fixed.items():
        if k is not None:
            values = np.take(values, [k], names.index(name))
    shown = [name for name in (view.y, view.x) if name is not None]
    others = [name for name in names if name not in (*shown, *seeds)]
    values = values.transpose([names.index(name) for name in (*shown, *others, *seeds)])
    rows = values.shape[0] if len(shown) == 2 else 1
    columns, repeats = values.shape[len(shown) - 1], int(np.prod([len(a.values) for a in axes if a.name in seeds]))
    return values.reshape(rows, columns, -1, repeats)


def _best(arranged: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Of each place, the combination with the highest median score; if none has one, the first that has begun."""
    score = np.nan_to_num(_median(arranged[0]), nan=-np.inf)
    begun = (arranged[3] > WAITING).any(-1) + (arranged[3] != ABSENT).any(-1)
    order = np.where(np.isfinite(score).any(-1), score.argmax(-1), begun.argmax(-1))
    return [np.take_along_axis(values, order[..., None, None], 2)[:, :, 0] for values in arranged]


def _median(values: np.ndarray) -> np.ndarray:
    """The median of the last axis without what is not finite; NaN if nothing is."""
    finite = np.isfinite(values)
    count = finite.sum(-1, keepdims=True)
    ordered = np.sort(np.where(finite, values, np.inf), -1)  # np.nanmedian takes a hundred times as long on many rows
    below, above = (np.take_along_axis(ordered, k, -1) for k in (np.maximum(count - 1, 0) // 2, count // 2))
    return np.where(count == 0, np.nan, 0.5 * below + 0.5 * above)[..., 0]


def _of_seeds(values: np.ndarray) -> np.ndarray:
    """Median, lowest and highest."""
    finite = np.isfinite(values)
    low, high = (np.where(finite, values, end) for end in (np.inf, -np.inf))
    found = np.stack([_median(values), low.min(-1), high.max(-1)], -1)
    return np.where(finite.any(-1, keepdims=True), found, np.nan)


def _together(fate: np.ndarray) -> np.ndarray:
    """Where all seeds of a place stand: one that failed counts for all; a place is done when all of them are."""
    there = (fate != ABSENT).sum(-1)
    count = [(fate == k).sum(-1) for k in range(len(FATES))]
    unfinished = (count[RUNNING] > 0) | ((count[WAITING] > 0) & (count[WAITING] < there))
    rules = [
        (there == 0, ABSENT),
        (count[FAILED] > 0, FAILED),
        (unfinished, RUNNING),
        (count[WAITING] == there, WAITING),
        (2 * count[STOPPED] >= there, STOPPED),
    ]
    return np.select([rule for rule, _ in rules], [np.uint8(k) for _, k in rules], np.uint8(DONE))


def _agreed(finding: np.ndarray, begun: np.ndarray) -> np.ndarray:
    count = np.stack([(finding == k).sum(-1) for k in range(1, len(FINDINGS))], -1)
    most = count.argmax(-1)
    enough = (count.max(-1) > 0) & (2 * count.max(-1) >= begun.sum(-1))
    return np.where(enough, most + 1, 0).astype(np.uint8)


def changed(old: np.ndarray, new: np.ndarray) -> Int[np.ndarray, "places"]:
    """Return the places of which anything differs, of two `Grid.sent` with as many places."""
    return np.flatnonzero(((old != new) & ~(np.isnan(old) & np.isnan(new))).any(1))


def rows_of(number: int, cell: Cell, after: int = 0) -> list[tuple[float, ...]]:
    """Return what a page is sent of the epochs of a cell: its number, epoch, loss, score, spikes a sample.

    Args:
        number: of the cell, in the order of all cells.
        cell: the cell.
        after: rows that are left out, because they were sent.
    """
    return [(number, row.epoch, row.loss, row.accuracy, row.spikes) for row in cell.rows[after:]]


def standing_of(number: int, cell: Cell) -> tuple[int, int, int, int]:
    """Return what a page is sent of where a cell stands: its number, fate, finding, and whether it computes."""
    finding = FINDINGS.index(cell.finding) if cell.finding in FINDINGS else 0
    return number, FATES.index(cell.fate.value), finding, int(cell.computing)
