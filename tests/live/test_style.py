"""One style for all renderers: lines can be told apart, and the browser gets the same colours as Python."""

import json
import re

from snnlab.history import History
from snnlab.live.figure import figure
from snnlab.live.frames import style
from snnlab.live.frames.status import Recorded
from snnlab.live.widgets.cockpit import Cockpit

HEX = re.compile(r"#[0-9A-Fa-f]{6}\b")


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_no_two_lines_of_many_are_alike():
    lines = [style.of_many(k) for k in range(36)]
    assert len(set(lines)) == 36
    for six in (lines[k : k + 6] for k in range(0, 36, 6)):
        assert len({line.dash for line in six}) == 6  # also without colour
    assert len({style.of_term(k) for k in range(36)}) == 36
    assert {style.of_term(k).colour for k in range(4)}.isdisjoint({style.TRAIN.colour, style.TEST.colour})


def test_text_is_legible_on_both_themes():
    for theme in (style.LIGHT, style.DARK):
        assert contrast(theme.paper, theme.ink) > 7  # WCAG 2, AAA
        assert contrast(theme.paper, style.GREY) > 3


def test_the_browser_gets_the_colours_of_python():
    """No renderer has a colour of its own, except white for the middle of a diverging scale."""
    shades = (*style.HIGH_SHADES, *style.LOW_SHADES)  # of the map of a study
    known = {colour.lower() for colour in (*style.COLOURS, *shades, style.GREY, *style.LIGHT, *style.DARK)}
    assert {colour.lower() for colour in HEX.findall(str(Cockpit._esm))} <= known
    given = json.loads(re.search(r"STYLE = (.*);\n", str(Cockpit._esm))[1])
    assert tuple(given["colours"]) == style.COLOURS and len(given["many"]) == 36
    run = Recorded(History(), 5)
    drawn = figure(run, terms=["cross_entropy", "l1", "l2"], spiking=True, earlier=(), total_steps=5)
    assert {trace.line.color.lower() for trace in drawn.data} <= known
