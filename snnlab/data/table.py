"""A data set in one text file: a row is a sample, its numbers and its target."""

import os
from pathlib import Path

import numpy as np

from snnlab.data.csv_file import WHOLE, Table, number_of, read_table
from snnlab.data.dataset import Dataset
from snnlab.data.own_files import dataset_of
from snnlab.errors import ArgumentError, FileFormatError
from snnlab.support import arguments

SUFFIXES = (".csv", ".tsv")
TASKS = ("label", "values")


def load_table(path: str | os.PathLike, *, task: str | None = None) -> Dataset:
    """Load a table: one row a sample, one column of targets, all other columns numbers.

    Which row names the columns, and which column has the targets, is told in `snnlab.data.csv_file.read_table`. Texts
    are labels and name the classes; so do integers that come up again and again; other numbers are values. The samples
    are divided into parts, and the columns scaled, see `snnlab.data.own_files.dataset_of`.

    Args:
        path: of a `.csv` or `.tsv` file.
        task: "label" or "values"; None: as above.

    Raises:
        ArgumentError: for another task.
        DataError: if the file cannot be opened, or its table is no data set.
        FileFormatError: if it is no table; the message names file, row and column.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "flowers.csv"
        >>> rows = [f"{k % 7},{k % 5},{('rose', 'tulip')[k % 2]}" for k in range(40)]
        >>> _ = path.write_text("\\n".join(["length,width,species", *rows]))
        >>> print(load_table(path).understood)  # doctest: +ELLIPSIS
        40 samples of 2 numbers, 2 classes in column 'species'; divided into 28 to train, 4 to validate, 8 to test ...
    """
    path = arguments.path("path", path)
    if task is not None and task not in TASKS:
        raise ArgumentError(f"task: a table has one target a row; choose {' or '.join(map(repr, TASKS))}, got {task!r}")
    table = read_table(path, with_targets=True)
    y = _targets(path, table, task)
    found = f"in {table.column}" + (f", without {table.left_out}, which counts the rows" if table.left_out else "")
    return dataset_of(path, {"x": table.numbers, "y": y}, task=task, source=found)


def _targets(path: Path, table: Table, task: str | None) -> np.ndarray:
    """Texts, integers or real numbers."""
    cells = table.targets
    if all(map(WHOLE.fullmatch, cells)):
        try:
            return np.array(list(map(int, cells)), np.int64)
        except OverflowError:
            raise FileFormatError(f"{path}: {table.column}: has integers beyond 64 bits") from None
    values = [number_of(cell) for cell in cells]
    texts = [k for k, value in enumerate(values) if value is None]
    if not texts:
        return np.array(values)
    if task == "values" or (task is None and len(texts) < len(cells)):
        first = texts[0]
        advice = "" if task else '; if these are labels, pass task="label" (in a terminal, --task label)'
        raise FileFormatError(
            f"{path}: row {table.lines[first]}, {table.column}: {cells[first][:40]!r} is not a finite number{advice}"
        )
    return np.array(cells)
