"""Small plots of lines as SVG, two in a row over one x axis: axes, flags, and a label at the end of each line.

Every plot is drawn in its own coordinates, with (0, 0) at its upper left corner.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from snnlab.live.frames import style
from snnlab.live.still import svg
from snnlab.live.still.svg import Scale

WIDTH, EDGE = 960, 24  # pixels: the picture, and its margin
AXIS, PLOT, BELOW = 44, 140, 40  # pixels: numbers of a y axis, height of a plot, room under it
ROW, ROWS = 14, 3  # height of a line of small text, and lines of labels for flags, by default
SHORT = 22  # pixels of the sample of a line beside its label


class Line(NamedTuple):
    """A curve and its look; its label stands at its end."""

    name: str
    label: str
    x: np.ndarray
    y: np.ndarray
    look: style.Line
    width: float = 1.6
    points: bool = False


class Flag(NamedTuple):
    """A vertical line in every plot, with a label above the first row; without a look, in the colour of the text."""

    at: float
    label: str
    look: style.Line | None = None


class _Placed(NamedTuple):
    """A flag, its place, and the row of its label; -1 if there is no room for it."""

    row: int
    at: float
    flag: Flag


def draw_plots(
    plots: Mapping[str, list[Line]],
    flags: Sequence[Flag],
    top: int,
    *,
    unit: str = "step",
    logs: Container[str] = (),
    lows: Mapping[str, float] = MappingProxyType({}),
    rows: int = ROWS,
) -> tuple[list[str], int]:
    """Draw two plots per row; the labels of the flags stand above the first row, for both rows.

    Args:
        plots: the lines by the title of the plot.
        flags: in the order of their places.
        top: where the plots begin [pixels].
        unit: of the x axis.
        logs: titles of the plots with a logarithmic y axis.
        lows: by title, the lowest value that is drawn, of a plot that has higher ones, too.
        rows: of labels of flags, at most.

    Returns:
        The elements, and where the plots end [pixels].
    """
    each = (WIDTH - 3 * EDGE) / 2
    ends = [line.x[-1] for lines in plots.values() for line in lines] + [flag.at for flag in flags]
    last = float(max([1, *ends]))
    right = max([0, *map(room, plots.values()), *(_room_of(flag, flag.at / last, each - AXIS) for flag in flags)])
    x = Scale(0.0, last, each - AXIS - right, least=1.0)
    placed = _place(flags, x, rows)
    body = []
    for k, (name, lines) in enumerate(plots.items()):
        above = max([flag.row + 1 for flag in placed], default=0) if k < 2 else 0
        if k % 2 == 0:
            top += 22 + ROW * above + (PLOT + BELOW) * (k > 0)
        lines, cut = _from(lows[name], lines) if name in lows else (lines, "")
        y = Scale.around(np.concatenate([line.y for line in lines]), PLOT, log=name in logs)
        said = [svg.text(at + 4, -ROW * row - 4, flag.label) for row, at, flag in placed if 0 <= row < above]
        parts = [heading(name + cut, ROW * above), *svg.axes(x, y, unit), *_poles(placed, above), *said]
        body.append(svg.group(EDGE + AXIS + k % 2 * (each + EDGE), top, parts + draw_lines(lines, x, y)))
    return body, top + (PLOT + BELOW) * bool(plots)


def _from(low: float, lines: list[Line]) -> tuple[list[Line], str]:
    """Leave out what is below, and the words that say so; unless all is below."""
    values = np.concatenate([line.y for line in lines])
    if not ((values < low).any() and (values >= low).any()):
        return lines, ""
    return [line._replace(y=np.where(line.y < low, np.nan, line.y)) for line in lines], f" (not drawn below {low:g})"


def room(lines: list[Line]) -> float:
    """Return the room for the labels at the ends of the lines [pixels]."""
    return 36 + max(svg.width(line.label) for line in lines)


def _room_of(flag: Flag, share: float, width: float) -> float:
    """The room that the label of a flag needs beside a plot, if it stands at this share of the x axis [pixels]."""
    return width - (width - svg.width(flag.label) - 10) / share if share else 0.0


def heading(words: str, above: float = 0) -> str:
    """Write the title of a plot."""
    return svg.text(-AXIS, -12 - above, words, size=13, weight=600)


def _place(flags: Sequence[Flag], x: Scale, rows: int) -> list[_Placed]:
    """Left labels are higher, so that no pole crosses a text."""
    placed: list[_Placed] = []
    for flag in reversed(flags):
        at = float(x(flag.at))
        end = at + svg.width(flag.label) + 10
        row = max((other.row + 1 for other in placed if other.at < end), default=0)
        placed.append(_Placed(row if row < rows else -1, at, flag))
    return placed


def _poles(placed: Sequence[_Placed], above: int) -> list[str]:
    """One path for each look."""
    found: dict[style.Line | None, str] = {}
    for row, at, flag in placed:
        pole = f"M{svg.px(at)} {-ROW * (row + 1) + 2 if above else 0}V{PLOT}"
        found[flag.look] = found.get(flag.look, "") + pole
    stroke = {look: {} if look is None else {"stroke": look.colour} for look in found}
    return [svg.path(d, opacity=0.7, **stroke[look]) for look, d in found.items()]


def draw_lines(lines: Sequence[Line], x: Scale, y: Scale) -> list[str]:
    """Write lines, and beside the plot a sample and the label of each."""
    parts, ends = [], []
    for line in lines:
        at, value = x(line.x), y(line.y)
        parts.append(svg.path(svg.polyline(at, value), line.name, **stroke(line.look, line.width)))
        there = np.flatnonzero(np.isfinite(value))
        if line.points or len(there) == 1:
            few = there[::-1][:: 1 + len(there) // 30]
            parts.append(_diamonds(at[few], value[few], line))
        ends.append(float(value[there[-1]]) if len(there) else y.size)
    for end, k in zip(_apart(np.sort(ends), y.size - 4), np.argsort(ends, kind="stable"), strict=True):
        sample = f"M{svg.px(x.size + 8)} {svg.px(end)}h{SHORT}"
        parts.append(svg.path(sample, **stroke(lines[k].look, lines[k].width)))
        if lines[k].points:
            parts.append(_diamonds([x.size + 19], [end], lines[k]))
        parts.append(svg.text(x.size + 35, end + 4, lines[k].label, weight=700 if lines[k].width > 3 else 0))
    return parts


def stroke(look: style.Line, width: float) -> dict[str, Any]:
    """Return the look of a line as attributes for `svg.path`."""
    found = {"stroke": look.colour, "stroke_width": width, "stroke_linejoin": "round"}
    if not look.dash:
        return found | {"stroke_linecap": "round"}
    return found | {"stroke_dasharray": " ".join(map(str, look.dash))}


def _diamonds(x: Iterable[float], y: Iterable[float], line: Line) -> str:
    d = "".join(f"M{svg.px(a - 4.5)} {svg.px(b)}l4.5-4.5 4.5 4.5-4.5 4.5z" for a, b in zip(x, y, strict=True))
    return svg.path(d, fill=line.look.colour)


def _apart(places: np.ndarray, room: float) -> np.ndarray:
    """Move sorted places of labels apart, just so far that all can be read."""
    gaps = min(13.0, room / max(len(places) - 1, 1)) * np.arange(len(places))
    down = np.maximum.accumulate(places - gaps)
    return np.minimum(down, room - gaps[-1]) + gaps
