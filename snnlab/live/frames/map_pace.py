"""How quickly a study computes, and how long the rest takes."""

from collections import deque
from collections.abc import Iterable

from snnlab.study.cells import Cell

WINDOW = 20.0  # seconds that are looked back
LEAST = 1.0  # seconds after which there is something to say


class Pace:
    """Counts the epochs of a study over the last seconds.

    Args:
        epochs: of each network.

    Example:
        >>> from snnlab.study.cells import Fate, Row
        >>> pace = Pace(epochs=2)
        >>> rows = tuple(Row(k, 9 * k, 0.5, 0.75, 40.0) for k in (1, 2))
        >>> waiting, done = Cell((0,), {}), Cell((1,), {}, Fate.DONE, rows)
        >>> pace.note(0.0, [waiting, Cell((1,), {})])
        >>> pace.note(4.0, [waiting, done])
        >>> pace.speed, pace.left
        (0.25, 4.0)
    """

    def __init__(self, epochs: int):
        self._epochs = epochs
        self._noted: deque[tuple[float, int]] = deque()
        self._missing = 0

    def note(self, seconds: float, cells: Iterable[Cell]) -> None:
        """Note where the cells stand at a time."""
        done = missing = 0
        for cell in cells:
            reached = cell.rows[-1].epoch if cell.rows else 0
            done += reached
            if not cell.fate.over:
                missing += max(self._epochs - reached, 0)
        self._missing = missing
        self._noted.append((seconds, done))
        while len(self._noted) > 2 and self._noted[1][0] <= seconds - WINDOW:
            self._noted.popleft()

    def forget(self) -> None:
        """Begin anew: after a pause, what was before says nothing."""
        self._noted.clear()

    @property
    def speed(self) -> float | None:
        """Networks per second; None as long as nothing is known."""
        if not self._noted:
            return None
        (first, before), (last, now) = self._noted[0], self._noted[-1]
        return (now - before) / (last - first) / self._epochs if last - first >= LEAST and now > before else None

    @property
    def left(self) -> float | None:
        """Seconds until all epochs are done; None as long as the speed is not known."""
        speed = self.speed
        return None if speed is None else self._missing / self._epochs / speed
