"""From a history to curves, as pure functions: what every trace shows, and the same in words.

Nothing here knows a widget; all of it is tested headless.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from snnlab.history import History
from snnlab.history.series import bin_means

Curve = tuple[np.ndarray, np.ndarray]


def moving_mean(curve: Curve) -> Curve:
    """Average over a centred window of a twenty-fifth of the curve; at the ends, over the part of it that exists.

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
    """Return every curve by name: train metrics over steps, and "test_loss", "test_acc" at the ends of the epochs."""
    found = {name: bin_means(values) for name, values in history.steps().items() if name != "epoch"}
    return found | test_curves(history, steps_per_epoch)


def test_curves(history: History, steps_per_epoch: int) -> dict[str, Curve]:
    """Return "test_loss" and "test_acc" at the ends of the epochs; neighbours of very many epochs are averaged."""
    results = history.results()
    found = {name: bin_means(results.get(name, np.empty(0))) for name in ("test_loss", "test_acc")}
    return {name: (x * np.float32(steps_per_epoch), y) for name, (x, y) in found.items()}


def words(curves: dict[str, Curve]) -> str:
    """Say where the curves ended, for screen readers.

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
    """Join one curve of several runs to one line, with NaN between them."""
    gap = np.full(1, np.nan, np.float32)
    found = [curves[name] for curves in curves_of_runs if name in curves]
    parts = [part for x, y in found for part in ((x, y), (gap, gap))]
    if not parts:
        return np.empty(0, np.float32), np.empty(0, np.float32)
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


class Mark(NamedTuple):
    """An intervention in the curves: its step and its label."""

    step: int
    label: str


def marks(interventions: Sequence[dict[str, Any]], total_steps: int) -> list[Mark]:
    """Return one mark for every move. A drag of a knob becomes one mark, at its end, with its last value.

    Args:
        interventions: see `History.interventions`.
        total_steps: of the run; moves of one knob that are closer than a fiftieth of it are one drag.

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
