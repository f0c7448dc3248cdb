"""The branches of a run: as lanes over its steps, as a table, and as ghosts behind the curves. Pure.

Where the run is, and what it can go back to, is in the same frame: a page that knows it can draw the scrubber.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snnlab.history import History
from snnlab.live.frames import curves
from snnlab.support import numbers

COLUMNS = ("branch", "from", "to", "knobs that differ", "best score", "spikes")
MOST_TICKS = 400  # in a lane; a browser shows no more
GHOSTS = 8  # branches behind the curves, the newest ones


@dataclass(frozen=True)
class Lane:
    """What is known of one branch.

    Attributes:
        name: of the branch.
        number: its place in the order in which the branches began; its look follows from it.
        parent: name of the branch that it left, or None.
        start: the step at which it left.
        steps: that it was trained to.
        epochs: that are finished in it.
        history: everything that happened in it.
        own_moves: the knobs that were moved since it left, and their values.
    """

    name: str
    number: int
    parent: str | None
    start: int
    steps: int
    epochs: int
    history: History
    own_moves: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Times:
    """The branches of a run, and where the run is.

    Attributes:
        lanes: the branches, each after the one that it left.
        here: name of the branch that is shown.
        step: where the run is in it.
        steps_per_epoch: of the run.
        total_steps: of the run.
        kept: steps of the branch that the run can go back to at once, ascending.
        behind: it has gone back, and has not been trained from there.
        goes_on: it is behind, or a knob was moved since it stopped; if it is trained, it goes on from here.
        in_turn: names of the branches that are being trained in turn.
        bytes: of the points that are kept.
        budget: for them [bytes].
        least: that the budget can be [bytes].
    """

    lanes: tuple[Lane, ...]
    here: str
    step: int
    steps_per_epoch: int
    total_steps: int
    kept: tuple[int, ...] = ()
    behind: bool = False
    goes_on: bool = False
    in_turn: tuple[str, ...] = ()
    bytes: float = 0.0
    budget: float = 0.0
    least: float = 0.0

    @property
    def lane(self) -> Lane:
        """The branch that is shown."""
        return next(lane for lane in self.lanes if lane.name == self.here)


def branches_frame(times: Times) -> dict[str, Any]:
    """Describe the branches of a run, and where the run is.

    Args:
        times: the branches.

    Example:
        >>> trunk = Lane("a", 0, None, 0, steps=8, epochs=1, history=History())
        >>> branch = Lane("b", 1, "a", 4, steps=6, epochs=0, history=History(), own_moves={"v_th": 0.6})
        >>> frame = branches_frame(Times((trunk, branch), "b", 6, steps_per_epoch=8, total_steps=80))
        >>> frame["words"]
        'At step 6 of branch b. 2 branches: a, b.'
        >>> frame["rows"][1]
        ['b', 'a · 4', '6', 'v_th 0.6', '', '']
    """
    lane, best = times.lane, _best(times.lane, 0)
    return {
        "here": times.here,
        "step": times.step,
        "tip": lane.steps,
        "per_epoch": times.steps_per_epoch,
        "best": None if best is None else best[0] * times.steps_per_epoch,
        "behind": times.behind,
        "goes_on": times.goes_on,
        "kept": _steps(times.kept),
        "lanes": [_lane(lane, times) for lane in times.lanes],
        "columns": [name.replace("score", lane.history.scored.name) for name in COLUMNS],
        "rows": [_row(lane, times.steps_per_epoch) for lane in times.lanes],
        "memory": [times.bytes / 1e6, times.budget / 1e6, times.least / 1e6],
        "words": _words(times),
    }


def ghosts_frame(times: Times) -> list[dict[str, Any]]:
    """Describe the curves of the branches that are not shown, and of what comes after here in the one that is.

    Each begins where it left its parent; they have as many points as the curves of a run at most.

    Args:
        times: the branches.
    """
    others = [lane for lane in times.lanes if lane.name != times.here and lane.steps > lane.start]
    shown = sorted(others, key=lambda lane: lane.number)[-GHOSTS:]
    parts = [(lane, lane.start) for lane in shown] + ([(times.lane, times.step)] if times.behind else [])
    return [_ghost(lane, first, times.steps_per_epoch) for lane, first in parts]


def ghosts_key(times: Times) -> tuple:
    """What the ghosts depend on."""
    behind = times.step if times.behind else None
    lanes = tuple((lane.name, lane.steps) for lane in times.lanes if times.behind or lane.name != times.here)
    return times.here, behind, lanes


def _ghost(lane: Lane, first: int, steps_per_epoch: int) -> dict[str, Any]:
    drawn = curves.curves(lane.history, steps_per_epoch, (first, lane.steps))
    own = {name: curve for name, curve in drawn.items() if not name.startswith(("test_", "val_"))}
    return {"name": lane.name, "number": lane.number, "curves": curves.as_bytes(own)}


def _lane(lane: Lane, times: Times) -> dict[str, Any]:
    per_epoch, moves = times.steps_per_epoch, lane.history.interventions
    marks = [mark.step for mark in curves.marks(moves, times.total_steps) if lane.start <= mark.step <= lane.steps]
    first = -(-max(lane.start, 1) // per_epoch)
    ends = [epoch * per_epoch for epoch in range(first, lane.epochs + 1)]
    best = _best(lane, lane.start // per_epoch)
    return {
        "name": lane.name,
        "number": lane.number,
        "parent": lane.parent,
        "start": lane.start,
        "end": lane.steps,
        "moves": _steps(marks[-MOST_TICKS:]),
        "epochs": _steps(ends[:: 1 + len(ends) // MOST_TICKS]),
        "best": None if best is None else best[0] * per_epoch,
    }


def _best(lane: Lane, first: int) -> tuple[int, float] | None:
    """The first epoch with the highest score, and that score; None if there is none.

    Args:
        lane: the branch.
        first: only the epochs after so many; those that it shares with its parent compare nothing.
    """
    accuracies = _results(lane, lane.history.scored.result, first)
    if not np.isfinite(accuracies).any():
        return None
    epoch = int(np.nanargmax(accuracies))
    return first + epoch + 1, float(accuracies[epoch])


def _results(lane: Lane, name: str, first: int) -> np.ndarray:
    return lane.history.results().get(name, np.empty(0))[first : lane.epochs]


def _row(lane: Lane, steps_per_epoch: int) -> list[str]:
    shared = lane.start // steps_per_epoch  # epochs
    best, spikes = _best(lane, shared), _results(lane, "spikes_per_sample", shared)
    differ = ", ".join(f"{name.rpartition('.')[2]} {numbers.number(value)}" for name, value in lane.own_moves.items())
    return [
        lane.name,
        f"{lane.parent} \u00b7 {lane.start:,}" if lane.parent else "start",
        f"{lane.steps:,}",
        differ,
        "" if best is None else _score(lane, best[1]),
        numbers.number(float(spikes[-1])) if len(spikes) and np.isfinite(spikes[-1]) else "",
    ]


def _score(lane: Lane, value: float) -> str:
    scored = lane.history.scored
    return numbers.percent(value) if scored.score == "accuracy" else scored.text(value)


def place_words(times: Times) -> str:
    """Say where the run is: for the line of the head, and for screen readers."""
    if times.in_turn:
        return f"Trains {', '.join(times.in_turn)} in turn; {times.here} is shown."
    here = f"At step {times.step:,} of branch {times.here}"
    return here + (f", which was trained to step {times.lane.steps:,}." if times.behind else ".")


def _words(times: Times) -> str:
    names = [lane.name for lane in times.lanes]
    return f"{place_words(times)} {numbers.count(len(names), 'branch', 'branches')}: {', '.join(names)}."


def _steps(steps: Sequence[int]) -> bytes:
    return np.asarray(steps, np.int32).tobytes()
