"""The look of everything that the dashboard draws: colours, dashes, round steps; the colours are `support.palette`'s.

plotly's curves and the SVG picture import it; the dashboard gets it as a script and as CSS variables.
"""

import json

from snnlab.support.palette import (
    BLUE,
    COLOURS,
    DARK,
    DASHES,
    GREEN,
    GREY,
    HIGH_IS_BRIGHT,
    LIGHT,
    LOW_IS_BRIGHT,
    ORANGE,
    PURPLE,
    SKY,
    STEPS,
    VERMILION,
    Line,
    Theme,
    of_many,
    shades,
)

__all__ = ["BLUE", "COLOURS", "DARK", "DASHES", "GREEN", "GREY", "LIGHT", "ORANGE", "PURPLE", "SKY", "STEPS"]
__all__ += ["VERMILION", "Line", "Theme", "css", "javascript", "of_branch", "of_many", "of_metric", "of_term"]
__all__ += ["HIGH_SHADES", "LOW_SHADES"]

EARLIER = (Line(GREY, (6, 3)), Line(GREY, (10, 3, 1, 3)), Line(GREY, (1, 2)))  # runs, the newest first, and again
TRAIN, TEST = Line(BLUE), Line(ORANGE, DASHES[1])
HIGH_SHADES, LOW_SHADES = shades(HIGH_IS_BRIGHT), shades(LOW_IS_BRIGHT)  # of a map: a score, and spikes a sample
OTHERS = {"spikes_per_sample": Line(GREEN), "grad_norm": Line(VERMILION)}


def of_metric(name: str) -> Line:
    """The line of a metric that has a plot of its own, or shares it with its test.

    Example:
        >>> of_metric("loss").colour, of_metric("test_loss").colour
        ('#0072B2', '#E69F00')
    """
    return TEST if name.startswith(("test_", "val_")) else OTHERS.get(name, TRAIN)


def of_term(k: int) -> Line:
    """Term `k` of the loss: as `of_many`, but the colours of train and test come last."""
    return of_many(k)._replace(colour=COLOURS[(k + 2) % len(COLOURS)])


def of_branch(k: int) -> Line:
    """Branch `k` of a run: no colour of train and test, and no line without gaps; no two of the first 20 are alike."""
    return Line(COLOURS[2 + k % 4], DASHES[1 + k % 5])


def javascript() -> str:
    """The module `style.js`, for the scripts of the dashboard. A line is `[colour, dash]`."""
    many = range(len(COLOURS) * len(DASHES))
    style = {
        "colours": COLOURS,
        "many": [of_many(k) for k in many],
        "terms": [of_term(k) for k in many],
        "train": TRAIN,
        "test": TEST,
        "others": OTHERS,
        "steps": STEPS,
        "threshold": DASHES[1],
        "earlier": EARLIER,
        "branches": [of_branch(k) for k in range(20)],
        "shades": {"high": HIGH_SHADES, "low": LOW_SHADES},
        "paper": {"light": LIGHT.paper, "dark": DARK.paper},
        "ink": {"light": LIGHT.ink, "dark": DARK.ink},
    }
    return f'/** @type {{import("./types").Style}} */\nexport const STYLE = {json.dumps(style)};\n'


def css() -> str:
    """The definition of the colours in the style sheet."""
    return f".snnlab {{ --snnlab-focus: {ORANGE}; --snnlab-warning: {VERMILION}; }}\n"
