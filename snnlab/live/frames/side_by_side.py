"""Several runs beside one another, as pure functions: letters, results, settings that differ, curves, and a text."""

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from snnlab.history import History, Scored
from snnlab.history.series import bin_means
from snnlab.live.frames import curves, style
from snnlab.live.frames.curves import Curve, Mark
from snnlab.support import numbers

AXES = ("steps", "epochs")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
POINTS = 150  # of a curve: several share a plot
NONE = "\u2013"  # there is no such value
WIDTH, CUT = 100, 24  # characters of a line of the text, and of a name or value in it
STOPS = 3  # values of a knob that are told one by one
MOVES = 12  # that are told one by one, of each run
DECADES = 2  # a loss that spans more of them has a logarithmic axis


class Side(NamedTuple):
    """One run of a comparison.

    Attributes:
        name: of the run.
        history: everything that happened in it.
        steps_per_epoch: optimizer steps in an epoch.
        began: what it began with, settings and knobs by name.
        waiting: new values of knobs that have not acted yet.
        state: where it stands, in a word.
        letter: that stands for it in plots and tables.
    """

    name: str
    history: History
    steps_per_epoch: int
    began: Mapping[str, Any] = MappingProxyType({})
    waiting: Mapping[str, float] = MappingProxyType({})
    state: str = "saved"
    letter: str = ""

    def label(self) -> str:
        """Letter and name, or the one word that is both."""
        return self.letter if self.letter == self.name else f"{self.letter}: {self.name}"


class Row(NamedTuple):
    """A line of a table: what it tells, a cell for each run, and which of the runs is best (or None)."""

    name: str
    cells: tuple[str, ...]
    best: int | None = None


class Settings(NamedTuple):
    """The settings and knobs of several runs.

    Attributes:
        rows: those that differ.
        equal: number of those that are equal.
        partial: names of those that only some of the runs have.
    """

    rows: list[Row]
    equal: int
    partial: list[str]

    @property
    def rest(self) -> str:
        """Say what the rows do not show.

        Example:
            >>> seed = Row("seed", ("0", "1"))
            >>> Settings([seed], 17, []).rest, Settings([], 17, []).rest, Settings([seed], 1, ["v_th"]).rest
            ('17 others are equal', 'all 17 are equal', '1 other is equal; only some of the runs have v_th')
        """
        others = f"{numbers.count(self.equal, 'other')} {'is' if self.equal == 1 else 'are'} equal"
        said = others if self.rows or self.partial else f"all {numbers.number(self.equal)} are equal"
        return f"{said}; only some of the runs have {', '.join(self.partial)}" if self.partial else said


def lettered(sides: Sequence[Side]) -> list[Side]:
    """Give every run a letter of its own: its name, if that is one letter, or else the next that is free.

    Example:
        >>> [side.letter for side in lettered([Side(name, History(), 8) for name in ("slow", "b", "B", "fast")])]
        ['A', 'b', 'C', 'D']
    """
    taken = {side.name.lower() for side in sides if len(side.name) == 1}
    free = iter(letter for letter in LETTERS if letter.lower() not in taken)
    used: set[str] = set()
    found = []
    for side in sides:
        own = len(side.name) == 1 and side.name.lower() not in used
        letter = side.name if own else next(free)
        used.add(letter.lower())
        found.append(side._replace(letter=letter))
    return found


def look(number: int) -> style.Line:
    """Colour and dash of a run."""
    return style.of_many(number)


# ---- what they did ----


def plots(sides: Sequence[Side], x: str) -> dict[str, list[Curve | None]]:
    """Return the plots by their titles: the curve of each run over `x`, one of `AXES`; None if it has none."""
    every = [_curves(side, x) for side in sides]
    titles = dict(itertools.chain.from_iterable(_titles(side.history.scored).items() for side in sides))
    found = {title: [of_run.get(name) for of_run in every] for title, name in titles.items()}
    return {title: drawn for title, drawn in found.items() if any(curve is not None for curve in drawn)}


def _titles(scored: Scored) -> dict[str, str]:
    """The title of each plot, and its curve."""
    return {
        "training loss": "loss",
        f"{scored.place} loss": scored.loss,
        f"training {scored.name}": scored.score,
        scored.words: scored.result,
        "spikes per sample": "spikes_per_sample",
    }


def _curves(side: Side, x: str) -> dict[str, Curve]:
    named = set(_titles(side.history.scored).values())
    found = {name: bin_means(values, POINTS) for name, values in side.history.steps().items() if name in named}
    found |= curves.test_curves(side.history, side.steps_per_epoch)
    unit = side.steps_per_epoch if x == "epochs" else 1
    return {name: (at / np.float32(unit), y) for name, (at, y) in found.items() if np.isfinite(y).any()}


def is_logarithmic(title: str, drawn: Sequence[Curve | None]) -> bool:
    """Whether a loss is shown on a logarithmic axis, as one that has exploded must be.

    Example:
        >>> steps = np.arange(3.0)
        >>> [is_logarithmic("test loss", [(steps, np.array([2.0, 1.0, end]))]) for end in (0.5, 500.0)]
        [False, True]
    """
    if not title.endswith(" loss"):
        return False
    values = np.concatenate([curve[1] for curve in drawn if curve is not None])
    values = values[np.isfinite(values)]
    return bool(values.min() > 0 and values.max() > 10.0**DECADES * values.min())


def marks(sides: Sequence[Side]) -> list[list[Mark]]:
    """Return the moves of knobs of each run; a drag is one, and so are those at one step.

    Example:
        >>> history = History()
        >>> for knob, new in (("learning_rate", 0.1), ("hidden.v_th", 2.0)):
        ...     history.add_intervention(step=7, knob=knob, old=1.0, new=new)
        >>> marks([Side("a", history, 8)])
        [[Mark(step=7, label='learning_rate 0.1, v_th 2')]]
    """
    return [_joined(curves.marks(side.history.interventions, len(side.history))) for side in sides]


def _joined(found: Sequence[Mark]) -> list[Mark]:
    at_step = itertools.groupby(found, key=lambda mark: mark.step)
    return [Mark(step, ", ".join(mark.label for mark in group)) for step, group in at_step]


def results(sides: Sequence[Side]) -> list[Row]:
    """Return where the runs stand, and what they came to: at the end, and at the epoch that was best in the test."""
    last = [_Results(next(iter(side.history.newest_epochs(1)), {}), side.history.scored) for side in sides]
    best = [_best_of(side) for side in sides]
    scored = {found.scored for found in last}
    words, place = ("score", "test") if len(scored) > 1 else (last[0].scored.words, last[0].scored.place)
    rows = [
        Row("state", tuple(side.state for side in sides)),
        Row("steps", tuple(numbers.number(len(side.history)) for side in sides)),
        Row("epochs", tuple(numbers.number(side.history.num_epochs) for side in sides)),
        Row(words, tuple(found.text for found in last)),
        Row(f"best {words}", tuple(_best(found) for found in best), _only_highest(best) if len(scored) == 1 else None),
        Row(f"{place} loss", tuple(_cell(found.row.get(found.scored.loss)) for found in last)),
        Row("spikes per sample", tuple(_cell(found.row.get("spikes_per_sample")) for found in last)),
        Row("\u2026 at the best", tuple(_cell(found.row.get("spikes_per_sample")) for found in best)),
    ]
    return [row for row in rows if set(row.cells) != {NONE}]


class _Results(NamedTuple):
    """The results of an epoch, empty if there are none, and how the run is scored."""

    row: Mapping[str, Any]
    scored: Scored

    @property
    def score(self) -> float | None:
        """The score, if it was measured."""
        value = self.row.get(self.scored.result)
        return None if value is None or np.isnan(value) else value

    @property
    def text(self) -> str:
        """The score in words."""
        return NONE if self.score is None else self.scored.text(self.score)


def _best_of(side: Side) -> _Results:
    found = [_Results(row, side.history.scored) for row in side.history.epochs]
    there = [results for results in found if results.score is not None]
    return max(there, key=lambda results: results.score or 0.0, default=_Results({}, side.history.scored))


def _only_highest(best: Sequence[_Results]) -> int | None:
    """Which is the highest, if there are several and it is the only one."""
    there = [-np.inf if found.score is None else found.score for found in best]
    highest = int(np.argmax(there))
    return highest if len(there) > 1 and there.count(there[highest]) == 1 else None


def _best(found: _Results) -> str:
    return f"{found.text}, epoch {found.row['epoch']}" if found.row else NONE


# ---- what they were made with ----


def settings(sides: Sequence[Side]) -> Settings:
    """Compare settings and knobs; a knob that was moved differs from one that was not.

    Example:
        >>> moved = History()
        >>> moved.add_intervention(step=3, knob="hidden.v_th", old=1.0, new=0.8)
        >>> began = {"seed": 0, "hidden.v_th": 1.0}
        >>> found = settings([Side("a", History(), 8, began), Side("b", moved, 8, began)])
        >>> found.rows, found.equal
        ([Row(name='hidden.v_th', cells=('1', '1 → 0.8'), best=None)], 1)
    """
    every = [_ways(side) for side in sides]
    names = list(dict.fromkeys(name for ways in every for name in ways))
    shared = [name for name in names if all(name in ways for ways in every)]
    different = [name for name in shared if len({ways[name] for ways in every}) > 1]
    rows = [Row(name, tuple(ways[name] for ways in every)) for name in different]
    return Settings(rows, len(shared) - len(different), [name for name in names if name not in shared])


def _ways(side: Side) -> dict[str, str]:
    """Each setting in words; of a knob that was moved, where it has been."""
    moves = side.history.interventions
    ways = {name: [value] for name, value in side.began.items()}
    for move in moves:
        way = ways.setdefault(move["knob"], [move["old"]])
        ways[move["knob"]] = [move["new"]] if move["step"] == 0 else [*way, move["new"]]  # before the first step
    for name, value in side.waiting.items():
        ways.setdefault(name, []).append(value)
    return {name: _way(values) for name, values in ways.items()}


def _way(values: Sequence[Any]) -> str:
    """Where a knob has been, from where to where if these are many.

    Example:
        >>> _way([1.0]), _way([1.0, 16.0, 1.0]), _way([1.0, 0.9, 0.8, 0.7])
        ('1', '1 → 16 → 1', '1 → … → 0.7')
    """
    words = [word for word, _ in itertools.groupby(map(_cell, values))]
    return " \u2192 ".join(words if len(words) <= STOPS else [words[0], "\u2026", words[-1]])


def _cell(value: Any) -> str:
    """One value in words."""
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return numbers.number(int(value) if value == np.round(value) and abs(value) < 1e6 else float(value))


# ---- as a text ----


def lengths(sides: Sequence[Side]) -> str:
    """Say what a step means, if it is not the same in all runs.

    Example:
        >>> lengths([Side("a", History(), 22), Side("b", History(), 5)])
        'An epoch has 22 steps in A, 5 in B.'
    """
    steps = [side.steps_per_epoch for side in sides]
    if len(set(steps)) == 1:
        return ""
    letters = [side.letter or LETTERS[k] for k, side in enumerate(sides)]
    parts = [f"{numbers.number(length)} in {letter}" for length, letter in zip(steps, letters, strict=True)]
    return f"An epoch has {', '.join(parts)}.".replace(" in", " steps in", 1)


def title(sides: Sequence[Side]) -> str:
    """Return the heading."""
    return "one run" if len(sides) == 1 else f"{len(sides)} runs side by side"


def told_moves(sides: Sequence[Side]) -> list[str]:
    """Return a sentence on the moves of each run that has some."""
    said = []
    for side, moved in zip(sides, marks(sides), strict=True):
        parts = [f"{mark.label} at step {mark.step:,}" for mark in moved[-MOVES:]]
        parts = [f"{numbers.count(len(moved) - MOVES, 'earlier move')}", *parts] if len(moved) > MOVES else parts
        if parts:
            said.append(f"{side.letter}: {'; '.join(parts)}")
    return said


def text(sides: Sequence[Side], width: int = WIDTH) -> str:
    """Return everything but the curves as a text.

    Args:
        sides: the runs, with their letters.
        width: of a line; runs that do not fit beside one another stand below.
    """
    found = settings(sides)
    heads = Row("", tuple(side.label() for side in sides))
    differing = [heads, *found.rows] if found.rows else ["none"]
    lines = [heads, *results(sides), "", "settings and knobs that differ", "", *differing]
    said = [title(sides), "", *_table(lines, width), found.rest]
    moved = told_moves(sides)
    said += ["", "moves of knobs", "", *moved] if moved else []
    said += ["", lengths(sides)] if lengths(sides) else []
    return "\n".join(line.rstrip() for line in said)


def _table(lines: Sequence[Row | str], width: int) -> list[str]:
    """The lines of a table, in as many blocks as its columns need; a text has a line of its own."""
    cut = [line if isinstance(line, str) else [numbers.shorten(cell, CUT) for cell in line] for line in _flat(lines)]
    cells = [line for line in cut if not isinstance(line, str)]
    widths = [max(len(line[k]) for line in cells) + 2 for k in range(len(cells[0]))]
    blocks: list[list[int]] = [[]]
    for k in range(1, len(widths)):
        if blocks[-1] and sum(widths[j] for j in [0, *blocks[-1], k]) > width + 2:
            blocks.append([])
        blocks[-1].append(k)
    written: list[str] = []
    for block in blocks:
        written += [""] if written else []
        for line in cut:
            written.append(line if isinstance(line, str) else "".join(line[k].ljust(widths[k]) for k in [0, *block]))
    return written


def _flat(lines: Sequence[Row | str]) -> list[list[str] | str]:
    return [line if isinstance(line, str) else [line.name, *line.cells] for line in lines]
