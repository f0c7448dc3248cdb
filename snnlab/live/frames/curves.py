"""From a history to curves, as pure functions: what every trace shows, and the same in words.

Nothing here knows a widget; all of it is tested headless.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from snnlab.history import History
from snnlab.history.series import bin_means
from snnlab.support import numbers

Curve = tuple[np.ndarray, np.ndarray]

WINDOWS = ("all steps", "last 200", "last move")  # of the axis
CLOSE = 200  # steps in a window that is not all
LABEL = 24  # characters of a note in the curves
NAMED = 3  # moves that are told to screen readers


def curves(history: History, steps_per_epoch: int, part: tuple[int, int] | None = None) -> dict[str, Curve]:
    """Return every curve by name: train metrics over steps, and loss and score of the part that is looked at, at the
    ends of the epochs.

    Args:
        history: of the run.
        steps_per_epoch: of the run.
        part: only the training steps after the first number, up to the second; default: all.
    """
    first, last = part or (0, len(history))
    steps = {name: values[first:last] for name, values in history.steps().items() if name != "epoch"}
    found = {name: (x + np.float32(first), y) for name, (x, y) in ((n, bin_means(v)) for n, v in steps.items())}
    return found | test_curves(history, steps_per_epoch)


def test_curves(history: History, steps_per_epoch: int) -> dict[str, Curve]:
    """Return loss and score of the part that is looked at, at the ends of the epochs, such as "test_loss", "test_acc".

    Neighbours of very many epochs are averaged.
    """
    results, scored = history.results(), history.scored
    found = {name: bin_means(results.get(name, np.empty(0))) for name in (scored.loss, scored.result)}
    return {name: (x * np.float32(steps_per_epoch), y) for name, (x, y) in found.items()}


class Mark(NamedTuple):
    """A move or a note in the curves: its step and its label."""

    step: int
    label: str


def words(curves: dict[str, Curve], marks: Sequence[Mark] = (), earlier: Sequence[str] = ()) -> str:
    """Say where the curves ended and what was moved last, for screen readers.

    Args:
        curves: by name.
        marks: the moves, oldest first.
        earlier: names of earlier runs.

    Example:
        >>> ends = {"loss": (np.array([8.0]), np.array([0.5])), "test_acc": (np.empty(0), np.empty(0))}
        >>> words(ends)
        'Curves at step 8: loss 0.5.'
        >>> words(ends, [Mark(3, "v_th 0.9"), Mark(6, "l1 0.01")])
        'Curves at step 8: loss 0.5. 2 moves, the newest first: l1 0.01 at step 6, v_th 0.9 at step 3.'
    """
    ends = {name: (x[-1], y[-1]) for name, (x, y) in curves.items() if len(x)}
    said = [f"{name.replace('_', ' ')} {numbers.number(float(value))}" for name, (_, value) in ends.items()]
    last = max((step for step, _ in ends.values()), default=0)
    now = f"Curves at step {last:,.0f}: {', '.join(said)}." if said else "Curves: nothing yet."
    return now + _moved(marks) + (f" Behind them: {'; '.join(earlier)}." if earlier else "")


def _moved(marks: Sequence[Mark]) -> str:
    """Count the moves and name the newest."""
    if not marks:
        return ""
    named = ", ".join(f"{label} at step {step:,}" for step, label in reversed(marks[-NAMED:]))
    return f" {numbers.count(len(marks), 'move')}, the newest{' first' if len(marks) > 1 else ''}: {named}."


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
    return [Mark(step, f"{knob.rpartition('.')[2]} {numbers.number(value)}") for step, knob, value in found]


def all_marks(history: History, total_steps: int) -> list[Mark]:
    """Return one mark for every move and every note, in the order of their steps.

    Example:
        >>> history = History()
        >>> history.add_note("the raster is empty: is the threshold too high?")
        >>> all_marks(history, total_steps=300)
        [Mark(step=0, label='“the raster is empty: is…”')]
    """
    notes = [Mark(note["step"], f"\u201c{_cut(note['text'])}\u201d") for note in history.notes]
    return sorted([*marks(history.interventions, total_steps), *notes], key=lambda mark: mark.step)


def _cut(text: str) -> str:
    return text if len(text) <= LABEL else f"{text[: LABEL - 1].rstrip()}\u2026"


def window(history: History, chosen: str) -> tuple[int, int] | None:
    """Return the steps that a window of the axis shows, or None for all.

    Args:
        history: of the run.
        chosen: one of `WINDOWS`; "last move" has the move in its middle, until there are enough steps after it.
    """
    steps, moves = len(history), history.interventions
    if chosen == "all steps" or steps == 0 or (chosen == "last move" and not moves):
        return None
    end = steps if chosen == "last 200" else min(steps, moves[-1]["step"] + CLOSE // 2)
    return max(0, end - CLOSE), max(end, min(CLOSE, steps))


def curves_frame(
    history: History,
    steps_per_epoch: int,
    total_steps: int,
    chosen: str,
    earlier: Sequence[str] = (),
    whole: History | None = None,
) -> dict[str, Any]:
    """Describe the curves of a run, its moves, and the steps that are seen.

    Args:
        history: of the run.
        steps_per_epoch: of the run.
        total_steps: of the run.
        chosen: the window of the axis, one of `WINDOWS`.
        earlier: names of the earlier runs behind them, the newest first.
        whole: the history of the branch, if the run has gone back in it: the steps that are seen stay what they were.
    """
    part = window(history if whole is None else whole, chosen)
    found, moves = curves(history, steps_per_epoch, part), marks(history.interventions, total_steps)
    return {
        "now": as_bytes(found),
        "marks": [mark._asdict() for mark in all_marks(history, total_steps)],
        "range": part,
        "earlier": list(earlier),
        "words": words(found, moves, earlier),
    }


def earlier_frame(curves_of_runs: Sequence[dict[str, Curve]]) -> list[dict[str, Any]]:
    """Describe earlier runs, the newest first."""
    return [as_bytes(found) for found in reversed(curves_of_runs)]


def as_bytes(found: dict[str, Curve]) -> dict[str, Any]:
    """Pack curves for a page, as float32."""
    return {name: {"x": x.tobytes(), "y": y.astype(np.float32).tobytes()} for name, (x, y) in found.items()}
