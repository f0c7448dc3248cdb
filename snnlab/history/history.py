"""The append-only record of a run: metrics of every step, results of every epoch, every move of a knob, and notes.

NumPy only. One thread appends, any thread reads. Later appends do not change what was read.
"""

import copy
import json
import os
import textwrap
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snnlab.errors import FileFormatError, SnnlabError
from snnlab.history.report import Scored
from snnlab.history.table import Table
from snnlab.support import arguments
from snnlab.support.files import atomic_path, read_whole, refuse_existing

# Before the names of results: terms of the loss, and metrics beside the score.
TERM, METRIC = "terms.", "metrics."
GROUPS = {TERM: "terms", METRIC: "metrics"}

SHOWN_EPOCHS = 50  # the newest, in the table of a notebook

LONGEST_NOTE = 1000  # characters

MOVE = ("step", "old", "new")  # fields of an intervention beside its knob
NUMBER = int | float


class History:
    """The record of one run.

    Attributes:
        inherited: number of steps that it shares with the history that it was cut from, see `until`.

    Example:
        >>> history = History()
        >>> history.add_steps({"loss": np.array([2.5, 2.25])})
        >>> history.add_intervention(step=2, knob="hidden.v_th", old=1.0, new=0.5)
        >>> history.add_steps({"loss": np.array([2.0])})
        >>> len(history), history.steps()["loss"].tolist(), history.interventions[0]["new"]
        (3, [2.5, 2.25, 2.0], 0.5)
    """

    def __init__(self):
        self.inherited = 0
        self._lock = threading.Lock()
        self._steps = Table(np.float32)  # as they are computed; a long run has a million
        self._results = Table(np.float64)
        self._without: set[str] = set()  # names of results that there are not, such as the spikes of an LSTM
        self._interventions: list[dict[str, Any]] = []
        self._notes: list[dict[str, Any]] = []

    def __len__(self) -> int:
        """Number of optimizer steps."""
        return len(self._steps)

    def add_steps(self, metrics: Mapping[str, np.ndarray]) -> None:
        """Append steps: one value per step of each metric. A metric is NaN at steps that do not have it."""
        with self._lock:
            self._steps.append(metrics)

    def add_epoch(self, result: Mapping[str, Any]) -> None:
        """Append the result of an epoch: numbers by name, under "terms" those of the loss, under "metrics" others.

        None means not available.
        """
        flat = {name: value for name, value in result.items() if name not in GROUPS.values()}
        for prefix, group in GROUPS.items():
            flat |= {prefix + name: value for name, value in result.get(group, {}).items()}
        with self._lock:
            self._without |= {name for name, value in flat.items() if value is None}
            self._results.append({name: np.array([np.nan if value is None else value]) for name, value in flat.items()})

    def add_intervention(self, *, step: int, knob: str, old: float, new: float) -> None:
        """Append a move of a knob that acted on step `step`, counted from 0."""
        with self._lock:
            self._interventions.append({"step": step, "knob": knob, "old": old, "new": new})

    def add_note(self, text: str, *, step: int | None = None) -> None:
        """Add a note.

        Args:
            text: of the note, in one line.
            step: that it belongs to; default: the newest one.

        Raises:
            ArgumentError: if it is no text in one line, or longer than 1000 characters.

        Example:
            >>> history = History()
            >>> history.add_note("the threshold looks too high")
            >>> history.notes
            [{'step': 0, 'text': 'the threshold looks too high'}]
        """
        text = arguments.sentence("note", text, LONGEST_NOTE)
        with self._lock:
            self._notes.append({"step": len(self) if step is None else step, "text": text})
            self._notes.sort(key=lambda note: note["step"])

    def __getstate__(self) -> dict[str, Any]:
        """For `pickle` and `copy`: everything but the lock."""
        with self._lock:
            state = copy.deepcopy({name: value for name, value in vars(self).items() if name != "_lock"})
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    def until(self, steps: int, *, epochs: int, moves: int) -> "History":
        """Return the first steps, epochs and interventions, and the notes on them, as a history of its own.

        The numbers are shared with this one until something is appended.
        """
        shorter = History()
        with self._lock:
            shorter._steps, shorter._results = self._steps.head(steps), self._results.head(epochs)
            shorter._without = set(self._without)
            shorter._interventions = self._interventions[:moves]
            shorter._notes = [note for note in self._notes if note["step"] <= steps]
        shorter.inherited = steps
        return shorter

    def steps(self) -> dict[str, np.ndarray]:
        """Return every metric as a read-only array over the steps."""
        with self._lock:
            return self._steps.columns()

    def results(self) -> dict[str, np.ndarray]:
        """Return every result as a read-only array over the epochs. Terms of the loss are named "terms.…", metrics
        beside the score "metrics.…"."""
        with self._lock:
            return self._results.columns()

    @property
    def num_epochs(self) -> int:
        """Number of finished epochs."""
        return len(self._results)

    @property
    def num_moves(self) -> int:
        """Number of moves of knobs."""
        return len(self._interventions)

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """The results of the epochs."""
        return self.newest_epochs(self.num_epochs)

    def newest_epochs(self, count: int) -> list[dict[str, Any]]:
        """Return the results of the last `count` epochs."""
        columns = {name: column[max(0, len(column) - count) :].tolist() for name, column in self.results().items()}
        return [self._row(dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)]

    def _row(self, flat: dict[str, float]) -> dict[str, Any]:
        row: dict[str, Any] = {"terms": {}}
        for name, value in flat.items():
            prefix = next((prefix for prefix in GROUPS if name.startswith(prefix)), None)
            if prefix is not None:
                row.setdefault(GROUPS[prefix], {})[name.removeprefix(prefix)] = value
            else:
                row[name] = None if name in self._without else int(value) if name == "epoch" else value
        return row

    @property
    def scored(self) -> Scored:
        """How the run is scored: which part of the data is looked at, and by which score."""
        with self._lock:
            return Scored.of([*self._results.columns(), *self._steps.columns()])

    @property
    def interventions(self) -> list[dict[str, Any]]:
        """The moves of knobs, in order; also those of "epochs" if a schedule depends on them, see `Trainer.epochs`."""
        with self._lock:
            return list(self._interventions)

    @property
    def num_notes(self) -> int:
        """Number of notes."""
        return len(self._notes)

    @property
    def notes(self) -> list[dict[str, Any]]:
        """What was noted about the run, in the order of the steps: "step" and "text"."""
        with self._lock:
            return list(self._notes)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, numbers and strings."""
        steps = {name: values.tolist() for name, values in self.steps().items()}
        return {"steps": steps, "epochs": self.epochs, "interventions": self.interventions, "notes": self.notes}

    def _repr_html_(self) -> str:
        """Show the newest epochs as a table in a notebook. See also `epochs` and `to_frame`."""
        shown = _shown(self.scored)
        head = "".join(f"<th>{title}</th>" for title in shown.values())
        rows = []
        for row in self.newest_epochs(SHOWN_EPOCHS):
            cells = ("" if row.get(name) is None else f"{row[name]:.4g}" for name in shown)
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"

    def to_frame(self):
        """Return the steps as a pandas `DataFrame`, one row per step.

        Raises:
            SnnlabError: if pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise SnnlabError("to_frame needs pandas: pip install pandas (or use to_dict())") from None
        return pandas.DataFrame(self.steps()).rename_axis("step")

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write everything as JSON, atomically: if it fails, an old file stays as it was.

        Raises:
            ArgumentError: if the file exists and `overwrite` is False.
            WriteError: if it cannot be written.
        """
        path, text = refuse_existing(path, overwrite), json.dumps(self.to_dict())
        with atomic_path(path) as part:
            part.write_text(text, encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> "History":
        """Read a file that `save` wrote.

        Raises:
            FileFormatError: if the file is missing or is not a saved history.
        """
        try:
            saved = json.loads(read_whole(arguments.path("path", path)).decode())
            steps = {name: _column(name, values) for name, values in saved["steps"].items()}
            return cls.read(steps, saved["epochs"], saved["interventions"], saved.get("notes", []))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            reason = textwrap.shorten(str(error), 300)
            raise FileFormatError(f"{path}: is not a saved history ({reason})") from error

    @classmethod
    def read(
        cls,
        steps: Mapping[str, np.ndarray],
        epochs: Iterable[Mapping],
        interventions: Iterable[Mapping],
        notes: Iterable[Mapping],
    ) -> "History":
        """Make a history from what a file has, as `of`, and check its names and numbers.

        Raises:
            ValueError: if names are not names in one line, or numbers are out of range; or others if it is no history.
        """
        history = cls.of(steps, epochs, interventions, notes)
        for name in (*history.steps(), *history.results()):
            arguments.name("column", name)
        for name, column in history.steps().items():
            if np.isinf(column).any():
                raise ValueError(f"steps: {name} has infinite values")
        numbers = history.results().get("epoch", np.ones(1))
        if not ((numbers >= 1) & (numbers == np.round(numbers))).all():
            raise ValueError("epochs: epoch must be an integer >= 1")
        for move in history.interventions:
            arguments.name("knob", move.get("knob"))
            arguments.count("step", move["step"], 0)
            arguments.numbers(move["knob"], [move["old"], move["new"]])
        for note in history.notes:
            arguments.count("step", note["step"], 0)
            arguments.sentence("note", note.get("text"), LONGEST_NOTE)
        return history

    @classmethod
    def of(
        cls,
        steps: Mapping[str, np.ndarray],
        epochs: Iterable[Mapping],
        interventions: Iterable[Mapping],
        notes: Iterable[Mapping] = (),
    ) -> "History":
        """Make a history from what `steps()`, `epochs`, `interventions` and `notes` of another one returned.

        Raises:
            ValueError: if they are not.

        Example:
            >>> history = History.of({"loss": np.array([2.5, 2.25])}, [{"epoch": 1, "test_acc": 0.5}], [])
            >>> len(history), history.epochs
            (2, [{'terms': {}, 'epoch': 1, 'test_acc': 0.5}])
        """
        if len({column.shape for column in steps.values()}) > 1:
            raise ValueError("steps: the metrics are of different lengths")
        history = cls()
        if steps:
            history.add_steps(steps)
        for row in epochs:
            history.add_epoch(_row("epochs", row, _shown(Scored.of(row)), NUMBER | None))
        history.newest_epochs(history.num_epochs)  # they can be read
        history._interventions = [dict(_row("interventions", row, MOVE, NUMBER)) for row in interventions]
        history._notes = [dict(_row("notes", row, ("step",), int)) for row in notes]
        return history


def _shown(scored: Scored) -> dict[str, str]:
    """The columns of the table in a notebook, and their titles."""
    return {
        "epoch": "epoch",
        "train_loss": "train loss",
        scored.train: f"train {scored.name}",
        scored.loss: f"{scored.place} loss",
        scored.result: scored.words,
        "spikes_per_sample": "spikes per sample",
        "seconds": "seconds",
    }


def _column(name: str, values) -> np.ndarray:
    """Check and return one metric of a file."""
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise ValueError(f"steps: {name} must be a list of numbers")
    column = np.array(values, np.float64)
    if (np.abs(column) > arguments.SINGLE.max).any():
        raise ValueError(f"steps: {name} has values that float32 cannot hold")
    return column


def _row(where: str, row, names: Iterable[str], kind) -> dict[str, Any]:
    """Check and return one row of a file; the values under `names` must be of type `kind`."""
    if not isinstance(row, dict):
        raise ValueError(f"{where}: must be a list of objects, has {row!r}")
    for name in names:
        if isinstance(row.get(name), bool) or not isinstance(row.get(name), kind):
            raise ValueError(f"{where}: {name} must be a number, is {row.get(name)!r}")
    return row
