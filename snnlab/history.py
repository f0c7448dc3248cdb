"""What happened, append-only: the metrics of every step, the results of every epoch, every intervention.

NumPy only. One thread appends, any thread reads; what it reads is what later appends do not touch.
"""

import json
import os
import textwrap
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snnlab.errors import FileFormatError, SnnlabError
from snnlab.files import atomic_path, refuse_existing

# The table that a notebook shows: so many of the newest epochs, and these columns.
SHOWN_EPOCHS = 50
SHOWN = {"epoch": "epoch", "train_loss": "train loss", "train_acc": "train accuracy", "test_loss": "test loss"}
SHOWN |= {"test_acc": "test accuracy", "spikes_per_sample": "spikes per sample", "seconds": "seconds"}

MOVE = ("step", "old", "new")  # what an intervention says beside its knob
NUMBER = int | float


class History:
    """The record of one run.

    Example:
        >>> history = History()
        >>> history.add_steps({"loss": np.array([2.3, 2.1])})
        >>> history.add_intervention(step=2, knob="hidden.v_th", old=1.0, new=0.5)
        >>> history.add_steps({"loss": np.array([1.9])})
        >>> len(history), history.steps()["loss"].tolist(), history.interventions[0]["new"]
        (3, [2.3, 2.1, 1.9], 0.5)
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._length = 0
        self._columns: dict[str, np.ndarray] = {}
        self._epochs: list[dict[str, Any]] = []
        self._interventions: list[dict[str, Any]] = []

    def __len__(self) -> int:
        """Number of optimizer steps."""
        return self._length

    def add_steps(self, metrics: Mapping[str, np.ndarray]) -> None:
        """Append some steps: one value a step of each metric. A metric that is not always there is NaN elsewhere."""
        count = len(next(iter(metrics.values())))
        with self._lock:
            end = self._length + count
            for name in self._columns.keys() | metrics.keys():
                column = self._columns.get(name, np.empty(0))
                if end > len(column):  # double, so that appending costs a constant time on average
                    grown = np.full(max(2 * end, 256), np.nan)
                    grown[: len(column)] = column
                    self._columns[name] = column = grown
                column[self._length : end] = metrics.get(name, np.nan)
            self._length = end

    def add_epoch(self, result: Mapping[str, Any]) -> None:
        """Append the result of an epoch."""
        with self._lock:
            self._epochs.append(dict(result))

    def add_intervention(self, *, step: int, knob: str, old: float, new: float) -> None:
        """Note that a knob was moved before step `step` (counted from 0) was taken."""
        with self._lock:
            self._interventions.append({"step": step, "knob": knob, "old": old, "new": new})

    def steps(self) -> dict[str, np.ndarray]:
        """Every metric as one array over the steps, to be read only: what is there stays, so nothing is copied."""
        with self._lock:
            found = {name: column[: self._length] for name, column in sorted(self._columns.items())}
        for view in found.values():
            view.setflags(write=False)
        return found

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """The results of the epochs."""
        with self._lock:
            return list(self._epochs)

    @property
    def interventions(self) -> list[dict[str, Any]]:
        """The knobs that were moved, in order."""
        with self._lock:
            return list(self._interventions)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain lists, numbers and strings."""
        steps = {name: values.tolist() for name, values in self.steps().items()}
        return {"steps": steps, "epochs": self.epochs, "interventions": self.interventions}

    def _repr_html_(self) -> str:
        """In a notebook: a table with the results of the newest epochs. All: `epochs`; all steps: `to_frame`."""
        head = "".join(f"<th>{title}</th>" for title in SHOWN.values())
        rows = []
        for row in self.epochs[-SHOWN_EPOCHS:]:
            cells = ("" if row.get(name) is None else f"{row[name]:.4g}" for name in SHOWN)
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"

    def to_frame(self):
        """The steps as a pandas `DataFrame`, one row a step.

        Raises:
            SnnlabError: if pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise SnnlabError("to_frame needs pandas: pip install pandas (or use to_dict())") from None
        return pandas.DataFrame(self.steps()).rename_axis("step")

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write everything as JSON; either the whole file is there afterwards, or the old one still is.

        Raises:
            ArgumentError: if the file exists and `overwrite` is off.
        """
        path, text = refuse_existing(path, overwrite), json.dumps(self.to_dict())
        with atomic_path(path) as part:
            part.write_text(text, encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> "History":
        """Read what `save` wrote.

        Raises:
            FileFormatError: if the file is missing or is not a saved history.
        """
        history = cls()
        try:
            saved = json.loads(Path(path).read_text(encoding="utf-8"))
            steps = {name: _column(name, values) for name, values in saved["steps"].items()}
            if len({len(column) for column in steps.values()}) > 1:
                raise ValueError("steps: the metrics are of different lengths")
            if steps:
                history.add_steps(steps)
            history._epochs = [_row("epochs", row, SHOWN, NUMBER | None) for row in saved["epochs"]]
            history._interventions = [_row("interventions", row, MOVE, NUMBER) for row in saved["interventions"]]
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            reason = textwrap.shorten(str(error), 300)
            raise FileFormatError(f"{path}: is not a saved history ({reason})") from error
        return history


def _column(name: str, values) -> np.ndarray:
    """One metric, as a file has it."""
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise ValueError(f"steps: {name} must be a list of numbers")
    return np.array(values, np.float64)


def _row(where: str, row, names: Iterable[str], kind) -> dict[str, Any]:
    """One row, as a file has it: what stands under these names is of that kind."""
    if not isinstance(row, dict):
        raise ValueError(f"{where}: must be a list of objects, has {row!r}")
    for name in names:
        if isinstance(row.get(name), bool) or not isinstance(row.get(name), kind):
            raise ValueError(f"{where}: {name} must be a number, is {row.get(name)!r}")
    return row
