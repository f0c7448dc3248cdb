"""Bar charts on a logarithmic axis as SVG text: no dependency, legible on a light and on a dark page."""

import math
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 800, 190, 130  # pixels; bars begin at LEFT and end before WIDTH - RIGHT, where their numbers fit
ROW, BAR, HEAD, FOOT = 26, 16, 34, 40
TEXT, GRID, OURS, PEER = "#6e7781", "#8c959f", "#d9730d", "#5b8db8"  # each has contrast to white and to black


class Bar(NamedTuple):
    """One bar; `ours` is drawn in another colour."""

    label: str
    value: float
    note: str
    ours: bool


class Panel(NamedTuple):
    """Bars under a title."""

    title: str
    bars: list[Bar]


def chart(panels: list[Panel], unit: str) -> str:
    """An SVG document; all panels share one axis."""
    values = [bar.value for panel in panels for bar in panel.bars]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    if 10.0**low == min(values):
        low -= 1  # on a logarithmic axis the shortest bar needs a length, too

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - low) / (high - low)

    parts, top = [], 0
    for panel in panels:
        parts.append(_panel(panel, top, x, [10.0**power for power in range(low, high + 1)]))
        top += HEAD + ROW * len(panel.bars) + FOOT
    title = escape("; ".join(panel.title for panel in panels))
    size = f'viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"'
    style = 'role="img" font-family="system-ui, sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>'
    return "\n".join([head, f"<title>{title} [{escape(unit)}]</title>", *parts, "</svg>", ""])


def _panel(panel: Panel, top: int, x, ticks: list[float]) -> str:
    first = top + HEAD
    bottom = first + ROW * len(panel.bars)
    lines = [f'<text x="0" y="{top + 18}" fill="{TEXT}" font-weight="600">{escape(panel.title)}</text>']
    for tick in ticks:
        lines.append(
            f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{first}" y2="{bottom}" stroke="{GRID}" opacity="0.4"/>'
        )
        lines.append(_text(x(tick), bottom + 16, f"{tick:g}", "middle"))
    for number, bar in enumerate(panel.bars):
        y = first + ROW * number + (ROW - BAR) / 2
        base, end = x(ticks[0]), x(bar.value)
        colour = OURS if bar.ours else PEER
        lines.append(_text(LEFT - 8, y + 13, bar.label, "end"))
        lines.append(f'<rect x="{base:.1f}" y="{y}" width="{end - base:.1f}" height="{BAR}" rx="2" fill="{colour}"/>')
        lines.append(_text(end + 6, y + 13, bar.note, "start"))
    return "\n".join(lines)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{TEXT}" text-anchor="{anchor}">{escape(text)}</text>'
