"""Read tables in text files: rows of numbers, with commas, semicolons or tabs between them, and a column of targets."""

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snnlab.errors import DataError, FileFormatError
from snnlab.support.files import open_file

DELIMITERS = ",;\t"
TARGETS = ("label", "class", "y", "target")
"""Names of a column of targets; without one, the last column has them."""

COUNTERS = ("", "id", "index", "unnamed: 0")
"""Names of a first column that is left out if it counts the rows, as pandas and spreadsheets write it."""

WHOLE = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, eq=False)
class Table:
    """What a text file holds.

    Attributes:
        numbers: float64 `(row, column)`, without the column of targets.
        targets: texts, one a row; empty if none were wanted.
        lines: where each row ends in the file, from 1.
        column: the column of targets, as it is called in messages.
        left_out: the column that counts the rows, as it is called in messages, or "".
    """

    numbers: np.ndarray
    targets: list[str]
    lines: list[int]
    column: str = ""
    left_out: str = ""


def read_table(path: Path, *, with_targets: bool) -> Table:
    """Read a table of numbers.

    The first row names the columns if no cell of it is a number, if a cell is text above a number, or if a cell is one
    of `TARGETS` and no target below it is the same. The column of targets has such a name, or is the last one.

    Args:
        path: of a text file in UTF-8.
        with_targets: whether one column is that of the targets, which may be texts.

    Raises:
        DataError: if it cannot be opened.
        FileFormatError: if it is no such table; the message names file, row and column.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "flowers.csv"
        >>> _ = path.write_text("length,width,species\\n5.1,3.5,setosa\\n6.2,2.9,virginica\\n")
        >>> table = read_table(path, with_targets=True)
        >>> table.numbers.tolist(), table.targets, table.column
        ([[5.1, 3.5], [6.2, 2.9]], ['setosa', 'virginica'], "column 'species'")
    """
    try:
        text = _text(path)
        top = _rows(path, text)
        first, second = next(top, None), next(top, None)
        if first is None:
            raise FileFormatError(f"{path}: is empty")
        names = _header(first[1], None if second is None else second[1])
        if names and second is None:
            raise FileFormatError(f"{path}: has names of columns in row 1, and no row below")
        table = _read(path, names, _rows(path, text), len(first[1]), with_targets)
        numbered = any(number_of(name) is not None for name in names)
        if numbered and any(name in table.targets for name in names if name.lower() in TARGETS):
            return _read(path, [], _rows(path, text), len(first[1]), with_targets)  # "1.5, 2.5, y", and y is a class
        return table
    except csv.Error as error:
        raise FileFormatError(f"{path}: cannot be read as a table ({error})") from error


def _text(path: Path) -> str:
    try:
        with open_file(path) as file:
            return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: is not text in UTF-8 (byte {error.start})") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with its line."""
    top = next((line for line in io.StringIO(text) if line.strip()), "")
    delimiter = max(DELIMITERS, key=top.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    width = None
    for cells in reader:
        if not any(map(str.strip, cells)):
            continue
        width = len(cells) if width is None else width
        if len(cells) != width:
            raise FileFormatError(
                f"{path}: row {reader.line_num} has {len(cells)} column{'' if len(cells) == 1 else 's'}, "
                f"the rows above have {width}"
            )
        yield reader.line_num, cells


def _header(first: Sequence[str], second: Sequence[str] | None) -> list[str]:
    """The names of the columns if the first row has them, else nothing."""
    cells = [cell.strip() for cell in first]
    texts = [number_of(cell) is None for cell in cells]
    above = second is not None and any(
        text and number_of(below) is not None for text, below in zip(texts, second, strict=True)
    )
    return cells if all(texts) or above or any(cell.lower() in TARGETS for cell in cells) else []


def number_of(cell: str) -> float | None:
    """Return the finite number that a cell says; None if it says none.

    Example:
        >>> number_of(" 1e-3"), number_of("nan"), number_of("1_000"), number_of("3,5")
        (0.001, None, None, None)
    """
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) and "_" not in cell else None


def _read(path: Path, names: list[str], rows: Iterator, width: int, with_targets: bool) -> Table:
    at = _target_column(path, names, width) if with_targets else None
    if with_targets and width < 2:
        raise FileFormatError(f"{path}: has one column; a table needs numbers and a column of targets")
    called = [f"column {name!r}" if name else f"column {k}" for k, name in enumerate(names or [""] * width, 1)]
    numbers, targets, lines = [], [], []
    for line, cells in itertools.islice(rows, 1 if names else 0, None):
        if at is not None:
            targets.append(_target(path, line, called[at], cells.pop(at)))
        numbers.append(_numbers(path, line, [name for k, name in enumerate(called) if k != at], cells))
        lines.append(line)
    table, left_out = np.array(numbers), ""
    if names and at != 0 and width - (at is not None) > 1 and _counts(names[0], table[:, 0]):
        table, left_out = table[:, 1:], "column 1" if not names[0] else called[0]
    return Table(table, targets, lines, "" if at is None else called[at], left_out)


def _target_column(path: Path, names: list[str], width: int) -> int:
    known = [k for k, name in enumerate(names) if name.lower() in TARGETS]
    if len(known) > 1:
        both = " and ".join(repr(names[k]) for k in known[:2])
        raise FileFormatError(f"{path}: the columns {both} could both be the targets; rename one of them")
    return known[0] if known else width - 1


def _target(path: Path, line: int, column: str, cell: str) -> str:
    cell = cell.strip()
    if not cell:
        raise FileFormatError(f"{path}: row {line}, {column}: is empty; every row needs a target")
    return cell


def _numbers(path: Path, line: int, columns: list[str], cells: list[str]) -> np.ndarray:
    try:
        row = np.array(list(map(float, cells)))
        if np.isfinite(row).all() and not any("_" in cell for cell in cells):
            return row
    except ValueError:
        pass
    column, cell = next((name, cell) for name, cell in zip(columns, cells, strict=True) if number_of(cell) is None)
    hint = "; write decimals with a point" if number_of(cell.replace(",", ".")) is not None else ""
    found = f"{cell.strip()[:40]!r} is not a finite number{hint}" if cell.strip() else "is empty"
    raise FileFormatError(f"{path}: row {line}, {column}: {found}")


def _counts(name: str, values: np.ndarray) -> bool:
    """Whether a column counts the rows."""
    return name.lower() in COUNTERS and values[0] in (0.0, 1.0) and (np.diff(values) == 1.0).all()
