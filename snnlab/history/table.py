"""Named columns of numbers that can be appended to. NumPy only."""

from collections.abc import Mapping

import numpy as np

GROWTH = 1.25  # of a full column: appending takes constant time on average, and little memory stays unused


class Table:
    """Columns of equal length and one type.

    Example:
        >>> table = Table(np.float32)
        >>> table.append({"loss": [1.0, 0.5]})
        >>> table.append({"loss": [0.25], "l1": [3.0]})  # where a column was not given, it is NaN
        >>> {name: column.tolist() for name, column in table.columns().items()}
        {'l1': [nan, nan, 3.0], 'loss': [1.0, 0.5, 0.25]}
    """

    def __init__(self, dtype: type):
        self._dtype = dtype
        self._columns: dict[str, np.ndarray] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, columns: Mapping[str, np.ndarray]) -> None:
        """Append rows. A missing column becomes NaN; a new column is NaN before."""
        start, end = self._length, self._length + len(next(iter(columns.values())))
        for name in self._columns.keys() | columns.keys():
            column = self._columns.get(name)
            if column is None:
                column = np.full(max(end, 256), np.nan, self._dtype)
            elif end > len(column):
                grown = np.empty(int(GROWTH * end), self._dtype)
                grown[:start] = column[:start]
                column = grown
            column[start:end] = columns.get(name, np.nan)
            self._columns[name] = column
        self._length = end

    def head(self, rows: int) -> "Table":
        """Return a table of the first rows. Nothing is copied until something is appended to it.

        Example:
            >>> table = Table(np.float32)
            >>> table.append({"loss": [1.0, 0.5]})
            >>> shorter = table.head(1)
            >>> shorter.append({"loss": [7.0]})
            >>> table.columns()["loss"].tolist(), shorter.columns()["loss"].tolist()
            ([1.0, 0.5], [1.0, 7.0])
        """
        shorter = Table(self._dtype)
        if rows:
            shorter._columns = {name: column[:rows] for name, column in self._columns.items()}
            shorter._length = rows
        return shorter

    def columns(self) -> dict[str, np.ndarray]:
        """Return every column as a read-only view. Appending does not change it."""
        found = {name: column[: self._length] for name, column in sorted(self._columns.items())}
        for view in found.values():
            view.setflags(write=False)
        return found
