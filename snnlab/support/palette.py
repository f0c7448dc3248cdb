"""The colours and dashes of everything that is drawn: the dashboard, its picture, the exhibit. Defined once."""

import json
from typing import NamedTuple

# Okabe & Ito (2008): distinguishable with any kind of colour vision.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
DASHES = ((), (7, 4), (2, 3), (9, 3, 2, 3), (14, 4), (14, 3, 2, 3))  # pixels on, off, on, ...
GREY = "#808080"  # legible on white and on black
STEPS = (1, 2, 5, 10)  # times a power of ten: the distance between two ticks

# Two scales from hues of the same palette. Their lightness rises or falls evenly, so they are read without colour, too;
# bright is what one wants: a high score, few spikes.
HIGH_IS_BRIGHT = ("#1a1440", BLUE, GREEN, "#f0e442")
LOW_IS_BRIGHT = ("#fdf2d0", ORANGE, VERMILION, "#8c2a55", "#2a0f3c")
SHADES = 33  # of a scale

# From linear RGB to the three cones, from their cube roots to Oklab, and back.
_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_FROM_OKLAB = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_FROM_CONES = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)


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


def shades(ends: tuple[str, ...], count: int = SHADES) -> tuple[str, ...]:
    """Colours from the first of `ends` through the others to the last, evenly spaced in lightness in the space Oklab.

    Source: Ottosson (2020), "A perceptual color space for image processing".

    Example:
        >>> shades(("#000000", "#ffffff"), 3)
        ('#000000', '#636363', '#ffffff')
        >>> len(shades(HIGH_IS_BRIGHT)), shades(HIGH_IS_BRIGHT)[0]
        (33, '#1a1440')
    """
    corners = [_oklab(colour) for colour in ends]
    lights = [corner[0] for corner in corners]
    falls = lights[-1] < lights[0]
    found = []
    for k in range(count):
        light = lights[0] + (lights[-1] - lights[0]) * k / (count - 1)
        after = next(n for n in range(1, len(ends)) if n == len(ends) - 1 or (lights[n] <= light) == falls)
        low, high = corners[after - 1], corners[after]
        share = (light - low[0]) / (high[0] - low[0])
        found.append(_hex(tuple(a + share * (b - a) for a, b in zip(low, high, strict=True))))
    return tuple(found)


def _oklab(colour: str) -> tuple[float, ...]:
    levels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
    return _times(_OKLAB, [value ** (1 / 3) for value in _times(_CONES, linear)])


def _hex(lab: tuple[float, ...]) -> str:
    linear = _times(_FROM_CONES, [value**3 for value in _times(_FROM_OKLAB, lab)])
    levels = [12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055 for value in linear]
    return "#" + "".join(f"{round(255 * min(max(level, 0.0), 1.0)):02x}" for level in levels)


def _times(matrix: tuple[tuple[float, ...], ...], vector) -> tuple[float, ...]:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def javascript() -> str:
    """The module `style.js` with no more than colours and steps, for a page that is not the dashboard.

    Example:
        >>> javascript()[:20]
        'export const STYLE ='
    """
    many = [of_many(k) for k in range(len(COLOURS) * len(DASHES))]
    return f"export const STYLE = {json.dumps({'colours': COLOURS, 'many': many, 'steps': STEPS})};\n"
