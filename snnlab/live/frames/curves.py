"""From history to pictures, as pure functions: what every trace of the curves should show, and what the texts say.

Nothing here knows a widget, so all of it is tested headless.
"""

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from snnlab.history import History
from snnlab.history.series import bin_means

# Okabe & Ito (2008): told apart with any kind of colour vision. Train and test also differ by line and marker.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
TERM_COLOURS = (GREEN, PURPLE, VERMILION, SKY, ORANGE, BLUE)

Curve = tuple[np.ndarray, np.ndarray]


def moving_mean(curve: Curve) -> Curve:
    """Mean over a window of a twenty-fifth of the curve, centred; at the ends over the part of it that is there.

    Example:
        >>> moving_mean((np.arange(3.0), np.array([0.0, 3.0, 0.0])))[1].tolist()
        [1.5, 1.0, 1.5]
    """
    x, y = curve
    reach = max(1, len(y) // 50)
    sums = np.concatenate([[0.0], np.cumsum(y, dtype=np.float64)])
    first = np.maximum(np.arange(len(y)) - reach, 0)
    end = np.minimum(np.arange(len(y)) + reach + 1, len(y))
    return x, ((sums[end] - sums[first]) / (end - first)).astype(np.float32)


def curves(history: History, steps_per_epoch: int) -> dict[str, Curve]:
    """Every curve by name: train metrics over steps, and "test_loss", "test_acc" at the ends of the epochs."""
    found = {name: bin_means(values) for name, values in history.steps().items() if name != "epoch"}
    return found | test_curves(history, steps_per_epoch)


def test_curves(history: History, steps_per_epoch: int) -> dict[str, Curve]:
    """ "test_loss" and "test_acc" at the ends of the epochs; of many epochs the means of some."""
    results = history.results()
    found = {name: bin_means(results.get(name, np.empty(0))) for name in ("test_loss", "test_acc")}
    return {name: (x * np.float32(steps_per_epoch), y) for name, (x, y) in found.items()}


def words(curves: dict[str, Curve]) -> str:
    """What the curves have come to, for those who do not see them.

    Example:
        >>> words({"loss": (np.array([8.0]), np.array([0.5])), "test_acc": (np.empty(0), np.empty(0))})
        'Curves at step 8: loss 0.5.'
    """
    ends = {name: (x[-1], y[-1]) for name, (x, y) in curves.items() if len(x)}
    if not ends:
        return "Curves: nothing yet."
    said = [f"{name.replace('_', ' ')} {value:.3g}" for name, (_, value) in ends.items()]
    return f"Curves at step {max(step for step, _ in ends.values()):,.0f}: {', '.join(said)}."


def joined(curves_of_runs: Sequence[dict[str, Curve]], name: str) -> Curve:
    """One curve of several runs as one line, interrupted by NaN between them."""
    gap = np.full(1, np.nan, np.float32)
    found = [curves[name] for curves in curves_of_runs if name in curves]
    parts = [part for x, y in found for part in ((x, y), (gap, gap))]
    if not parts:
        return np.empty(0, np.float32), np.empty(0, np.float32)
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


class Mark(NamedTuple):
    """An intervention in the curves: where, and what it says."""

    step: int
    label: str


def marks(interventions: Sequence[dict[str, Any]], total_steps: int) -> list[Mark]:
    """One mark for every move; a knob that is dragged makes one, at its end, with the value it came to.

    Args:
        interventions: see `History.interventions`.
        total_steps: of the run; moves of one knob closer than a fiftieth of it are one drag.

    Example:
        >>> drag = [{"step": s, "knob": "hidden.v_th", "old": 1.0, "new": v} for s, v in ((10, 0.9), (11, 0.75))]
        >>> marks(drag, total_steps=300)
        [Mark(step=11, label='v_th 0.75')]
    """
    found: list[tuple[int, str, float]] = []
    for row in interventions:
        step, knob = row["step"], row["knob"]
        if found and found[-1][1] == knob and step - found[-1][0] <= max(1, total_steps // 50):
            found.pop()
        found.append((step, knob, row["new"]))
    return [Mark(step, f"{knob.rpartition('.')[2]} {value:.3g}") for step, knob, value in found]


def clock(seconds: float) -> str:
    """A duration as people say it.

    Example:
        >>> clock(7.4), clock(187), clock(7500)
        ('7 s', '3 min 07 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def error_text(traceback: str) -> str:
    """The last line of a traceback, and all of it to open below."""
    last = traceback.strip().splitlines()[-1]
    whole = f"<details><summary>traceback</summary><pre>{html.escape(traceback)}</pre></details>"
    return f"<b>error</b> &middot; {html.escape(last)}{whole}"
