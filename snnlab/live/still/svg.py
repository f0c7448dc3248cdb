"""The parts of SVG that `snnlab.live.still.picture` consists of, as text: scales, axes, curves, rasters, words."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from unicodedata import east_asian_width

import numpy as np

from snnlab.live.frames.style import DARK, GREY, LIGHT, STEPS
from snnlab.support.markup import plain

DARK_STYLE = f"svg.snnlab-picture{{color:{DARK.ink}}}svg.snnlab-picture>.card{{fill:{DARK.paper}}}"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Scale(NamedTuple):
    """Maps values to pixels: `low .. high` to `0 .. size`, or to `size .. 0` if it points up like a y axis.

    With `log`, `low` and `high` are exponents of ten, and values that are not positive map to NaN. Ticks are at least
    `least` apart.

    Example:
        >>> Scale(0.0, 50.0, size=100.0)(10.0).item(), Scale(-2.0, 2.0, size=80.0, up=True, log=True)(0.1).item()
        (20.0, 60.0)
    """

    low: float
    high: float
    size: float
    up: bool = False
    log: bool = False
    least: float = 0.0

    @classmethod
    def around(cls, values: np.ndarray, size: float, log: bool = False) -> "Scale":
        """Make a scale that points up, from a round value to a round value, with all finite values between.

        Example:
            >>> Scale.around(np.array([0.13, 2.3, np.nan]), size=100.0)[:2]
            (0.0, 2.5)
        """
        values = np.asarray(values, np.float64)
        values = np.log10(values[values > 0]) if log else values
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
        if high - low <= 1e-4 * max(abs(low), abs(high)):  # flat: show it against zero
            low, high = min(low, 0.0), max(high, 0.0) or float(low >= 0)
        if log:
            marks = [math.log10(mark) for mark in _log_marks(low, high)]
            return cls(
                max(m for m in marks if m <= low + 1e-6), min(m for m in marks if m >= high - 1e-6), size, True, log
            )
        step = round_step(low, high)
        return cls(step * math.floor(low / step + 1e-6), step * math.ceil(high / step - 1e-6), size, True)

    def __call__(self, values: Any) -> np.ndarray:
        """Map values to pixels."""
        values = np.asarray(values, np.float64)
        if self.log:
            values = np.log10(values, where=values > 0, out=np.full(values.shape, np.nan))
        share = (values - self.low) / (self.high - self.low)
        return self.size * (1 - share if self.up else share)

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """Return about `count` round values at most: the pixel and the text of each.

        Example:
            >>> Scale(0.0, 2.5, size=100.0).ticks(3)
            [(0.0, '0'), (40.0, '1'), (80.0, '2')]
        """
        if self.log and self.high - self.low < 2:
            within = 10 ** (self.low - 1e-6), 10 ** (self.high + 1e-6)
            marks = [mark for mark in _log_marks(self.low, self.high) if within[0] <= mark <= within[1]]
            return [(float(self(mark)), number(mark)) for mark in marks]
        step = max(1.0 if self.log else self.least, round_step(self.low, self.high, count))
        first, last = math.ceil(self.low / step - 1e-6), math.floor(self.high / step + 1e-6)
        if self.log:
            powers = [round(step) * k for k in range(first, last + 1)]
            return [(float(self(10.0**power)), f"10{str(power).translate(SUPERSCRIPT)}") for power in powers]
        return [(float(self(step * k)), number(step * k, 6)) for k in range(first, last + 1)]


def _log_marks(low: float, high: float) -> list[float]:
    return [float(f"{k}e{power}") for power in range(math.floor(low), math.ceil(high) + 1) for k in STEPS[:-1]]


def round_step(low: float, high: float, count: int = 5) -> float:
    """Return the smallest of ..., 1, 2, 5, 10, 20, ... that fits at most `count` times between `low` and `high`.

    Example:
        >>> round_step(0.0, 2.3), round_step(0.0, 110.0), round_step(0.0, 0.5)
        (0.5, 50.0, 0.1)
    """
    raw = (high - low) / count * (1 - 1e-6)
    exponent = math.floor(math.log10(raw))
    # not 5 * 10.0**-1: only the shortest decimal prints without a tail of nines
    return next(step for k in STEPS if (step := float(f"{k}e{exponent}")) >= raw)


def number(value: float, digits: int = 3) -> str:
    """Format a number as people write it.

    Example:
        >>> number(0.22164), number(12345.6), number(1.42e-5), number(float("nan"))
        ('0.222', '12,346', '1.42·10⁻⁵', 'not a number')
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    plain = digits < 6 and 1e3 <= abs(value) < 1e6
    mantissa, _, power = (f"{value:,.0f}" if plain else f"{value:,.{digits}g}").partition("e")
    return mantissa + (f"·10{str(int(power)).translate(SUPERSCRIPT)}" if power else "")


def clean(text: Any) -> str:
    """Escape a text for XML.

    Example:
        >>> clean("R&D <v_th>" + chr(0))
        'R&amp;D &lt;v_th&gt; '
    """
    return plain("".join(char if char.isprintable() else " " for char in str(text)))


def cut(words: Any, most: int = 20) -> str:
    """Shorten a text to at most `most` characters.

    Example:
        >>> cut("cross_entropy", 8)
        'cross_e…'
    """
    words = str(words)
    return words if len(words) <= most else words[: most - 1] + "…"


def width(words: str, size: float = 11) -> float:
    """Estimate the width of a text [pixels]; rather too much than too little."""
    return size * sum(1.04 if east_asian_width(char) in "WF" else 0.58 for char in words)


def px(value: float) -> str:
    """Format a coordinate, to a tenth of a pixel."""
    return f"{round(float(value), 1) + 0.0:g}"


def text(x: float, y: float, words: Any, *, anchor: str = "", size: int = 0, weight: int = 0) -> str:
    """Write a line of text; attributes that are not given are inherited.

    Example:
        >>> text(10, 20.25, "loss", anchor="end")
        '<text x="10" y="20.2" text-anchor="end">loss</text>'
    """
    style = {"text-anchor": anchor, "font-size": size, "font-weight": weight}
    attributes = "".join(f' {key}="{value}"' for key, value in style.items() if value)
    return f'<text x="{px(x)}" y="{px(y)}"{attributes}>{clean(words)}</text>'


def path(d: str, name: str = "", **style: Any) -> str:
    """Write a path, by default stroked in the colour of the text; its name shows when the mouse is over it.

    Example:
        >>> path("M0 0h22", stroke_width=2)
        '<path d="M0 0h22" fill="none" stroke="currentColor" stroke-width="2"/>'
    """
    style = {"fill": "none", "stroke": "currentColor"} | style
    attributes = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in style.items() if value != "")
    return f'<path d="{d}"{attributes}' + (f"><title>{clean(name)}</title></path>" if name else "/>")


def group(x: float, y: float, parts: Iterable[str]) -> str:
    """Write parts in their own coordinates, with the origin at `(x, y)`."""
    return "\n".join([f'<g transform="translate({px(x)} {px(y)})">', *parts, "</g>"])


def polyline(x: np.ndarray, y: np.ndarray) -> str:
    """Write a curve for `path`, broken where it is not finite; `h0` makes a single point a dot.

    Example:
        >>> polyline(np.array([0.0, 1.0, 2.0, 3.0]), np.array([5.0, 6.5, np.nan, 7.0]))
        'M0 5h0l1 1.5M3 7h0'
    """
    parts, pen = [], None
    for at in np.round(10 * np.stack([x, y], axis=1)).tolist():  # whole tenths: no rounding errors add up
        there = math.isfinite(at[1])
        if there and pen:
            right, down = (_tenths(new - old) for new, old in zip(at, pen, strict=True))
            parts.append(f"l{right}{'' if down.startswith('-') else ' '}{down}")
        elif there:
            parts.append(f"M{at[0] / 10:g} {at[1] / 10:g}h0")
        pen = at if there else None
    return "".join(parts)


def _tenths(count: float) -> str:
    """Format a number of tenths without a leading zero."""
    written = f"{count / 10:g}"
    return written.replace("0.", ".", 1) if abs(count) < 10 else written


def cells(on: np.ndarray) -> str:
    """Write for `path` one move and one stroke for every run of true cells; first axis to the right, second one down.

    Example:
        >>> cells(np.array([[True, True, False], [False, False, True]]))
        'm0 0v2m1 0v1'
    """
    edges = np.diff(np.pad(on.astype(np.int8), ((0, 0), (1, 1))))
    starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    moves = starts - np.concatenate([np.zeros((1, 2), int), ends])[:-1]
    runs = (ends - starts)[:, 1]
    return "".join(f"m{right}{down: d}v{run}" for (right, down), run in zip(moves, runs, strict=True))


def axes(x: Scale, y: Scale, unit: str = "", beside: Sequence[tuple[float, str]] | None = None) -> list[str]:
    """Write a grid and an x axis with ticks, and their numbers; numbers of x only with a unit.

    Args:
        x: to the right.
        y: upwards.
        unit: of x, after its numbers.
        beside: pixel and text of each number at the y axis; default: round values.
    """
    below, beside = x.ticks(), y.ticks() if beside is None else beside
    grid = "".join(f"M0 {px(at)}H{px(x.size)}" for at, _ in beside)
    feet = "".join(f"M{px(at)} {px(y.size)}v4" for at, _ in below)
    parts = [path(grid, opacity=0.15), path(f"M0 {px(y.size)}H{px(x.size)}{feet}", opacity=0.6)]
    parts += [text(-7, at + 4, words, anchor="end") for at, words in beside]
    if unit:
        parts += [text(at, y.size + 17, words, anchor="middle") for at, words in below]
        end, words = below[-1]
        parts.append(text(max(x.size, end + width(words) / 2) + 8, y.size + 17, unit))
    return parts


def inline(body: Iterable[str], width: int, height: int, *, title: str, words: str) -> str:
    """Write an image for a page, on the paper and in the ink of that page.

    Args:
        body: the elements, in drawing order.
        width: of the image [pixels]; it shrinks where there is less room.
        height: of the image [pixels].
        title: for the mouse pointer and for screen readers.
        words: the content of the image, for screen readers.

    Example:
        >>> inline([], 960, 80, title="a run", words="not trained yet").splitlines()[1:]
        ['<title>a run</title>', '<desc>not trained yet</desc>', '</svg>']
    """
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" style="max-width:100%;height:auto"'
    look = 'fill="currentColor" font-family="system-ui, sans-serif" font-size="11"'
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} {look}>', f"<title>{clean(title)}</title>"]
    return "\n".join([*head, f"<desc>{clean(words)}</desc>", *body, "</svg>"])


def card(body: Iterable[str], width: int, height: int, *, title: str, words: str) -> str:
    """Write the whole image: a card, light or dark as the reader prefers, and a body on it.

    Args:
        body: the elements on the card, in drawing order.
        width: of the card [pixels]; it shrinks where there is less room.
        height: of the card [pixels].
        title: for the mouse pointer and for screen readers.
        words: the content of the image, for screen readers.

    Example:
        >>> card([], 960, 80, title="a run", words="not trained yet").splitlines()[1:3]
        ['<title>a run</title>', '<desc>not trained yet</desc>']
    """
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" style="max-width:100%;height:auto"'
    look = f'color="{LIGHT.ink}" fill="currentColor" font-family="system-ui, sans-serif" font-size="11"'
    edge = f'width="{width - 1}" height="{height - 1}" rx="8" stroke="{GREY}" stroke-opacity=".5"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="snnlab-picture" role="img" {size} {look}>',
        f"<title>{clean(title)}</title>",
        f"<desc>{clean(words)}</desc>",
        f"<style>@media (prefers-color-scheme:dark){{{DARK_STYLE}}}</style>",
        f'<rect class="card" fill="{LIGHT.paper}" x=".5" y=".5" {edge}/>',
    ]
    return "\n".join([*head, *body, "</svg>\n"])
