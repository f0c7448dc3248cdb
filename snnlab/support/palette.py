"""The colours and dashes of everything that is drawn: the dashboard, its picture, the exhibit. Defined once."""

import json
from typing import NamedTuple

# Okabe & Ito (2008): distinguishable with any kind of colour vision.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
DASHES = ((), (7, 4), (2, 3), (9, 3, 2, 3), (14, 4), (14, 3, 2, 3))  # pixels on, off, on, ...
GREY = "#808080"  # legible on white and on black
STEPS = (1, 2, 5, 10)  # times a power of ten: the distance between two ticks


class Line(NamedTuple):
    """Colour and dash of a line."""

    colour: str
    dash: tuple[int, ...] = ()


class Theme(NamedTuple):
    """Colours of a page: what is drawn on, and what text is written with."""

    paper: str
    ink: str


LIGHT, DARK = Theme("#ffffff", "#1f2328"), Theme("#15191e", "#d8dee4")


def of_many(k: int) -> Line:
    """Line `k` of many, such as the classes of a readout. No two of the first 36 are alike.

    Six lines differ by colour and also by dash, so that they can be told apart without colour.

    Example:
        >>> of_many(0), of_many(7)
        (Line(colour='#0072B2', dash=()), Line(colour='#E69F00', dash=(2, 3)))
    """
    return Line(COLOURS[k % len(COLOURS)], DASHES[(k + k // len(COLOURS)) % len(DASHES)])


def javascript() -> str:
    """The module `style.js` with no more than colours and steps, for a page that is not the dashboard.

    Example:
        >>> javascript()[:20]
        'export const STYLE ='
    """
    many = [of_many(k) for k in range(len(COLOURS) * len(DASHES))]
    return f"export const STYLE = {json.dumps({'colours': COLOURS, 'many': many, 'steps': STEPS})};\n"
