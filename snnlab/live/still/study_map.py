"""The map of a study as one standalone SVG: the content of the live map, for pages without live widgets.

No script, no font, no id, nothing fetched. Each place says in words what it is, to those who point at it or cannot see.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from snnlab.live.frames.map_grid import (
    ABSENT,
    FAILED,
    FINDINGS,
    RUNNING,
    STOPPED,
    WAITING,
    Grid,
    View,
    first_view,
    grid,
    space,
)
from snnlab.live.frames.map_words import Standing, axis_words, drawn_map, facts, place_words, value_words
from snnlab.live.frames.style import BLUE, GREEN, HIGH_SHADES, LOW_SHADES, STEPS, VERMILION
from snnlab.live.still import svg
from snnlab.study.cells import Axis
from snnlab.support import numbers

WIDTH, EDGE = 960, 24  # pixels: the picture, and its margin
HEAD, TALL, BELOW = 74, 320, 92  # pixels: where the panels begin, their height, the room under them
BESIDE, BAR, GAP = 66, 12, 26  # pixels: a colour bar with its numbers, its width, between the panels
LETTER = 6.4  # pixels, of small type on average


class Scale(NamedTuple):
    """Colours of one of the two numbers."""

    name: str
    shades: tuple[str, ...]
    low: float
    high: float
    log: bool
    words: Callable[[float], str]

    def share(self, value: float) -> float:
        """Where a value is, from 0 to 1."""
        if self.log:
            value = max(value, self.low)
            return min(math.log(value / self.low) / math.log(self.high / self.low), 1.0)
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def colour(self, value: float) -> str:
        """The colour of a value."""
        return self.shades[round(self.share(value) * (len(self.shades) - 1))]

    def marks(self) -> list[float]:
        """Round values for the bar."""
        if not self.log:
            step = svg.round_step(self.low, self.high, 5)
            first, last = math.ceil(self.low / step - 1e-6), math.floor(self.high / step + 1e-6)
            return [step * k for k in range(first, last + 1)]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        within = [
            m for p in powers for k in STEPS[:-1] if self.low * 0.999 <= (m := float(f"{k}e{p}")) <= self.high * 1.001
        ]
        return within if len(within) <= 7 else [m for m in within if round(math.log10(m) % 1, 6) in (0.0, 1.0)]


def study_picture(standing: Standing, view: View | None = None) -> str:
    """Draw a study as a standalone SVG image.

    Args:
        standing: the study.
        view: which axes are shown; default: the first two, and of the others the best.

    Returns:
        The text of the image, of type `image/svg+xml`; equal for equal arguments.

    Example:
        >>> from snnlab.study.cells import Cell, Fate, Row
        >>> axes = (Axis("tau_mem", (5.0, 20.0)), Axis("v_th", (0.5, 1.0)))
        >>> cells = (Cell((1, 0), {}, Fate.DONE, (Row(1, 9, 0.5, 0.75, 40.0),)),)
        >>> text = study_picture(Standing(axes, cells, 1))
        >>> text[:4], "tau_mem 20 ms, v_th 0.5: 75.0%, 40 spikes a sample" in text, "script" in text
        ('<svg', True, False)
    """
    view = first_view(standing.axes) if view is None else view
    shown = grid(standing.axes, space(standing.axes, standing.cells), view, standing.epochs)
    drawn = drawn_map(standing, view, shown)
    share = standing.score.score == "accuracy"
    (low, high), (fewest, most) = drawn["scales"]["score"], drawn["scales"]["spikes"]
    percent = (lambda value: f"{100 * value:.3g}%") if share else svg.number
    scales = (
        Scale(standing.score.words, HIGH_SHADES, low, high, False, percent),
        Scale("spikes a sample", LOW_SHADES, fewest, most, True, lambda value: numbers.number(float(value))),
    )
    by_name = {axis.name: axis for axis in standing.axes}
    draw = _Panel(standing, view, shown, drawn, by_name[view.x], None if view.y is None else by_name[view.y])
    body = [part for k, scale in enumerate(scales) for part in draw.panel(k, scale)]
    body += draw.key()
    said = " · ".join(words for _, words in facts(standing))
    head = [svg.text(EDGE, 30, f"Study of {len(standing.cells):,} networks", size=16, weight=600)]
    head.append(svg.text(EDGE, 48, " · ".join(part for part in (said, drawn["others"]) if part)))
    title = f"{standing.score.words} and spikes a sample of {len(standing.cells):,} networks"
    return svg.card(head + body, WIDTH, HEAD + TALL + BELOW, title=title, words=drawn["words"])


class _Panel:
    """Draws the panels of one map.

    Args:
        standing: the study.
        view: which axes are shown.
        shown: the map.
        drawn: see `drawn_map`.
        x: the axis to the right.
        y: the axis upwards; None for a curve.
    """

    def __init__(self, standing: Standing, view: View, shown: Grid, drawn: dict, x: Axis, y: Axis | None):
        self._standing, self._view, self._shown, self._drawn = standing, view, shown, drawn
        self._x, self._y = x, y
        labels = [value_words(value) for value in y.values] if y is not None else ["100%"]
        self._left = EDGE + 10 + LETTER * max(map(len, labels))
        each = (WIDTH - EDGE - self._left - GAP - 2 * BESIDE) / 2
        self._width = each

    def panel(self, k: int, scale: Scale) -> list[str]:
        """Draw the panel of one number: title, places or curve, axes, bar."""
        x = self._left + k * (self._width + BESIDE + GAP)
        values = self._shown.spikes if scale.log else self._shown.accuracy
        more = ", log scale" if scale.log else ""
        title = svg.text(x, HEAD - 4, scale.name + more, size=13, weight=600)
        if self._y is None:
            colour = GREEN if scale.log else BLUE
            return [title, svg.group(x, HEAD + 6, [*self._curve(values, scale, colour), *self._across()])]
        places = [self._place(place, values, scale) for place in range(self._shown.fate.size)]
        parts = [*places, *self._contour(scale), *self._across(), *self._bar(scale)]
        return [title, svg.group(x, HEAD + 6, parts + (self._up() if k == 0 else []))]

    def _box(self, place: int) -> tuple[float, float, float, float]:
        rows, columns = self._shown.shape
        row, column = divmod(place, columns)
        wide, tall = self._width / columns, TALL / rows
        return column * wide, TALL - (row + 1) * tall, wide - 1, tall - 1

    def _place(self, place: int, values: np.ndarray, scale: Scale) -> str:
        row, column = divmod(place, self._shown.shape[1])
        fate, finding = int(self._shown.fate[row, column]), int(self._shown.finding[row, column])
        if fate == ABSENT:
            return ""
        x, y, wide, tall = self._box(place)
        middle, low, high = (float(value) for value in values[row, column])
        known = math.isfinite(middle)
        colour = scale.colour(middle) if known else "currentColor"
        ink = _over(colour) if known else "currentColor"
        faint = "" if known else ' fill-opacity="0.1"' if fate == WAITING else ' fill-opacity="0.16"'
        named = place_words(self._standing, self._view, self._shown, place) + _stands(fate, finding)
        parts = [f'<rect {_at(x, y, wide, tall)} fill="{colour}"{faint}><title>{svg.clean(named)}</title></rect>']
        if finding:
            parts.append(svg.path(_hatch(x, y, wide, tall, finding), stroke=ink, opacity=0.75))
        half = 0.22 * min(wide, tall)
        if known and high > low and half > 2:
            cx, cy = x + wide / 2, y + tall / 2 - half
            parts.append(f'<rect {_at(cx - half, cy, half, 2 * half)} fill="{scale.colour(low)}"/>')
            parts.append(f'<rect {_at(cx, cy, half, 2 * half)} fill="{scale.colour(high)}"/>')
        if fate == RUNNING:
            done = wide * float(self._shown.progress[row, column])
            parts.append(f'<rect {_at(x, y + tall - 2, done, 2)} fill="{ink}"/>')
        parts.append(_sign(x, y, wide, tall, fate, ink))
        if self._view.front and place in self._drawn["front"]:
            size = min(8.0, 0.4 * wide, 0.4 * tall)
            d = f"M{svg.px(x + wide - size)} {svg.px(y)}h{svg.px(size)}v{svg.px(size)}z"
            parts.append(svg.path(d, fill=ink, stroke="none"))
        return "".join(parts)

    def _contour(self, scale: Scale) -> list[str]:
        rows, columns = self._shown.shape
        lines = [np.asarray(line, float) for line in self._drawn["contour"]]
        placed = [
            ((line[:, 0] + 0.5) * self._width / columns, TALL - (line[:, 1] + 0.5) * TALL / rows) for line in lines
        ]
        d = "".join(svg.polyline(x, y) for x, y in placed)
        if not d:
            return []
        words = self._standing.score.text(self._drawn["view"]["level"]).replace(".0%", "%")
        looks = [
            svg.path(d, stroke="#fff", stroke_width=4, opacity=0.9),
            svg.path(d, words, stroke="#000", stroke_width=1.6),
        ]
        x, y = max(placed, key=lambda line: len(line[0]))
        half = svg.width(words, 10) / 2 + 2
        at, down = float(np.clip(x[len(x) // 2], half, self._width - half)), float(y[len(y) // 2])
        place = f'x="{svg.px(at)}" y="{svg.px(down + 3.5)}" text-anchor="middle"'
        label = f'<text {place} font-size="10" font-weight="600" fill="#000">'
        return [
            *looks,
            f'<rect {_at(at - half, down - 7, 2 * half, 13)} fill="#fff"/>',
            f"{label}{svg.clean(words)}</text>",
        ]

    def _across(self) -> list[str]:
        """The x axis."""
        labels = [value_words(value) for value in self._x.values]
        at = self._places()
        need = LETTER * max(map(len, labels)) + 10
        every = max(1, math.ceil(need * len(labels) / self._width))
        shown = [(x, words) for x, words in list(zip(at, labels, strict=True))[::every]]
        feet = svg.path("".join(f"M{svg.px(x)} {TALL}v4" for x, _ in shown), opacity=0.6)
        said = [svg.text(x, TALL + 16, words, anchor="middle") for x, words in shown]
        return [feet, *said, svg.text(self._width, TALL + 32, f"{axis_words(self._x)} →", anchor="end")]

    def _places(self) -> list[float]:
        """Where the values of the x axis are."""
        count = len(self._x.values)
        return [(k + 0.5) * self._width / count for k in range(count)]

    def _up(self) -> list[str]:
        """The y axis."""
        assert self._y is not None
        labels = [value_words(value) for value in self._y.values]
        tall = TALL / len(labels)
        every = max(1, math.ceil(14 / tall))
        shown = [(TALL - (k + 0.5) * tall, words) for k, words in enumerate(labels)][::every]
        feet = svg.path("".join(f"M-4 {svg.px(y)}h4" for y, _ in shown), opacity=0.6)
        said = [svg.text(-7, y + 4, words, anchor="end") for y, words in shown]
        return [feet, *said, svg.text(0, TALL + 32, f"↑ {axis_words(self._y)}")]

    def _bar(self, scale: Scale) -> list[str]:
        x, count = self._width + 8, len(scale.shades)
        tall = TALL / count
        parts = [
            f'<rect {_at(x, TALL - (k + 1) * tall, BAR, tall + 0.3)} fill="{shade}"/>'
            for k, shade in enumerate(scale.shades)
        ]
        for mark in scale.marks():
            y = TALL * (1 - scale.share(mark))
            parts.append(svg.path(f"M{svg.px(x + BAR)} {svg.px(y)}h4", opacity=0.6))
            parts.append(svg.text(x + BAR + 7, y + 4, scale.words(mark)))
        return parts

    def _curve(self, values: np.ndarray, scale: Scale, colour: str) -> list[str]:
        """A line through the medians, and the spread of the seeds behind it."""
        x = np.array(self._places())
        with np.errstate(invalid="ignore"):
            up = np.array(
                [[TALL * (1 - scale.share(v)) if math.isfinite(v) else math.nan for v in row] for row in values[0]]
            )
        grid_lines = [(TALL * (1 - scale.share(mark)), scale.words(mark)) for mark in scale.marks()]
        parts = [svg.path("".join(f"M0 {svg.px(y)}H{svg.px(self._width)}" for y, _ in grid_lines), opacity=0.15)]
        parts += [svg.text(-7, y + 4, words, anchor="end") for y, words in grid_lines]
        for k in range(len(x) - 1):
            if np.isfinite(up[k : k + 2]).all():
                ends = [(x[k], up[k, 2]), (x[k + 1], up[k + 1, 2]), (x[k + 1], up[k + 1, 1]), (x[k], up[k, 1])]
                d = "M" + "L".join(f"{svg.px(a)} {svg.px(b)}" for a, b in ends) + "z"
                parts.append(svg.path(d, fill=colour, stroke="none", opacity=0.2))
        parts.append(svg.path(svg.polyline(x, up[:, 0]), stroke=colour, stroke_width=2))
        for place, (a, b) in enumerate(zip(x, up[:, 0], strict=True)):
            fate, finding = int(self._shown.fate[0, place]), int(self._shown.finding[0, place])
            words = place_words(self._standing, self._view, self._shown, place) + _stands(fate, finding)
            b = b if math.isfinite(b) else TALL - 8
            if fate in (STOPPED, FAILED):
                parts.append(_sign(a - 10, b - 10, 20, 20, fate, "currentColor"))
            elif np.isfinite(up[place, 0]):
                fill = "none" if finding else colour
                parts.append(
                    f'<circle cx="{svg.px(a)}" cy="{svg.px(b)}" r="4" fill="{fill}" stroke="{colour}" stroke-width="2">'
                    f"<title>{svg.clean(words)}</title></circle>"
                )
        return parts

    def key(self) -> list[str]:
        """What the signs mean, of those that there are."""
        shown, x, y = self._shown, self._left, HEAD + 6 + TALL + 52
        grey = lambda: f'<rect {_at(0, 0, 14, 12)} fill-opacity="0.16"/>'  # noqa: E731
        found: list[tuple[bool, str, str]] = [
            (
                (shown.finding == k).any() and self._y is not None,
                words,
                grey() + svg.path(_hatch(0, 0, 14, 12, k), opacity=0.75),
            )
            for k, words in enumerate(FINDINGS[1:], 1)
        ]
        found.append(
            (bool((shown.fate == WAITING).any()), "waiting", f'<rect {_at(0, 0, 14, 12)} fill-opacity="0.1"/>')
        )
        for fate, words in ((STOPPED, "stopped"), (FAILED, "failed")):
            found.append((bool((shown.fate == fate).any()), words, grey() + _sign(0, 0, 14, 12, fate, "currentColor")))
        if any(axis.seeds and len(axis.values) > 1 for axis in self._standing.axes) and self._y is not None:
            halves = (
                f'<rect {_at(0, 0, 14, 12)} fill="{HIGH_SHADES[19]}"/><rect {_at(3, 2, 4, 8)} fill="{HIGH_SHADES[8]}"/>'
            )
            found.append(
                (True, "lowest and highest seed", f'{halves}<rect {_at(7, 2, 4, 8)} fill="{HIGH_SHADES[30]}"/>')
            )
        found.append((bool(self._drawn["contour"]), "equal score", svg.path("M0 11L14 1", stroke_width=1.6)))
        corner = grey() + svg.path("M8 0h6v6z", fill="currentColor", stroke="none")
        found.append((self._view.front and self._y is not None and bool(self._drawn["front"]), "Pareto front", corner))
        parts = []
        for there, words, drawn in found:
            if there:
                parts.append(svg.group(x, y, [drawn, svg.text(19, 10, words)]))
                x += 19 + svg.width(words) + 16
        return parts


def _at(x: float, y: float, width: float, height: float) -> str:
    return f'x="{svg.px(x)}" y="{svg.px(y)}" width="{svg.px(max(width, 0))}" height="{svg.px(max(height, 0))}"'


def _stands(fate: int, finding: int) -> str:
    words = [
        {STOPPED: "stopped", FAILED: "failed", RUNNING: "unfinished", WAITING: "waiting"}.get(fate, ""),
        FINDINGS[finding],
    ]
    return "".join(f", {word}" for word in words if word)


def _over(colour: str) -> str:
    """What is legible on a colour."""
    red, green, blue = ((int(colour[k : k + 2], 16) / 255) ** 2.2 for k in (1, 3, 5))
    return "#000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 else "#fff"


def _hatch(x: float, y: float, width: float, height: float, finding: int) -> str:
    """Lines over a place: lying where it is silent, standing where it is saturated, leaning where it diverged."""
    apart = max(3.0, min(width, height) / 4)
    if finding == 1:
        return "".join(f"M{svg.px(x)} {svg.px(y + at)}h{svg.px(width)}" for at in np.arange(apart / 2, height, apart))
    if finding == 2:
        return "".join(f"M{svg.px(x + at)} {svg.px(y)}v{svg.px(height)}" for at in np.arange(apart / 2, width, apart))
    lines = []
    for at in np.arange(apart / 2, width + height, 1.3 * apart):
        start = x + max(0.0, at - height), y + min(at, height)
        end = x + min(at, width), y + max(0.0, at - width)
        lines.append(f"M{svg.px(start[0])} {svg.px(start[1])}L{svg.px(end[0])} {svg.px(end[1])}")
    return "".join(lines)


def _sign(x: float, y: float, width: float, height: float, fate: int, colour: str) -> str:
    """A cross where it was stopped, a triangle where it failed."""
    r, cx, cy = 0.3 * min(width, height), x + width / 2, y + height / 2
    if fate == STOPPED:
        d = "".join(f"M{svg.px(cx - r)} {svg.px(cy - t * r)}L{svg.px(cx + r)} {svg.px(cy + t * r)}" for t in (1, -1))
        return svg.path(d, stroke=colour, stroke_width=round(max(1.2, r / 3), 1))
    if fate == FAILED:
        corners = [(cx, cy - 1.25 * r), (cx + 1.25 * r, cy + r), (cx - 1.25 * r, cy + r)]
        return svg.path(
            "M" + "L".join(f"{svg.px(a)} {svg.px(b)}" for a, b in corners) + "z", fill=VERMILION, stroke="none"
        )
    return ""
