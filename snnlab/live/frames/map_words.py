"""The words and numbers around the map of a study: axes, facts, the colour scales, what a screen reader is told."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from snnlab.history import Scored
from snnlab.live.frames.map_explained import explained_map
from snnlab.live.frames.map_grid import FINDINGS, Grid, View, questions
from snnlab.live.frames.map_lines import contour, front
from snnlab.live.frames.running import Said
from snnlab.live.frames.style import STEPS
from snnlab.study.cells import Axis, Cell, Fate
from snnlab.support import numbers

LONGEST = 14  # characters of a value that is no number
HERTZ, MILLISECONDS = ("rate", "max_rate", "min_rate"), ("dt", "duration")
FEW = 0.1  # spikes a sample: the lowest end of their scale; what is below is as good as silent


class Standing(NamedTuple):
    """A study as it is at a moment.

    Attributes:
        axes: of the study.
        cells: one for each network.
        epochs: of each network.
        state: "waiting", "running", "pausing", "paused", "stopped", "done" or "error".
        score: of the task, and the part of the data that is watched.
        speed: networks per second; None as long as it is not known.
        left: seconds that are left; None as long as they are not known.
        error: what ended the computing, in words.
    """

    axes: tuple[Axis, ...]
    cells: tuple[Cell, ...]
    epochs: int
    state: str = "waiting"
    score: Scored = Scored()
    speed: float | None = None
    left: float | None = None
    error: str = ""


def unit_of(name: str) -> str:
    """Return the unit of an axis by its name.

    Example:
        >>> unit_of("hidden.tau_mem"), unit_of("v_th"), unit_of("max_rate")
        ('ms', '', 'Hz')
    """
    short = name.rpartition(".")[2]
    if short.startswith("tau") or short in MILLISECONDS:
        return "ms"
    return "Hz" if short in HERTZ else ""


def value_words(value: Any) -> str:
    """Write a value of an axis: a number with three digits, or a short text.

    Example:
        >>> value_words(0.123456), value_words(100), value_words("a rather long name"), value_words(None)
        ('0.123', '100', 'a rather long…', 'None')
    """
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return numbers.number(value if isinstance(value, int) else float(value))
    words = str(value)
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"


def axis_words(axis: Axis) -> str:
    """Write what stands beside an axis: its name, unit, and whether its values are spaced logarithmically.

    Example:
        >>> axis_words(Axis("tau_mem", (1.0, 10.0), log=True)), axis_words(Axis("hidden", (50, 100)))
        ('tau_mem [ms], log scale', 'hidden')
    """
    unit = unit_of(axis.name)
    return axis.name + (f" [{unit}]" if unit else "") + (", log scale" if axis.log else "")


def about_map(standing: Standing) -> dict[str, Any]:
    """Return what a page is told once: the axes, how many seeds, the epochs, the score, all explanations."""
    shape = tuple(len(axis.values) for axis in standing.axes)
    order = np.arange(int(np.prod(shape))).reshape(shape)
    seeds = tuple(k for k, axis in enumerate(standing.axes) if axis.seeds)
    first = tuple(slice(None) if k in seeds else 0 for k in range(len(shape)))
    shown = [axis.name for axis in questions(standing.axes)]
    return {
        "axes": [
            {
                "name": axis.name,
                "words": axis_words(axis),
                "values": [value_words(value) for value in axis.values],
                "places": _places(axis),
                "unit": unit_of(axis.name),
                "shown": axis.name in shown,
            }
            for axis in standing.axes
        ],
        "shape": list(shape),
        "seeds": [] if len(seeds) == len(shape) else (order[first].ravel() - order[first].ravel()[0]).tolist(),
        "seed_words": [
            " ".join(value_words(standing.axes[k].values[i]) for k, i in zip(seeds, at, strict=True))
            for at in np.ndindex(*(shape[k] for k in seeds))
        ]
        if seeds
        else [],
        "epochs": standing.epochs,
        "score": {"name": standing.score.words, "share": standing.score.score == "accuracy"},
        "findings": list(FINDINGS),
        "explained": explained_map(),
    }


def _places(axis: Axis) -> list[float]:
    """Where the values are on a line, from 0 to 1: as far apart as they differ, or evenly, if they are no numbers."""
    even = np.linspace(0.0, 1.0, len(axis.values)) if len(axis.values) > 1 else np.array([0.5])
    if not all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in axis.values):
        return even.tolist()
    values = np.array(axis.values, np.float64)
    with np.errstate(all="ignore"):
        values = np.log(values) if axis.log else values
    width = np.ptp(values) if len(values) else 0.0
    return ((values - values.min()) / width).tolist() if math.isfinite(width) and width > 0 else even.tolist()


# ---- the colour scales ----


def score_scale(grid: Grid, share: bool = True) -> tuple[float, float]:
    """Return the ends of the scale of the score: round values around all that is known.

    Example:
        >>> from snnlab.live.frames.map_grid import View, grid, space
        >>> from snnlab.study.cells import Row
        >>> axes = [Axis("v_th", (0.5, 1.0))]
        >>> cells = [Cell((k,), {}, Fate.DONE, (Row(1, 9, 0.5, score, 40.0),)) for k, score in enumerate((0.62, 0.941))]
        >>> score_scale(grid(axes, space(axes, cells), View("v_th"), epochs=1))
        (0.6, 1.0)
    """
    low, high = _ends(grid.accuracy, (0.0, 1.0))
    low, high = _round(low, high)
    return (max(low, 0.0), min(high, 1.0)) if share else (low, high)


def spike_scale(grid: Grid) -> tuple[float, float]:
    """Return the ends of the logarithmic scale of the spikes a sample: of 1, 2, 5, 10, ... around all that is known."""
    spikes = grid.spikes
    low, high = _ends(np.where(spikes > 0, spikes, np.nan), (1.0, 100.0))
    marks = [mark for power in range(-1, 9) for k in STEPS[:-1] if (mark := float(f"{k}e{power}")) >= FEW]
    low = max([mark for mark in marks if mark <= low * (1 + 1e-9)], default=FEW)
    high = min([mark for mark in marks if mark >= high * (1 - 1e-9)], default=marks[-1])
    return low, high if high > low else 10 * low


def _ends(values: np.ndarray, otherwise: tuple[float, float]) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else otherwise


def _round(low: float, high: float) -> tuple[float, float]:
    rough = max(high - low, 1e-3 * max(abs(low), abs(high), 1.0)) / 5
    power = math.floor(math.log10(rough))
    step = next(mark for k in STEPS if (mark := float(f"{k}e{power}")) >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return round(first * step, 12), round(max(last, first + 1) * step, 12)


# ---- where the study stands ----


def facts(standing: Standing) -> list[tuple[str, str]]:
    """Return key and words of what the head says.

    Example:
        >>> cells = (Cell((0,), {}, Fate.DONE), Cell((1,), {}, Fate.RUNNING, computing=True), Cell((2,), {}))
        >>> [words for _, words in facts(Standing((Axis("v_th", (1, 2, 3)),), cells, 5, "running", speed=4.25, left=8))]
        ['1 of 3 networks', '1 running', '4.25 networks/s', '8 s left', 'running']
    """
    count = {fate: sum(cell.fate is fate for cell in standing.cells) for fate in Fate}
    over = sum(count[fate] for fate in Fate if fate.over)
    found = [("networks", f"{over:,} of {len(standing.cells):,} networks")]
    found += [
        (fate.value, f"{count[fate]:,} {fate}") for fate in (Fate.RUNNING, Fate.STOPPED, Fate.FAILED) if count[fate]
    ]
    if standing.state == "running":
        if standing.speed is not None:
            found.append(("speed", f"{numbers.number(float(standing.speed))} networks/s"))
        if standing.left is not None:
            found.append(("time left", f"{_duration(standing.left)} left"))
    return [*found, ("state", standing.state)]


def _duration(seconds: float) -> str:
    seconds = math.ceil(seconds)
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def progress(standing: Standing) -> float:
    """Return the share of the epochs that are done, or that are not needed any more."""
    epochs, cells = standing.epochs, standing.cells
    return sum(cell.epochs_of(epochs) for cell in cells) / (epochs * len(cells)) if cells else 0.0


# ---- what is drawn ----


def drawn_map(standing: Standing, view: View, grid: Grid) -> dict[str, Any]:
    """Return what is drawn over the places, and the scales: for the page, and for the picture."""
    two = view.y is not None and min(grid.shape) > 1
    score, spikes = score_scale(grid, standing.score.score == "accuracy"), spike_scale(grid)
    level = level_below(grid, score) if view.level is None else view.level
    lines = contour(grid.accuracy[..., 0], level) if two and view.contour else []
    members = front(grid.accuracy[..., 0].ravel(), grid.spikes[..., 0].ravel())
    return {
        "view": {
            "x": view.x,
            "y": view.y,
            "fixed": dict(view.fixed),
            "level": level,
            "contour": view.contour,
            "front": view.front,
        },
        "contour": [np.round(line, 3).tolist() for line in lines],
        "front": members.tolist(),
        "scales": {"score": list(score), "spikes": list(spikes)},
        "below": bool((grid.spikes[..., 0] < FEW).any()),
        "others": others_words(standing.axes, view),
        "words": map_words(standing, view, grid, members),
    }


def level_below(grid: Grid, scale: tuple[float, float]) -> float:
    """Return a level for the contour: the highest twentieth of the scale of the score that two places reach."""
    scores = np.sort(grid.accuracy[..., 0][np.isfinite(grid.accuracy[..., 0])])
    if len(scores) < 2:
        return round(sum(scale) / 2, 12)
    step = _round(0.0, (scale[1] - scale[0]) / 4)[1] / 5
    return round(step * math.floor(float(scores[-2]) / step - 1e-9), 12)


def others_words(axes: Sequence[Axis], view: View) -> str:
    """Write which value the axes have that are not shown.

    Example:
        >>> axes = [Axis("v_th", (1, 2)), Axis("hidden", (50, 100)), Axis("seed", (0, 1, 2), seeds=True)]
        >>> others_words(axes, View("v_th", None, {"hidden": None}))
        'best of 2 hidden; median of 3 seeds'
        >>> others_words(axes, View("v_th", None, {"hidden": 0}))
        'hidden = 50; median of 3 seeds'
    """
    found = []
    for axis in axes:
        if axis.name in view.fixed:
            k, unit = view.fixed[axis.name], unit_of(axis.name)
            one = k if k is not None else 0 if len(axis.values) == 1 else None
            said = None if one is None else f"{axis.name} = {value_words(axis.values[one])} {unit}".rstrip()
            found.append(said or f"best of {len(axis.values)} {axis.name}")
        elif axis.seeds and axis.name not in (view.x, view.y) and len(axis.values) > 1:
            found.append(f"median of {len(axis.values)} {axis.name}s")
    return "; ".join(found)


def map_words(standing: Standing, view: View, grid: Grid, members: np.ndarray) -> str:
    """Say what a map shows, for those who do not see it."""
    by_name = {axis.name: axis for axis in standing.axes}
    shown = " x ".join(axis_words(by_name[name]) for name in (view.x, view.y) if name is not None)
    said = [f"{standing.score.words} and spikes a sample over {shown}"]
    if others := others_words(standing.axes, view):
        said.append(others)
    said.append(", ".join(words for _, words in facts(standing)))
    if len(members):
        best, fewest = int(members[-1]), int(members[0])
        said.append(f"highest: {place_words(standing, view, grid, best)}")
        if len(members) > 1:
            said.append(f"Pareto front of {len(members)} places, from {place_words(standing, view, grid, fewest)}")
    for k, finding in enumerate(FINDINGS[1:], 1):
        if count := int((grid.finding == k).sum()):
            said.append(f"{count} {'place is' if count == 1 else 'places are'} {finding}")
    return "; ".join(said)


def place_words(standing: Standing, view: View, grid: Grid, place: int) -> str:
    """Say where a place is, its score, and its spikes.

    Args:
        standing: the study.
        view: what the map shows.
        grid: the map.
        place: its number, row by row.
    """
    row, column = divmod(place, grid.shape[1])
    by_name = {axis.name: axis for axis in standing.axes}
    at = [(view.x, column), *([(view.y, row)] if view.y is not None else [])]
    where = [f"{name} {value_words(by_name[name].values[k])} {unit_of(name)}".rstrip() for name, k in at]
    score, spikes = grid.accuracy[row, column, 0], grid.spikes[row, column, 0]
    if not math.isfinite(score):
        return ", ".join(where)
    known = f", {numbers.number(float(spikes))} spikes a sample" if math.isfinite(spikes) else ""
    return f"{', '.join(where)}: {standing.score.text(float(score))}{known}"


def state_map(standing: Standing, said: Said, opened: Iterable[str] = (), busy: str = "") -> dict[str, Any]:
    """Return where the study stands, for the head of a page.

    Args:
        standing: the study.
        said: the last sentence.
        opened: names of the runs that are open below.
        busy: what is being done, such as opening a run.
    """
    told = facts(standing)
    if standing.error:
        said = Said(f"ended by {standing.error}", True)
    elif busy and not said.text:
        said = Said(busy)
    return {
        "state": standing.state,
        "facts": [words for _, words in told],
        "fact_keys": [f"map.{key}" for key, _ in told],
        "progress": progress(standing),
        "said": said._asdict(),
        "opened": list(opened),
    }


def table(axes: Sequence[Axis], cells: Iterable[Cell]) -> str:
    """Return every network as a line of text: its values, where it stands, its newest row.

    Example:
        >>> from snnlab.study.cells import Row
        >>> cell = Cell((0,), {"v_th": 0.5}, Fate.DONE, (Row(1, 9, 0.5, 0.75, 40.0),))
        >>> print(table([Axis("v_th", (0.5, 1.0))], [cell]))
        v_th,fate,epochs,steps,loss,accuracy,spikes,finding,why
        0.5,done,1,9,0.5,0.75,40.0,,
        <BLANKLINE>
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(
        [*(axis.name for axis in axes), "fate", "epochs", "steps", "loss", "accuracy", "spikes", "finding", "why"]
    )
    for cell in cells:
        newest: Sequence[Any] = cell.rows[-1] if cell.rows else ("", "", "", "", "")
        values = [_value_of(cell.point, axis, k) for axis, k in zip(axes, cell.index, strict=True)]
        writer.writerow([*values, cell.fate.value, *newest, cell.finding, cell.why])
    return written.getvalue()


def _value_of(point: Mapping[str, Any], axis: Axis, k: int) -> Any:
    return point[axis.name] if axis.name in point else axis.values[k]
